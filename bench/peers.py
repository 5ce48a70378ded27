"""Speed, memory and quality beside other word2vecs, on any text: python bench/peers.py --input PATH...

gensim and fastText are installed into an environment of their own; Spark MLlib comes with Spark; word2vec.c, pWord2Vec
and FULL-W2V run where --word2vec-c and its likes name a program. All get the same words, parameters and threads, in
turn, each in a process of its own. They read a file that was tokenised beforehand, outside the timing; this project's
job reads the text as it is. Without --input the text is the docstrings of the packages in .venv. Analogies and word
pairs are those that gensim brings, unless others are named; on a text of bench/corpus.py the planted topics are scored.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import corpus
import job
import peers_environment
import peers_text
from peers_environment import PACKAGES, Environment
from peers_report import Results, Run, markdown, picture
from peers_tools import BUILT, OURS, PARAMETERS, TITLES, TOOLS, Setting, warm_up_ours

import w2v_spark
from w2v_spark.pictures.canvas import save
from w2v_spark.vectors.evaluate import SCORED_WORDS, evaluate_analogies, evaluate_pairs
from w2v_spark.vectors.vectors import Vectors

_TOPIC_QUERIES = 2_000


def main() -> int:
    """Prepare, run in turn, print."""
    args = _arguments()
    with tempfile.TemporaryDirectory(prefix="w2v_spark-bench-", dir=args.scratch) as folder:
        scratch = Path(folder)
        files = peers_text.input_or_docstrings(args.input, scratch)
        environment = peers_environment.prepare(args.environment, list(PACKAGES))
        job.set_up(args.submit)
        text = peers_text.prepare(files, scratch / "text.txt", PARAMETERS["min_count"])
        setting = Setting(text, args.threads, scratch, environment, args)
        told = _told(args, text)
        earlier = [run for path in args.earlier for run in _earlier(path, told)]
        runs = [*earlier, *_runs(setting, args)]
    results = Results(told, runs)
    if not runs:
        sys.exit("error: none of the peers could run")
    print(markdown(results))
    if args.output:
        _write(results, args.output)
    return 0


def _arguments() -> argparse.Namespace:
    text, _, more = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(description=text.partition(":")[0], epilog=more)
    known = ", ".join(TOOLS)
    parser.add_argument("--input", nargs="+", metavar="PATH", help="text files or folders, gz too")
    parser.add_argument("--epochs", type=int, default=5, metavar="N", help="epochs (default 5)")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads of all (default 2)")
    parser.add_argument("--only", nargs="+", choices=TOOLS, metavar="NAME", help=f"some of {known}")
    parser.add_argument(
        "--epochs-of",
        nargs="+",
        type=_epochs_of,
        default=[],
        metavar="NAME=N",
        help="other epochs for a slow peer, such as mllib=1; its row says so",
    )
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="run each N times, show medians")
    for name, title in BUILT.items():
        parser.add_argument(f"--{name}", metavar="PROGRAM", help=f"a build of {title}, and options of its own")
    parser.add_argument(
        "--mllib-memory", default="4g", metavar="SIZE", help="heap of Spark MLlib's driver (default 4g)"
    )
    parser.add_argument("--analogies", metavar="FILE", help="analogy questions (default: gensim's questions-words.txt)")
    parser.add_argument("--pairs", metavar="FILE", help="rated word pairs (default: gensim's wordsim353.tsv)")
    parser.add_argument(
        "--restrict-vocab",
        type=int,
        default=SCORED_WORDS,
        metavar="N",
        help=f"score by the N most frequent words (default {SCORED_WORDS})",
    )
    parser.add_argument(
        "--earlier",
        nargs="+",
        default=[],
        metavar="JSON",
        help="show runs of these files of --output, too, where text, parameters, threads and machine are the same",
    )
    parser.add_argument("--output", type=Path, metavar="PATH", help="write PATH.md, PATH.json and PATH.svg")
    peers_environment.add_argument(parser)
    parser.add_argument("--scratch", metavar="DIR", help="where the tokenised text and the models go for a while")
    parser.add_argument("--submit", default="./spark-submit.sh", metavar="COMMAND", help=job.SUBMIT_HELP)
    args = parser.parse_args()
    _check(parser, args)
    return args


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse what cannot run, and work out which peers do."""
    if min(args.epochs, args.threads, args.repeat, args.restrict_vocab) < 1:
        parser.error("--epochs, --threads, --repeat and --restrict-vocab must be at least 1")
    given = {name: getattr(args, name.replace("-", "_")) for name in BUILT}
    args.programs = {name: program for name, program in given.items() if program}
    lacking = [name for name in args.only or () if name in BUILT and name not in args.programs]
    if lacking:
        parser.error(f"{lacking[0]} needs a program: give --{lacking[0]} PROGRAM")
    args.names = args.only or [name for name in TOOLS if name not in BUILT or name in args.programs]
    for path in filter(None, (args.analogies, args.pairs, *args.earlier)):
        if not Path(path).is_file():
            parser.error(f"no such file: {path}")
    if args.output and not args.output.parent.is_dir():
        parser.error(f"--output: there is no folder {args.output.parent}")


def _epochs_of(text: str) -> tuple[str, int]:
    """A peer and its number of epochs."""
    name, _, number = text.partition("=")
    if name not in TOOLS or not number.isdigit() or int(number) < 1:
        raise argparse.ArgumentTypeError(f"expected NAME=N with one of {', '.join(TOOLS)}, got {text!r}")
    return name, int(number)


def _told(args: argparse.Namespace, text: peers_text.Text) -> dict[str, Any]:
    """What the runs share, for the report and for comparing with earlier ones."""
    own = {"epochs": args.epochs, "threads": args.threads, "restrict_vocab": args.restrict_vocab}
    return text.about() | own | {"parameters": PARAMETERS, "processor": job.processor()}


def _earlier(path: str, setting: dict[str, Any]) -> list[Run]:
    """The runs of an earlier call, refused where they cannot be compared."""
    told = json.loads(Path(path).read_text())
    others = [name for name, value in setting.items() if told["setting"].get(name) != value]
    if others:
        sys.exit(f"error: --earlier {path} has another {others[0]}: {told['setting'].get(others[0])}")
    return [Run(**run) for run in told["runs"]]


def _runs(setting: Setting, args: argparse.Namespace) -> list[Run]:
    """All peers in turn, as often as they are to be run."""
    names = [name for name in args.names if name not in setting.environment.missing]
    for name, reason in setting.environment.missing.items():
        if name in args.names:
            job.say(f"{TITLES[name]} is left out, as pip could not install {PACKAGES[name]}: {reason}")
    if OURS in names:
        job.say("compiling our kernels (not timed) ...")
        warm_up_ours(setting)
    return [_run(setting, args, name) for _ in range(args.repeat) for name in names]


def _run(setting: Setting, args: argparse.Namespace, name: str) -> Run:
    epochs = dict(args.epochs_of).get(name, args.epochs)
    job.say(f"{TITLES[name]}, {epochs} epochs ...")
    trained = TOOLS[name](setting, epochs)
    vectors = trained.vectors()
    scores = _scores(args, setting.environment, vectors)
    run = Run(
        name,
        _version(setting.environment, name),
        datetime.date.today().isoformat(),
        epochs,
        trained.seconds_whole,
        trained.seconds_training,
        trained.memory,
        len(vectors),
        trained.phases,
        scores,
        trained.notes,
    )
    shown = ", ".join(f"{what} {value:.1f}" for what, value in scores.items() if value is not None)
    speed = run.words_per_second(setting.text.known) / 1e6
    job.say(f"{TITLES[name]}: {speed:.3f} M words/s, {run.seconds_whole:.1f} s in all; {shown or 'no scores'}")
    return run


def _version(environment: Environment, name: str) -> str:
    """The version of a peer's package; none of a program."""
    if name in PACKAGES:
        return environment.version(PACKAGES[name].partition("==")[0]) or ""
    return metadata.version("pyspark") if name == "mllib" else w2v_spark.__version__ if name == OURS else ""


def _scores(args: argparse.Namespace, environment: Environment, vectors: Vectors) -> dict[str, float | None]:
    """Analogies answered, 100 times Spearman's rho, neighbours of one topic; None where nothing could be asked."""
    questions = args.analogies or environment.test_set("questions-words.txt")
    pairs = args.pairs or environment.test_set("wordsim353.tsv")
    limit = args.restrict_vocab
    right = evaluate_analogies(vectors, questions, limit).total.accuracy if questions else None
    rho = evaluate_pairs(vectors, pairs, limit).spearman if pairs else None
    topics, _ = corpus.topic_score(vectors, range(min(limit, len(vectors))), _TOPIC_QUERIES)
    found = {"analogies": right, "pairs": rho, "topics": topics}
    return {name: None if value is None else 100 * value for name, value in found.items()}


def _write(results: Results, path: Path) -> None:
    """PATH.md, PATH.json and PATH.svg."""
    head = (
        f"# Beside other word2vecs\n\n    {job.command_line()}\n\n![speed, time, memory, scores]({path.name}.svg)\n\n"
    )
    path.with_name(path.name + ".md").write_text(head + markdown(results), encoding="utf-8")
    path.with_name(path.name + ".json").write_text(json.dumps(results.to_dict(), indent=1) + "\n")
    save(picture(results), path.with_name(path.name + ".svg"))


if __name__ == "__main__":
    sys.exit(main())

"""Speed and quality side by side with gensim, on any text: python bench/compare_gensim.py --input PATH...

Both train with the same parameters and threads, in turn, each in a process of its own: one epoch for the words a
second of training, then --epochs of them for the whole time and the quality. gensim gets the text tokenised beforehand,
outside the timing, as one plain file in the format that it reads fastest (`corpus_file`); our job gets the text as it
is.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any

import job
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from w2v_spark.corpus.tokens import flatten, make_tokenizer
from w2v_spark.params import option_name
from w2v_spark.vectors.evaluate import evaluate_analogies, evaluate_pairs
from w2v_spark.vectors.vectors import Vectors

PARAMETERS: dict[str, Any] = {
    "vector_size": 100,
    "window_size": 5,
    "negative": 5,
    "noise_exponent": 0.75,
    "sample": 1e-4,
    "min_count": 5,
    "step_size": 0.05,
    "min_step_size": 1e-4,
    "seed": 1,
}
# what gensim calls them where it has another name
_GENSIM_NAMES = {
    "window_size": "window",
    "noise_exponent": "ns_exponent",
    "step_size": "alpha",
    "min_step_size": "min_alpha",
}
_RESTRICT_VOCAB = 30_000
# gensim takes no longer lines
_GENSIM_LONGEST_LINE = 10_000
_LINES_AT_ONCE = 5_000

_TRAINING_BAR, _WHOLE_BAR = 8.0, 1 / 3


@dataclass(frozen=True)
class Corpus:
    """The tokenised text that gensim reads, and what is in it."""

    path: Path
    words: int
    lines: int
    cut: int


@dataclass(frozen=True)
class Run:
    """What one run of either side showed; `words` are those of the vocabulary in one epoch."""

    tool: str
    epochs: int
    words: int
    vocabulary: int
    seconds_whole: float
    seconds_training: float
    seconds_rounds: float
    phases: dict[str, float]
    analogies: float | None = None
    pairs: float | None = None
    # of the corpus, what gensim's threads went through
    share_seen: float = 1.0

    def words_per_second(self) -> float:
        """Within training alone."""
        return self.epochs * self.words / self.seconds_training

    def words_per_second_merged(self) -> float:
        """Training with what surrounds it in each round: the shuffle, the merge, the commit."""
        return self.epochs * self.words / self.seconds_rounds


def main() -> int:
    """Prepare, run in turn, print."""
    args = _arguments()
    files = job.input_files(args.input)
    with tempfile.TemporaryDirectory(prefix="w2v_spark-bench-", dir=args.scratch) as scratch:
        job.set_up(args.submit)
        corpus = _prepare(files, Path(scratch, "corpus.txt"))
        epochs = sorted({1, args.epochs})
        runs = [
            _measured(run, args, corpus, files, n, Path(scratch))
            for _ in range(args.repeat)
            for n in epochs
            for run in (run_gensim, run_ours)
        ]
    if args.json:
        print(json.dumps({"setting": _setting(args, corpus), "runs": [_as_json(r) for r in runs]}))
    else:
        print(report(args, corpus, runs))
    return 0


def _arguments() -> argparse.Namespace:
    text, _, more = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(description=text.partition(":")[0], epilog=more)
    parser.add_argument("--input", nargs="+", required=True, metavar="PATH", help="text files or folders, gz too")
    parser.add_argument("--epochs", type=int, default=3, metavar="N", help="epochs of the whole job (default 3)")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads of both (default 2)")
    parser.add_argument("--analogies", metavar="FILE", help="analogy questions, such as questions-words.txt")
    parser.add_argument("--pairs", metavar="FILE", help="rated word pairs, such as those of WordSim-353")
    parser.add_argument(
        "--restrict-vocab",
        type=int,
        default=_RESTRICT_VOCAB,
        metavar="N",
        help=f"analogies by the N most frequent words (default {_RESTRICT_VOCAB})",
    )
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="do all of it N times, show medians")
    parser.add_argument("--scratch", metavar="DIR", help="where the tokenised text and the models go for a while")
    parser.add_argument("--submit", default="./spark-submit.sh", metavar="COMMAND", help=job.SUBMIT_HELP)
    parser.add_argument("--json", action="store_true", help="one JSON object with every run instead of the table")
    args = parser.parse_args()
    if min(args.epochs, args.threads, args.repeat, args.restrict_vocab) < 1:
        parser.error("--epochs, --threads, --repeat and --restrict-vocab must be at least 1")
    for path in filter(None, (args.analogies, args.pairs)):
        if not Path(path).is_file():
            parser.error(f"no such file: {path}")
    return args


def _prepare(files: Sequence[Path], target: Path) -> Corpus:
    """Write the words that our tokeniser finds, a document a line."""
    job.say(f"tokenising {len(files)} files for gensim (not timed) ...")
    tokenize = make_tokenizer("words", lowercase=True)
    words = lines = cut = 0
    with target.open("w", encoding="utf-8") as out:
        for file in files:
            with pa.input_stream(str(file), compression="detect") as stream:
                text = io.TextIOWrapper(stream, encoding="utf-8", errors="replace")
                while block := [line.rstrip("\n") for line in islice(text, _LINES_AT_ONCE)]:
                    flat, lengths = flatten(tokenize(pa.array(block)))
                    pieces = cut_long(lengths)
                    out.write(_joined(flat, pieces))
                    words, lines = words + len(flat), lines + len(pieces)
                    cut += int((lengths > _GENSIM_LONGEST_LINE).sum())
    return Corpus(target, words, lines, cut)


def cut_long(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Lengths of the lines that gensim gets for documents of these lengths: none for an empty one, several for a long
    one.
    """
    if lengths.max(initial=0) <= _GENSIM_LONGEST_LINE:
        return lengths[lengths > 0]
    step = _GENSIM_LONGEST_LINE
    return np.array([min(step, n - at) for n in lengths.tolist() for at in range(0, n, step)], np.int64)


def _joined(flat: pa.Array, lengths: npt.NDArray[np.int64]) -> str:
    """Lines of so many words each."""
    if not len(lengths):
        return ""
    offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))), pa.int32())
    return "\n".join(pc.binary_join(pa.ListArray.from_arrays(offsets, flat), " ").to_pylist()) + "\n"


def _measured(
    run: Callable[..., Run], args: argparse.Namespace, corpus: Corpus, files: Sequence[Path], epochs: int, scratch: Path
) -> Run:
    done = run(args, corpus, files, epochs, scratch)
    rate, seconds = done.words_per_second() / 1e6, done.seconds_whole
    job.say(f"{done.tool}, {epochs} epochs: {seconds:.1f} s in all, training {rate:.3f} M words/s")
    return done


def run_gensim(args: argparse.Namespace, corpus: Corpus, files: Sequence[Path], epochs: int, scratch: Path) -> Run:
    """gensim from the start of its process to its saved vectors."""
    vectors = scratch / "gensim.kv"
    settings = {_GENSIM_NAMES.get(name, name): value for name, value in PARAMETERS.items()}
    settings |= {"sg": 1, "hs": 0, "workers": args.threads, "epochs": epochs}
    command = [sys.executable, str(job.ROOT / "bench" / "gensim_train.py"), str(corpus.path), str(vectors)]
    started = time.perf_counter()
    done = subprocess.run([*command, json.dumps(settings)], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"error: gensim ended with status {done.returncode}; its reason is above")
    whole = time.perf_counter() - started
    told = json.loads(done.stdout)
    training = told["seconds"]["training"]
    phases = told["seconds"] | {"start and stop": whole - sum(told["seconds"].values())}
    scores = _scores(args, lambda: _gensim_vectors(vectors)) if epochs == args.epochs else (None, None)
    return Run(
        "gensim",
        epochs,
        told["words"],
        told["vocabulary"],
        whole,
        training,
        training,
        phases,
        *scores,
        share_seen=told["share_seen"],
    )


def run_ours(args: argparse.Namespace, corpus: Corpus, files: Sequence[Path], epochs: int, scratch: Path) -> Run:
    """Our job as a user types it, from the start of its script to its end."""
    output = scratch / "ours"
    settings = PARAMETERS | {"max_iter": epochs}
    options = [text for name, value in settings.items() for text in (option_name(name), str(value))]
    done = job.run_job(
        args.submit,
        ["--master", f"local[{args.threads}]"],
        ["jobs/train.py", "--input", *map(str, files), "--output", str(output), "--overwrite", *options],
    )
    training, rounds, words = _round_seconds(output)
    vocabulary = json.loads((output / "model.json").read_text())["vocabulary"]["words"]
    scores = _scores(args, lambda: Vectors.open(output)) if epochs == args.epochs else (None, None)
    return Run("w2v_spark", epochs, words // epochs, vocabulary, done.seconds, training, rounds, done.phases(), *scores)


def _round_seconds(output: Path) -> tuple[float, float, int]:
    """Seconds of training alone (the slowest replica of each round), seconds of the rounds, words trained."""
    rows = pq.read_table(output / "metrics").to_pylist()
    numbers = sorted({row["round"] for row in rows})
    by_round = [[row for row in rows if row["round"] == number] for number in numbers]
    training = sum(max(row["seconds_train"] for row in same) for same in by_round)
    rounds = sum(same[0]["seconds_round"] for same in by_round)
    return training, rounds, sum(row["words"] for row in rows)


def _gensim_vectors(path: Path) -> Vectors:
    from gensim.models import KeyedVectors

    found = KeyedVectors.load(str(path))
    return Vectors(list(found.index_to_key), np.asarray(found.vectors, np.float32))


def _scores(args: argparse.Namespace, open_vectors: Callable[[], Vectors]) -> tuple[float | None, float | None]:
    """Analogies answered in per cent, and 100 times Spearman's rho; None where there is no file, or nothing to ask."""
    if not args.analogies and not args.pairs:
        return None, None
    vectors = open_vectors()
    right = evaluate_analogies(vectors, args.analogies, args.restrict_vocab).total.accuracy if args.analogies else None
    rho = evaluate_pairs(vectors, args.pairs).spearman if args.pairs else None
    return (None if right is None else 100 * right), (None if rho is None else 100 * rho)


def report(args: argparse.Namespace, corpus: Corpus, runs: Sequence[Run]) -> str:
    """The table, with what was compared above it and the phases below."""
    setting = _setting(args, corpus)
    lines = [
        f"{corpus.words:,} words in {corpus.lines:,} lines; {setting['versions']}; {args.threads} threads; "
        f"{setting['cpu']}" + (f"; medians of {args.repeat}" if args.repeat > 1 else ""),
        ", ".join(f"{name} {value:g}" for name, value in PARAMETERS.items()),
        "",
        job.table([("", "gensim", "w2v_spark", "ratio", "bar", ""), *_rows(args.epochs, runs)]),
        "",
        *(_phases_line(tool, args.epochs, runs) for tool in ("gensim", "w2v_spark")),
    ]
    return "\n".join(lines + _remarks(corpus, runs))


def _rows(epochs: int, runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """The rows of the table: both sides, their ratio or difference, the bar and whether it is met."""
    rows = []
    for n in sorted({1, epochs}):
        named = f"training, {n} epoch{'s' * (n > 1)}, M words/s"
        both = [_median(tool, n, runs, lambda r: r.words_per_second() / 1e6) for tool in ("gensim", "w2v_spark")]
        rows.append(_ratio_row(named, both, "{:.3f}", (">=", _TRAINING_BAR) if n == 1 else None))
        both[1] = _median("w2v_spark", n, runs, lambda r: r.words_per_second_merged() / 1e6)
        rows.append(_ratio_row("  with its merge", both, "{:.3f}"))
    both = [_median(tool, epochs, runs, lambda r: r.seconds_whole) for tool in ("gensim", "w2v_spark")]
    rows.append(_ratio_row(f"whole job, {epochs} epochs, s", both, "{:.1f}", ("<=", _WHOLE_BAR)))
    for name, score in (("analogies, %", "analogies"), ("word pairs, 100 rho", "pairs")):
        if all(getattr(r, score) is not None for r in runs if r.epochs == epochs):
            both = [_median(tool, epochs, runs, attrgetter(score)) for tool in ("gensim", "w2v_spark")]
            more = both[1] - both[0]
            mark = "met" if more >= 0 else "missed"
            rows.append((f"{name}, {epochs} epochs", f"{both[0]:.1f}", f"{both[1]:.1f}", f"{more:+.1f}", ">= 0", mark))
    return rows


def _median(tool: str, epochs: int, runs: Sequence[Run], value: Callable[[Run], float]) -> float:
    return statistics.median(value(r) for r in runs if (r.tool, r.epochs) == (tool, epochs))


def _ratio_row(name: str, both: Sequence[float], shown: str, bar: tuple[str, float] | None = None) -> tuple[str, ...]:
    ratio = both[1] / both[0]
    cells = (name, shown.format(both[0]), shown.format(both[1]), f"{ratio:.2f}")
    if bar is None:
        return (*cells, "", "")
    sign, limit = bar
    met = ratio >= limit if sign == ">=" else ratio <= limit
    return (*cells, f"{sign} {limit:.2f}", "met" if met else "missed")


def _phases_line(tool: str, epochs: int, runs: Sequence[Run]) -> str:
    """Seconds of each phase of the whole job."""
    names = next(r.phases for r in runs if (r.tool, r.epochs) == (tool, epochs))
    seconds = {name: [r.phases[name] for r in runs if (r.tool, r.epochs) == (tool, epochs)] for name in names}
    parts = [f"{name} {statistics.median(found):.1f}" for name, found in seconds.items()]
    return f"{tool}, {epochs} epochs, s: " + (", ".join(parts) or "the job's log does not tell its phases")


def _remarks(corpus: Corpus, runs: Sequence[Run]) -> list[str]:
    """What a reader must know to trust the figures."""
    lines = [
        "Words are those of the vocabulary. Training of w2v_spark is the slowest replica of each round; its merge is "
        "all else in a round.",
        "gensim's text was tokenised beforehand (not timed); our job read the text as it is.",
    ]
    if corpus.cut:
        lines.append(f"{corpus.cut:,} documents were cut at {_GENSIM_LONGEST_LINE:,} words, gensim's longest line.")
    if len({(r.words, r.vocabulary) for r in runs}) > 1:
        seen = ", ".join(sorted({f"{r.tool} {r.words:,} words and {r.vocabulary:,} in the vocabulary" for r in runs}))
        lines.append(f"THE TWO DID NOT SEE THE SAME WORDS: {seen}")
    worst = max((r.share_seen for r in runs), key=lambda share: abs(share - 1))
    if abs(worst - 1) > 0.01:
        lines.append(f"gensim's threads went through {worst:.1%} of the text: they share it out by bytes.")
    return ["", *lines]


def _setting(args: argparse.Namespace, corpus: Corpus) -> dict[str, Any]:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("gensim", "pyspark", "numba"))
    told = {"parameters": PARAMETERS, "epochs": args.epochs, "threads": args.threads, "versions": versions}
    return told | {"cpu": _cpu(), "words": corpus.words, "lines": corpus.lines, "documents_cut": corpus.cut}


def _cpu() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _as_json(run: Run) -> dict[str, Any]:
    rates = {"words_per_second": run.words_per_second(), "words_per_second_merged": run.words_per_second_merged()}
    return asdict(run) | rates


if __name__ == "__main__":
    sys.exit(main())

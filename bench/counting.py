"""Counting and encoding beside gensim's counting: python bench/counting.py --input PATH...

Ours tokenises, counts, numbers and encodes a text in a job as a user types it, on all cores of the machine, from the
moment when Spark is ready. gensim counts the same file by `build_vocab(corpus_file=)`, which splits lines at spaces,
and encodes nothing. Both read a file that was tokenised beforehand, in turn, each in a process of its own. They do so
with shares and multiples of the text; a multiple has each line again with its words turned by some places, so that few
lines come twice, and no new words. Without --input the text is the docstrings of the packages in .venv.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import job
import peers_environment
import peers_text

MIN_COUNT = 5
# next to nothing is left to train on
_TRAINS_LITTLE = {"--max-iter": 1, "--min-count": MIN_COUNT, "--sample": 1e-7}
_GENSIM = """
import sys, time
from gensim.models import Word2Vec
# the first vectors, which gensim makes at the end of counting, are no part of it
model = Word2Vec(min_count=int(sys.argv[2]), vector_size=1)
started = time.perf_counter()
model.build_vocab(corpus_file=sys.argv[1])
print("counted in", time.perf_counter() - started)
"""


class Turn(NamedTuple):
    """Seconds of one turn on a text of so many million words."""

    words: float
    counting: float
    encoding: float
    gensim: float

    @property
    def ratio(self) -> float:
        return (self.counting + self.encoding) / self.gensim


def main() -> int:
    """Prepare, run in turn, print."""
    args = _arguments()
    with tempfile.TemporaryDirectory(prefix="w2v_spark-bench-", dir=args.scratch) as folder:
        scratch = Path(folder)
        environment = peers_environment.prepare(args.environment, ["gensim"])
        if environment.missing:
            sys.exit(f"error: pip could not install gensim: {environment.missing['gensim']}")
        job.set_up(args.submit)
        files = peers_text.input_or_docstrings(args.input, scratch)
        text = peers_text.prepare(files, scratch / "text.txt", MIN_COUNT)
        turns = list[Turn]()
        for share in args.shares:
            path = scratch / f"{share:g}.txt"
            words = write_share(text, share, path)
            for _ in range(args.repeat):
                turns.append(_turn(args.submit, environment.python, path, words, scratch))
                job.say(report(turns[-1:]))
            path.unlink()
    print(shown := report(turns))
    if args.output:
        written = f"# Counting and encoding\n\n{_heading(text)}\n\n{shown}\n"
        args.output.with_name(args.output.name + ".md").write_text(written)
    return 0


def _arguments() -> argparse.Namespace:
    text, _, more = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(description=text.partition(":")[0], epilog=more)
    parser.add_argument("--input", nargs="+", metavar="PATH", help="text files or folders, gz too")
    parser.add_argument(
        "--shares", nargs="+", type=float, default=[0.25, 1, 4], metavar="N", help="of the text (default 0.25 1 4)"
    )
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="turns for each share (default 3)")
    parser.add_argument("--output", type=Path, metavar="PATH", help="write PATH.md")
    peers_environment.add_argument(parser)
    parser.add_argument("--scratch", metavar="DIR", help="where texts and models go for a while")
    parser.add_argument("--submit", default="./spark-submit.sh", metavar="COMMAND", help=job.SUBMIT_HELP)
    args = parser.parse_args()
    if args.repeat < 1 or min(args.shares) <= 0:
        parser.error("--repeat must be at least 1, and --shares above 0")
    if args.output and not args.output.parent.is_dir():
        parser.error(f"--output: there is no folder {args.output.parent}")
    return args


def write_share(text: peers_text.Text, share: float, target: Path) -> int:
    """Write the first lines of the text, or all and some again with their words turned; how many words they have."""
    words = 0
    with target.open("w", encoding="utf-8") as out:
        for line in _lines(text.path, copies=math.ceil(share)):
            if words >= share * text.words:
                break
            words += len(line)
            out.write(" ".join(line) + "\n")
    return words


def _lines(path: Path, copies: int) -> Iterator[list[str]]:
    """The words of each line, those of copy n turned by n places."""
    for places in range(copies):
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                words = line.split()
                at = places % len(words)
                yield words[at:] + words[:at]


def _turn(submit: str, python: Path, path: Path, words: int, scratch: Path) -> Turn:
    """Both on a text, one after the other."""
    given = {"--input": path, "--output": scratch / "vectors", **_TRAINS_LITTLE}
    seconds = job.run_job(submit, [], ["jobs/train.py", *job.options(given), "--overwrite"]).phases()
    if not seconds:
        sys.exit("error: the job's log does not tell how long counting and encoding took")
    gensim = job.run([str(python), "-c", _GENSIM, str(path), str(MIN_COUNT)])
    counted = next(line.rpartition(" ")[2] for _, line in gensim.log if line.startswith("counted in"))
    return Turn(words / 1e6, seconds["counting"], seconds["encoding"], float(counted))


def report(turns: list[Turn]) -> str:
    """Medians of each share, and the ratios of all turns."""
    rows = [["M words", "counting, s", "encoding, s", "gensim counts, s", "ours / gensim", "of each turn"]]
    for words in sorted({turn.words for turn in turns}):
        same = [turn for turn in turns if turn.words == words]
        middle = Turn(*(statistics.median(column) for column in zip(*same, strict=True)))
        ratios = [turn.ratio for turn in same]
        each = " ".join(f"{ratio:.2f}" for ratio in ratios)
        numbers = [f"{value:.3g}" for value in middle]
        rows.append([*numbers, f"{statistics.median(ratios):.2f}", each])
    return job.markdown(rows)


def _heading(text: peers_text.Text) -> str:
    return (
        f"`{job.command_line()}` on {job.processor()}; {text.words:,} words in {text.lines:,} lines, SHA-256 "
        f"`{text.checksum}`. Medians; ours also tokenises and encodes."
    )


if __name__ == "__main__":
    sys.exit(main())

"""Memory of the driver by vocabulary, corpus and vector size: python bench/driver_memory.py

Nothing of the size of the text, the vocabulary or the model may live in the driver. A job with a small driver runs at
the first vocabulary, corpus and vector size, then at each other vocabulary, each other corpus and each other vector
size with the rest as at first. This tells the most that the driver's JVM kept on its heap and that its Python process
took. The texts are those of bench/corpus.py, in which every word of the vocabulary is sure to occur.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import job
from corpus import ZipfText

if TYPE_CHECKING:
    from pyspark import SparkContext

_FLAT = 100
_MOST_PYTHON = 500
_MEGABYTES = {"K": 1 / 1024, "M": 1, "G": 1024}
# a line of the JVM's log of collections: kind, and the heap after it
_COLLECTION = re.compile(r"Pause (Young|Full)\b.* \d+[KMG]->(\d+)([KMG])\(")


@dataclass(frozen=True)
class Size:
    """The sizes of a job: words of the vocabulary, words of the text, and numbers in a vector."""

    vocabulary: int
    words: int
    vector_size: int


@dataclass(frozen=True)
class Peaks:
    """The most memory that a driver had, in MB."""

    size: Size
    # after collections that were asked for every other second: what the program holds on to
    heap_kept: float
    # after collections of either kind: with garbage that a young one leaves
    heap_after: float
    python: float
    jvm: float
    # the Python workers of one executor together
    workers: float
    seconds: float


def main() -> int:
    """One job for each size, then the table; 1 where memory grows with the size."""
    args = _arguments()
    with tempfile.TemporaryDirectory(prefix="w2v_spark-bench-", dir=args.scratch) as scratch:
        job.set_up(args.submit)
        peaks = [
            _measure(args, size, Path(scratch)) for size in sizes(args.vocabularies, args.corpora, args.vector_sizes)
        ]
    text, is_flat = report(args, peaks)
    print(text)
    if args.output:
        args.output.write_text(f"# Memory of the driver\n\n    {job.command_line()}\n\n{text}\n", encoding="utf-8")
    return 0 if is_flat else 1


def _arguments() -> argparse.Namespace:
    text, _, more = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(description=text.partition(":")[0], epilog=more)
    for name, default, help in (
        ("--vocabularies", [50_000, 200_000, 1_000_000], "words of the vocabulary"),
        ("--corpora", [2_000_000, 8_000_000, 32_000_000], "words of the text, more than of the vocabulary"),
        ("--vector-sizes", [100, 300, 1000], "vector sizes"),
    ):
        shown = " ".join(f"{number:,}" for number in default)
        parser.add_argument(name, nargs="+", type=job.whole, default=default, metavar="N", help=f"{help} ({shown})")
    parser.add_argument(
        "--max-vocab", type=job.whole, metavar="N", help="cut the vocabulary to its most frequent words"
    )
    parser.add_argument("--master", default="local-cluster[2,1,2048]", help="default local-cluster[2,1,2048]")
    parser.add_argument("--max-iter", type=int, default=1, metavar="N", help="epochs (default 1)")
    parser.add_argument("--num-replicas", type=int, default=2, metavar="N", help="replicas (default 2)")
    parser.add_argument("--rounds-per-epoch", type=int, default=4, metavar="N", help="merges (default 4)")
    parser.add_argument("--driver-memory", default="1g", metavar="SIZE", help="the driver's heap (default 1g)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table to this file of Markdown, too")
    parser.add_argument("--scratch", metavar="DIR", help="where texts and models go for a while")
    parser.add_argument("--submit", default="./spark-submit.sh", metavar="COMMAND", help=job.SUBMIT_HELP)
    args = parser.parse_args()
    try:
        for size in sizes(args.vocabularies, args.corpora, args.vector_sizes):
            ZipfText(size.words, size.vocabulary, at_least=1)
    except ValueError as e:
        parser.error(str(e))
    if args.output and not args.output.parent.is_dir():
        parser.error(f"--output: there is no folder {args.output.parent}")
    return args


def sizes(vocabularies: Sequence[int], corpora: Sequence[int], vector_sizes: Sequence[int]) -> list[Size]:
    """The first of each, then the others of each with the first of the rest."""
    first = Size(vocabularies[0], corpora[0], vector_sizes[0])
    return [
        first,
        *(Size(vocabulary, first.words, first.vector_size) for vocabulary in vocabularies[1:]),
        *(Size(first.vocabulary, words, first.vector_size) for words in corpora[1:]),
        *(Size(first.vocabulary, first.words, vector_size) for vector_size in vector_sizes[1:]),
    ]


def _measure(args: argparse.Namespace, size: Size, scratch: Path) -> Peaks:
    """Write a text, run the job with this file in front of it, then read what it and its JVM left."""
    told, collections, text, model = (scratch / name for name in ("told.json", "gc.log", "text", "model"))
    of_text = {"--words": size.words, "--vocabulary": size.vocabulary, "--output": text, "--at-least": 1}
    job.run_job(args.submit, [], ["bench/corpus.py", *job.options(of_text)])
    conf = {
        "spark.driver.memory": args.driver_memory,
        "spark.driver.maxResultSize": "8m",
        "spark.driver.extraJavaOptions": f"-Xlog:gc:file={collections}",
    }
    train = {
        "--input": text,
        "--output": model,
        "--min-count": 1,
        "--vector-size": size.vector_size,
        "--max-iter": args.max_iter,
        "--num-replicas": args.num_replicas,
        "--rounds-per-epoch": args.rounds_per_epoch,
    } | ({"--max-vocab": args.max_vocab} if args.max_vocab else {})
    done = job.run_job(
        args.submit,
        ["--master", args.master, *job.spark_options(conf)],
        ["bench/driver_memory.py", "--inside", str(told), *job.options(train)],
    )
    peaks = _peaks(size, json.loads(told.read_text()), collections.read_text(), done)
    for folder in (text, model):
        shutil.rmtree(folder)
    shown = f"{size.vocabulary:,} words of {size.words:,} x {size.vector_size}"
    job.say(f"{shown}: heap {peaks.heap_kept:.0f} MB, Python {peaks.python:.0f} MB, {done.seconds:.0f} s")
    return peaks


def _peaks(size: Size, told: dict[str, float], log: str, done: job.Finished) -> Peaks:
    found = [(kind, int(number) * _MEGABYTES[unit]) for kind, number, unit in _COLLECTION.findall(log)]
    full = [heap for kind, heap in found if kind == "Full"]
    if not full:
        sys.exit("error: the JVM logged no full collection; use a Java whose default collector is G1 or Serial")
    workers = max((sample.workers for sample in done.samples), default=0.0)
    heap_after = max(heap for _, heap in found)
    return Peaks(size, max(full), heap_after, told["python"], told["jvm"], workers, done.seconds)


def inside(told: Path, arguments: Sequence[str]) -> int:
    """What spark-submit runs in the driver: jobs/train.py, with collections asked for while it works."""
    # imported before the thread is there: two threads that import it at once get half of it
    from pyspark import SparkContext

    from w2v_spark.cli import train_main

    stop = threading.Event()
    collector = threading.Thread(target=_collect, args=(SparkContext, stop), daemon=True)
    collector.start()
    status = train_main(arguments)
    stop.set()
    collector.join()
    # spark-submit's JVM is the parent of the driver's Python
    told.write_text(json.dumps({"python": _peak_of("self"), "jvm": _peak_of(str(os.getppid()))}))
    return status


def _collect(contexts: type[SparkContext], stop: threading.Event, every_seconds: float = 2.0) -> None:
    """Ask the JVM for a full collection now and then: what it logs after each is what the program holds on to."""
    while not stop.wait(every_seconds):
        context = contexts._active_spark_context
        if context is not None and context._jvm is not None:
            context._jvm.java.lang.System.gc()


def _peak_of(process: str) -> float:
    """The most memory that a process had in use, MB; where there is no /proc, of this process alone."""
    try:
        status = Path("/proc", process, "status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20 if process == "self" else float("nan")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) / 1024


def report(args: argparse.Namespace, peaks: Sequence[Peaks]) -> tuple[str, bool]:
    """The table, and whether what is judged stays flat."""
    head = [
        "vocabulary",
        "words",
        "vector size",
        "heap kept",
        "heap after any GC",
        "Python",
        "JVM",
        "workers",
        "seconds",
    ]
    rows = [
        [f"{x:,}" for x in (p.size.vocabulary, p.size.words, p.size.vector_size)]
        + [f"{x:,.0f}" for x in (p.heap_kept, p.heap_after, p.python, p.jvm, p.workers, p.seconds)]
        for p in peaks
    ]
    verdicts, is_flat = _verdicts(peaks)
    cut = f", at most {args.max_vocab:,} words kept" if args.max_vocab else ""
    where = (
        f"{args.master}, {args.num_replicas} replicas, driver memory {args.driver_memory}, maxResultSize 8m{cut}; "
        f"{job.processor()}"
    )
    notes = [
        "Peaks in MB. Heap kept: after full collections, one every 2 s. The JVM's memory holds garbage up to the "
        "heap's limit, so it may vary. Python: the driver's process. Workers: all Python workers of one executor, "
        "looked at every second.",
    ]
    return "\n\n".join([f"Driver on {where}", job.markdown([head, *rows]), *notes, *verdicts]), is_flat


def _verdicts(peaks: Sequence[Peaks]) -> tuple[list[str], bool]:
    """A sentence for each thing that is judged, and whether all are as they should be."""
    sentences, good = [], []
    for name, values in (("heap kept", [p.heap_kept for p in peaks]), ("Python", [p.python for p in peaks])):
        good.append(all(abs(value - values[0]) <= _FLAT for value in values))
        sentences.append(
            f"{name}: {min(values) - values[0]:+.0f} to {max(values) - values[0]:+.0f} MB from the first size's: "
            + ("flat" if good[-1] else "NOT flat")
            + f" within {_FLAT} MB"
        )
    good.append(max(p.python for p in peaks) < _MOST_PYTHON)
    sentences.append(f"Python: {'below' if good[-1] else 'NOT below'} {_MOST_PYTHON} MB")
    return sentences, all(good)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        sys.exit(inside(Path(sys.argv[2]), sys.argv[3:]))
    sys.exit(main())

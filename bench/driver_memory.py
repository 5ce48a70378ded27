"""Memory of the driver by vector size: python bench/driver_memory.py --input PATH...

Nothing of the size of the text or the model may live in the driver. For each vector size a job runs with a small
driver, and this tells the most that its JVM kept on its heap and the most that its Python process took.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import job

_FLAT = 100
_MEGABYTES = {"K": 1 / 1024, "M": 1, "G": 1024}
# a line of the JVM's log of collections: kind, and the heap after it
_COLLECTION = re.compile(r"Pause (Young|Full)\b.* \d+[KMG]->(\d+)([KMG])\(")


@dataclass(frozen=True)
class Peaks:
    """The most memory that a driver had, in MB."""

    vector_size: int
    # after collections that were asked for every other second: what the program holds on to
    heap_kept: float
    # after collections of either kind: with garbage that a young one leaves
    heap_after: float
    python: float
    jvm: float
    collections: int
    seconds: float


def main() -> int:
    """One job for each size, then the table; 1 where memory grows with the size."""
    args = _arguments()
    with tempfile.TemporaryDirectory(prefix="w2v_spark-bench-", dir=args.scratch) as scratch:
        job.set_up(args.submit)
        peaks = [_measure(args, size, Path(scratch)) for size in args.sizes]
    print(report(args, peaks))
    return 0 if all(_is_flat(values) for values in _judged(peaks)) else 1


def _arguments() -> argparse.Namespace:
    text, _, more = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(description=text.partition(":")[0], epilog=more)
    parser.add_argument("--input", nargs="+", required=True, metavar="PATH", help="what the job reads")
    parser.add_argument("--sizes", nargs="+", type=int, default=[100, 300, 1000], metavar="N", help="vector sizes")
    parser.add_argument("--master", default="local-cluster[2,1,2048]", help="default local-cluster[2,1,2048]")
    parser.add_argument("--max-iter", type=int, default=1, metavar="N", help="epochs (default 1)")
    parser.add_argument("--num-replicas", type=int, default=2, metavar="N", help="replicas (default 2)")
    parser.add_argument("--rounds-per-epoch", type=int, default=4, metavar="N", help="merges (default 4)")
    parser.add_argument("--driver-memory", default="1g", metavar="SIZE", help="the driver's heap (default 1g)")
    parser.add_argument("--scratch", metavar="DIR", help="where the models go for a while")
    parser.add_argument("--submit", default="./spark-submit.sh", metavar="COMMAND", help=job.SUBMIT_HELP)
    return parser.parse_args()


def _measure(args: argparse.Namespace, size: int, scratch: Path) -> Peaks:
    """Run the job with this file in front of it, then read what it and its JVM left."""
    told, collections = scratch / f"{size}.json", scratch / f"{size}.gc.log"
    conf = {
        "spark.driver.memory": args.driver_memory,
        "spark.driver.maxResultSize": "8m",
        "spark.driver.extraJavaOptions": f"-Xlog:gc:file={collections}",
    }
    train = {
        "--output": scratch / "model",
        "--vector-size": size,
        "--max-iter": args.max_iter,
        "--num-replicas": args.num_replicas,
        "--rounds-per-epoch": args.rounds_per_epoch,
    }
    done = job.run_job(
        args.submit,
        ["--master", args.master, *(text for pair in conf.items() for text in ("--conf", "=".join(pair)))],
        [
            *("bench/driver_memory.py", "--inside", str(told), "--overwrite"),
            *("--input", *map(str, job.input_files(args.input))),
            *(str(text) for pair in train.items() for text in pair),
        ],
    )
    peaks = _peaks(size, json.loads(told.read_text()), collections.read_text(), done.seconds)
    job.say(f"vector size {size}: heap {peaks.heap_kept:.0f} MB, Python {peaks.python:.0f} MB, {done.seconds:.0f} s")
    return peaks


def _peaks(size: int, told: dict[str, float], log: str, seconds: float) -> Peaks:
    found = [(kind, int(number) * _MEGABYTES[unit]) for kind, number, unit in _COLLECTION.findall(log)]
    full = [heap for kind, heap in found if kind == "Full"]
    if not full:
        sys.exit("error: the JVM logged no full collection; use a Java whose default collector is G1 or Serial")
    return Peaks(size, max(full), max(heap for _, heap in found), told["python"], told["jvm"], len(full), seconds)


def inside(told: Path, arguments: Sequence[str]) -> int:
    """What spark-submit runs in the driver: jobs/train.py, with collections asked for while it works."""
    from w2v_spark.cli import train_main

    stop = threading.Event()
    collector = threading.Thread(target=_collect, args=(stop,), daemon=True)
    collector.start()
    status = train_main(arguments)
    stop.set()
    collector.join()
    # spark-submit's JVM is the parent of the driver's Python
    told.write_text(json.dumps({"python": _peak_of("self"), "jvm": _peak_of(str(os.getppid()))}))
    return status


def _collect(stop: threading.Event, every_seconds: float = 2.0) -> None:
    """Ask the JVM for a full collection now and then: what it logs after each is what the program holds on to."""
    from pyspark import SparkContext

    while not stop.wait(every_seconds):
        context = SparkContext._active_spark_context
        if context is not None and context._jvm is not None:
            context._jvm.java.lang.System.gc()


def _peak_of(process: str) -> float:
    """The most memory that a process had in use, MB; where there is no /proc, of this process alone."""
    try:
        status = Path("/proc", process, "status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20 if process == "self" else float("nan")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) / 1024


def report(args: argparse.Namespace, peaks: Sequence[Peaks]) -> str:
    """The table, and whether what is judged stays flat."""
    head = ("vector size", "heap kept", "heap after any GC", "Python RSS", "JVM RSS", "collections", "seconds")
    rows = [
        (
            str(p.vector_size),
            *(f"{x:.0f}" for x in (p.heap_kept, p.heap_after, p.python, p.jvm, p.collections, p.seconds)),
        )
        for p in peaks
    ]
    verdicts = [
        f"{name}: {min(values) - values[0]:+.0f} to {max(values) - values[0]:+.0f} MB from the first size's: "
        + (f"flat within {_FLAT} MB" if _is_flat(values) else f"NOT flat within {_FLAT} MB")
        for name, values in zip(("heap kept", "Python RSS"), _judged(peaks), strict=True)
    ]
    where = f"{args.master}, {args.num_replicas} replicas, driver memory {args.driver_memory}, maxResultSize 8m"
    notes = [
        "Peaks in MB. Heap kept: after full collections, one every 2 s. The JVM's RSS holds garbage up to the heap's "
        "limit, so it may vary.",
    ]
    return "\n".join([f"driver on {where}", "", job.table([head, *rows]), "", *notes, *verdicts])


def _judged(peaks: Sequence[Peaks]) -> tuple[list[float], list[float]]:
    return [p.heap_kept for p in peaks], [p.python for p in peaks]


def _is_flat(values: Sequence[float]) -> bool:
    """Whether none is further than allowed from the first."""
    return all(abs(value - values[0]) <= _FLAT for value in values)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        sys.exit(inside(Path(sys.argv[2]), sys.argv[3:]))
    sys.exit(main())

"""What a round costs by itself: rounds that train next to nothing, on what a run with --keep-work has encoded:

    ./spark-submit.sh jobs/train.py --input TEXT --output out/texts --max-iter 1 --keep-work
    .venv/bin/python bench/round_alone.py --encoded out/texts [--replicas 8] [--rounds 8] [--share 0.01]

All cores of this machine run replicas of one thread, in Spark's local mode. Beside the seconds stands the processor
time of Java and of Python, which a busy machine changes less; the first rounds, in which Java compiles its own code,
are left out of the medians. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from memory import read_process, tree

from w2v_spark.params import Params
from w2v_spark.place import Place
from w2v_spark.spark.claim import claim_output
from w2v_spark.spark.layout import resolve
from w2v_spark.spark.rounds import run_round, write_start
from w2v_spark.spark.run import open_encoded
from w2v_spark.spark.session import block_session, own_session
from w2v_spark.training.schedule import Round
from w2v_spark.training.shard import ShardJob

_WARMING_UP = 3
_TICK = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoded", required=True, metavar="DIR", help="output of a run with --keep-work")
    parser.add_argument("--replicas", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--share", type=float, default=0.01, help="of the corpus that a round trains")
    parser.add_argument("--scratch", metavar="DIR", help="a place for the models; default: that of temporary files")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="w2v_spark-bench-", dir=args.scratch) as folder:
        costs = measured(args, Path(folder, "out"))
    for name, values in zip(("seconds", "Java's", "Python's"), zip(*costs[_WARMING_UP:], strict=True), strict=True):
        print(f"{name:9} median {statistics.median(values):5.2f}, {min(values):5.2f} to {max(values):5.2f}")


def measured(args: argparse.Namespace, output: Path) -> list[tuple[float, float, float]]:
    """Seconds, and those of Java's and of Python's processors, of each round."""
    params = Params(num_replicas=args.replicas, threads_per_replica=1, exchange="storage", device="cpu")
    vocabulary, corpus = open_encoded(Place.open(args.encoded))
    costs = []
    with own_session() as session, ExitStack() as stack:
        spark = block_session(session)
        params, layout = resolve(spark, params, vocabulary.total_count)
        run = claim_output(Place.open(output), session.sparkContext.applicationId, overwrite=False)
        stack.callback(run.release)
        pointer = write_start(spark, run, vocabulary, params.vector_size, 1, layout.merge_tasks)
        for number in range(1, args.rounds + 1):
            start = (number - 1) / args.rounds
            stretch = Round(number, start, (start + min(args.share, 1 / args.rounds),))
            job = ShardJob(str(output), params, stretch, pointer, vocabulary, corpus.uri)
            before, started = processor_seconds(), time.perf_counter()
            result = run_round(spark, run, job, layout, f"round {number}", 1)
            seconds, after = time.perf_counter() - started, processor_seconds()
            pointer = result.pointer
            java, python = after[0] - before[0], after[1] - before[1]
            sent = sum(shard["bytes_sent"] for shard in result.shards) / 1e9
            print(f"round {number}: {seconds:.2f} s, Java {java:.2f} s, Python {python:.2f} s, {sent:.3f} GB sent")
            costs.append((seconds, java, python))
    return costs


def processor_seconds() -> tuple[float, float]:
    """Of this process and all below it, ended ones too: of Java, and of Python."""
    java, python = 0, 0
    for process, _ in tree(os.getpid()):
        fields = read_process(process, "stat").rpartition(b")")[2].split()
        ticks = sum(map(int, fields[11:15]))
        if b"java" in read_process(process, "comm"):
            java += ticks
        else:
            python += ticks
    return java / _TICK, python / _TICK


if __name__ == "__main__":
    main()

"""Whether replicas fit into memory: held against what executors' machines have before anything long begins. The kernel
of a machine whose memory ends kills what it likes, which tells nobody why.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession

from w2v_spark.errors import ParamError
from w2v_spark.spark.plan import Plan, counted, size_in_words
from w2v_spark.spark.session import described, plain_errors

# of a container: cgroup versions 2 and 1
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def check_memory(spark: SparkSession, plan: Plan) -> None:
    """Refuse a run whose replicas need more than a machine has."""
    memory = machine_memory() if plan.local else _least_memory(spark)
    needed = plan.side_by_side * plan.replica_bytes
    if needed <= memory:
        return
    where, several = "this machine" if plan.local else "an executor's machine", plan.side_by_side > 1
    fitting = plan.words_that_fit(memory)
    cures = [
        *([f"--max-vocab {fitting:,} or less"] if fitting > 1 else []),
        "a smaller --vector-size",
        *(["fewer --num-replicas"] if several else []),
        "machines with more memory",
    ]
    replicas = f"{counted(plan.side_by_side, 'replica')} of {size_in_words(plan.replica_bytes)}"
    raise ParamError(
        f"{plan.vocabulary:,} words x {plan.params.vector_size} do not fit into the memory of {where}: {replicas} "
        f"{'train' if several else 'trains'} there at a time, and it has {size_in_words(memory)}; give "
        f"{', '.join(cures[:-1])}, or {cures[-1]}"
    )


def machine_memory() -> int:
    """Bytes that processes here may have: the machine's memory, or less in a container that is limited."""
    sizes = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for file in _LIMITS:
        with contextlib.suppress(OSError, ValueError):  # not there, or "max"
            sizes.append(int(Path(file).read_text()))
    return min(sizes)


def _least_memory(spark: SparkSession) -> int:
    """That of the executor with the least, of those with a free core."""

    def look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            pass
        yield pa.RecordBatch.from_pydict({"bytes": [machine_memory()]})

    tasks = spark.sparkContext.defaultParallelism
    with described(spark, "look how much memory executors have"), plain_errors():
        rows = spark.range(0, tasks, 1, tasks).mapInArrow(look, "bytes long").collect()
    return min(int(row.bytes) for row in rows)

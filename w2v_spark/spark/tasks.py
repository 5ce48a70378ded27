"""What tasks have in common: a question that they answer, the numbers that they are given, and which one each is."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa
from pyspark import TaskContext
from pyspark.resource import ResourceProfile
from pyspark.sql import Row, SparkSession

from w2v_spark.spark.failures import plain_errors


def ask(
    spark: SparkSession,
    tasks: int,
    look: Callable[[], Mapping[str, Any]],
    columns: str,
    profile: ResourceProfile | None = None,
) -> list[Row]:
    """What `look` finds in each of so many tasks, as rows of `columns` (names and types, as Spark spells a schema)."""

    def answer(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            pass
        yield pa.RecordBatch.from_pylist([dict(look())])

    with plain_errors():
        return spark.range(0, tasks, 1, tasks).mapInArrow(answer, columns, profile=profile).collect()


def ids(batches: Iterator[pa.RecordBatch]) -> Iterator[int]:
    """The numbers of `spark.range` that a task is given."""
    for batch in batches:
        yield from batch.column(0).to_pylist()


@functools.cache
def all_is_loaded() -> None:
    """Let this process' collector of garbage pass over what it has loaded by now: Spark calls it after every task of a
    worker, and a compiler's objects take 0.07 s to look through.
    """
    gc.collect()
    gc.freeze()


def this_task() -> TaskContext:
    """What Spark tells the task that runs here of itself."""
    context = TaskContext.get()
    assert context is not None
    return context

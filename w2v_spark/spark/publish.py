"""Publishing: the last model's vectors beside their words, the vocabulary and the rounds' metrics, written into the
run's own directory, from where the whole model moves into its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from w2v_spark import store
from w2v_spark.array_types import Floats
from w2v_spark.errors import FormatError
from w2v_spark.place import FileEntry, Place
from w2v_spark.spark.failures import plain_errors
from w2v_spark.spark.run import Run
from w2v_spark.spark.session import described, frame_of
from w2v_spark.spark.tables import columns_of, read_table, writer
from w2v_spark.spark.tasks import ids
from w2v_spark.workdir.blocks import MATRICES, SYN0, SYN1, block_count, rows_per_block
from w2v_spark.workdir.pointer import Pointer
from w2v_spark.workdir.vocabulary import Vocabulary

_FILE_BYTES = 256 << 20
# what the parameter `vectors` names, as the matrices whose mean it is
_PUBLISHED = {"input": (SYN0,), "output": (SYN1,), "mean": MATRICES}


def write_vectors(
    spark: SparkSession,
    run: Run,
    vocabulary: Vocabulary,
    pointer: Pointer,
    vector_size: int,
    which: str,
) -> list[FileEntry]:
    """Write id, word, count, vector; file i holds the ids before those of file i + 1. `which` is the parameter
    `vectors`.
    """
    where, rows, blocks = run.work.uri, rows_per_block(vector_size), block_count(vocabulary.words, vector_size)
    size = 4 * vocabulary.words * vector_size * len(_PUBLISHED[which])
    tasks = min(blocks, max(spark.sparkContext.defaultParallelism, -(-size // _FILE_BYTES)))

    def publish(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        work = Place.open(where)
        mine = list(ids(batches))
        wanted = range(min(mine), max(mine) + 1)
        words = vocabulary.read(wanted.start * rows, wanted.stop * rows).combine_chunks()
        for block, values in published_blocks(work, pointer, which, wanted):
            part, flat = words.slice((block - wanted.start) * rows, rows), pa.array(values)
            offsets = pa.array(np.arange(0, len(flat) + 1, vector_size, dtype=np.int32))
            columns = [
                *(part[c].combine_chunks() for c in ("id", "word", "count")),
                pa.ListArray.from_arrays(offsets, flat),
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=store.VECTORS_SCHEMA)

    place = run.draft.child(store.VECTORS)
    with described(spark, "publish the vectors"), plain_errors():
        frame = spark.range(0, blocks, 1, tasks).mapInArrow(publish, columns_of(store.VECTORS_SCHEMA))
        writer(frame).option("parquet.enable.dictionary", "false").parquet(place.uri)
    return place.files()


def published_blocks(work: Place, pointer: Pointer, which: str, wanted: range) -> Iterator[tuple[int, Floats]]:
    """Number and values, float32 and flat, of these blocks of the vectors that are published, in their order."""
    parts = [sorted(pointer.blocks(work, matrix, wanted), key=lambda b: b[0]) for matrix in _PUBLISHED[which]]
    if any([number for number, _ in part] != list(wanted) for part in parts):
        raise FormatError(f"{pointer.directory} lacks some of the blocks {wanted.start} to {wanted.stop - 1}")
    for same in zip(*parts, strict=True):
        yield same[0][0], _mean([np.frombuffer(values, "<f4") for _, values in same])


def _mean(matrices: list[Floats]) -> Floats:
    """The mean of one array or two, float32; of one the array itself."""
    return matrices[0] if len(matrices) == 1 else (matrices[0] + matrices[1]) * np.float32(0.5)


def write_vocabulary(spark: SparkSession, run: Run, vocabulary: Vocabulary) -> list[FileEntry]:
    """Write id, word, count."""
    place = run.draft.child(store.VOCAB)
    with described(spark, "publish the vocabulary"), plain_errors():
        columns = columns_of(store.VOCAB_SCHEMA)
        words = read_table(spark, f"{vocabulary.parent}/{store.VOCAB}", vocabulary.files, columns)
        writer(words.coalesce(1).sortWithinPartitions("id")).parquet(place.uri)
    return place.files()


def write_metrics(spark: SparkSession, run: Run, rows: list[dict[str, Any]]) -> list[FileEntry]:
    """Write the metrics of every round and shard."""
    place = run.draft.child(store.METRICS)
    with described(spark, "write the metrics"), plain_errors():
        # as Arrow: rows of Python would start a Python worker
        frame = frame_of(spark, pa.Table.from_pylist(rows, store.METRICS_SCHEMA))
        writer(frame.coalesce(1)).parquet(place.uri)
    return place.files()

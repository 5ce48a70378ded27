"""The rounds: one Spark job each. Replicas train and send what they changed as row blocks; a shuffle brings the blocks
of a row together, they
are folded in shard order, and Spark's committer writes the new model. The pointer moves last.

    range(R) -> train_shard      (matrix, block, shard, values)   exactly R training tasks
    + last model as shard -1     by (matrix, block) through the shuffle, sorted by shard
    -> fold                      the new model's blocks, partitioned by matrix, and the metrics as rows of their own
"""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from w2v_spark import store, workdir
from w2v_spark.corpus.vocab import initial_vectors
from w2v_spark.errors import DivergenceError, FormatError, InputError
from w2v_spark.place import Place
from w2v_spark.spark.claim import Run
from w2v_spark.spark.cluster import Layout
from w2v_spark.spark.devices import own_gpu
from w2v_spark.spark.session import block_settings, described, plain_errors
from w2v_spark.training.merge import Change, fold
from w2v_spark.training.shard import ShardJob, train_shard
from w2v_spark.workdir import (
    BASE,
    MATRICES,
    ROUND_METRICS,
    SYN0,
    Float32Matrix,
    Pointer,
    Vocabulary,
    block_batch,
    rows_per_block,
)

log = logging.getLogger(__name__)

_BLOCK_COLUMNS = "matrix string, block int, shard int, values binary"
_CHANGE_COLUMNS = f"{_BLOCK_COLUMNS}, rows binary, counts binary"
# word2vec's longest rows have norms of some tens; far beyond, training has run away
_LONGEST_ROW = 1e3


@dataclass(frozen=True)
class RoundResult:
    """What a round gave: the pointer to its model, the replicas' metrics, and the merge's."""

    pointer: Pointer
    shards: list[dict[str, Any]]
    longest_row: float


def write_start(spark: SparkSession, run: Run, vocabulary: Vocabulary, vector_size: int, seed: int) -> Pointer:
    """Commit round 0: syn0 random from (seed, word), syn1 zero. Rounds of an earlier run are removed."""
    run.still_ours()
    remove_rounds(run.work, keep=())
    rows = rows_per_block(vector_size)
    blocks = -(-vocabulary.words // rows)

    def start(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        words = vocabulary.read()["word"]
        for batch in batches:
            for block in batch.column(0).to_pylist():
                part = words.slice(block * rows, rows).to_pylist()
                values = initial_vectors(part, vector_size, seed)
                for matrix in MATRICES:
                    yield block_batch(matrix, block, BASE, values if matrix == SYN0 else np.zeros_like(values))

    tasks = min(blocks, spark.sparkContext.defaultParallelism)
    with described(spark, "draw the first vectors"):
        pointer = _commit(spark, spark.range(0, blocks, 1, tasks).mapInArrow(start, _BLOCK_COLUMNS), run, "r00000")
    go_on_from(run, pointer, None)
    return pointer


def run_round(
    spark: SparkSession, run: Run, job: ShardJob, layout: Layout, description: str, attempt: int
) -> RoundResult:
    """Train and merge one round into a directory of this attempt; the caller moves the pointer. DivergenceError where
    its model is not to be gone on with.
    """
    params, base, work = job.params, job.base, run.work
    replicas = params.num_replicas or 1
    rule, size, gpus = params.merge_rule, params.vector_size, layout.gpus

    def merge(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from merge_blocks(_rows(batches), rule, size, replicas)

    def train(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for shard in batch.column(0).to_pylist():
                blocks = train_shard(job, shard, own_gpu(gpus) if gpus else None)
                yield from merge(blocks) if replicas == 1 else blocks

    with described(spark, description), _damage_told(base):
        # a lone replica's blocks are the new model already: only looked at
        columns = _BLOCK_COLUMNS if replicas == 1 else _CHANGE_COLUMNS
        blocks = spark.range(0, replicas, 1, replicas).mapInArrow(train, columns, profile=layout.profile)
        if replicas > 1:
            blocks = _base_blocks(spark, work, base).unionByName(blocks)
            blocks = blocks.repartition(layout.merge_tasks, "matrix", "block")
            blocks = blocks.sortWithinPartitions("matrix", "block", "shard")
            blocks = blocks.mapInArrow(merge, _BLOCK_COLUMNS)
        pointer = _commit(spark, blocks, run, f"r{job.round.number:05d}" + (f"-{attempt}" if attempt > 1 else ""))
    metrics = [json.loads(m) for m in pointer.read_metrics(work)]
    shards = sorted((m for m in metrics if m["kind"] == "shard"), key=lambda m: m["shard"])
    longest = max((m["longest_row"] for m in metrics if m["kind"] == "merge"), default=0.0)
    _check_norm(longest, job)
    return RoundResult(pointer, shards, longest)


@contextmanager
def _damage_told(base: Pointer) -> Iterator[None]:
    """What Spark has against a file of the last model is no fault of the input."""
    try:
        yield
    except InputError as e:
        if base.directory in str(e):
            raise FormatError(str(e).replace("the input", "the model", 1)) from e
        raise


def go_on_from(run: Run, pointer: Pointer, before: Pointer | None) -> None:
    """Make this the round that counts, unless the output is another run's by now, and remove older ones."""
    run.still_ours()
    pointer.move(run.work, before)
    remove_rounds(run.work, keep=[p.directory for p in (pointer, before) if p])


def remove_rounds(work: Place, keep: Sequence[str]) -> None:
    """Remove the rounds of this and of earlier runs, those that failed, too, except some directories."""
    for tag in filter(workdir.TAG.fullmatch, work.names()):
        rounds = work.child(tag).child(workdir.ROUNDS)
        for name in rounds.names():
            if f"{tag}/{workdir.ROUNDS}/{name}" not in keep:
                rounds.delete(name)


def merge_blocks(rows: Iterable[_Row], rule: str, vector_size: int, replicas: int) -> Iterator[pa.RecordBatch]:
    """Fold rows, sorted by matrix, block and shard, into the merged blocks, one row after another; metrics pass
    through, the longest row is added.
    """
    longest = 0.0
    for (matrix, block), group in groupby(rows, key=lambda row: (row.matrix, row.block)):
        if matrix == ROUND_METRICS:
            yield from (block_batch(matrix, block, row.shard, row.values) for row in group)
            continue
        merged = _merge_block(group, rule, vector_size, replicas)
        squared = float(np.einsum("ij,ij->i", merged, merged).max(initial=0.0))
        longest = max(longest, squared**0.5) if np.isfinite(squared) else float("inf")
        yield block_batch(matrix, block, BASE, merged)
    yield block_batch(ROUND_METRICS, 0, BASE, json.dumps({"kind": "merge", "longest_row": longest}).encode())


def _merge_block(rows: Iterator[_Row], rule: str, vector_size: int, replicas: int) -> Float32Matrix:
    """The base, which comes first, changed by what the replicas changed in it."""
    first = next(rows)
    if first.shard != BASE:
        raise ValueError(f"block {first.block} of {first.matrix} came without its base")
    base = np.frombuffer(first.values, "<f4").reshape(-1, vector_size)
    return base if replicas == 1 else fold(rule, base, (row.change(vector_size) for row in rows), replicas)


class _Row(NamedTuple):
    """A row of CHANGE_SCHEMA, its binary columns as buffers or None."""

    matrix: str
    block: int
    shard: int
    values: Any
    rows: Any
    counts: Any

    def change(self, vector_size: int) -> Change:
        values = np.frombuffer(self.values, "<f4").reshape(-1, vector_size)
        counts = None if self.counts is None else np.frombuffer(self.counts, "<i8")
        return Change(np.frombuffer(self.rows, "<i4"), values, counts)


def _rows(batches: Iterator[pa.RecordBatch]) -> Iterator[_Row]:
    for batch in batches:
        names = [batch.column(i).to_pylist() for i in range(3)]
        binaries = [[value.as_buffer() for value in column] for column in batch.columns[3:]]
        yield from itertools.starmap(_Row, zip(*names, *binaries, strict=True))


def _base_blocks(spark: SparkSession, work: Place, base: Pointer) -> DataFrame:
    """The last model's blocks as shard -1, from the files that the pointer names."""
    directory = work.child(base.directory).uri
    paths = [f"{directory}/{f.name}" for m in MATRICES for f in base.files[m]]
    frame = spark.read.schema(_BLOCK_COLUMNS).option("basePath", directory).parquet(*paths)
    nothing = F.lit(None).cast("binary")
    return frame.select(
        "matrix", "block", F.lit(BASE).alias("shard"), "values", nothing.alias("rows"), nothing.alias("counts")
    )


def _commit(spark: SparkSession, blocks: DataFrame, run: Run, name: str) -> Pointer:
    """Write blocks into a directory of the run's own."""
    place = run.own.child(workdir.ROUNDS).child(name)
    with block_settings(spark), plain_errors():
        writer = blocks.write.mode("overwrite").partitionBy("matrix").option("parquet.block.size", 16 << 20)
        writer = writer.option("parquet.page.size.row.check.min", 1).option("parquet.enable.dictionary", "false")
        writer.parquet(place.uri)
    return Pointer.of_directory(run.work, int(name[1:6]), f"{run.tag}/{workdir.ROUNDS}/{name}")


def _check_norm(longest: float, job: ShardJob) -> None:
    if longest > _LONGEST_ROW:
        what = "a vector that is not finite" if longest == float("inf") else f"a vector of length {longest:.3g}"
        raise DivergenceError(
            f"training diverged: round {job.round.number} gave {what}; lower --step-size (now "
            f"{job.params.step_size:g}) "
            f"or --num-replicas (now {job.params.num_replicas}); the model of round {job.base.round} is kept in "
            f"{job.output}/{store.WORK}"
        )

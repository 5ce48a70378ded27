"""The rounds: one Spark job each, of exactly R training tasks. Spark's committer writes the new model, and the pointer
moves last. What the replicas changed becomes one model in either of two ways.

Through storage: replicas send what they changed as row blocks, and end.

    range(R) -> train_shard    (matrix, block, shard, values)
    -> by block                through the shuffle, dealt in turn to as many partitions in every round, sorted by shard
    -> fold                    into the blocks that the same partition wrote in the round before

The blocks of the first model go through the same shuffle, to lie where their changes will come. No later model does:
partition p of a round reads the files that partition p of the last one wrote.

Directly: a barrier stage, in which all replicas run at once, merge many times within the round by themselves, and each
writes a part of what they agreed on.

    range(R) -> train_together (matrix, block, BASE, values)
"""

from __future__ import annotations

import itertools
import json
import logging
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyspark import BarrierTaskContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from w2v_spark import store, workdir
from w2v_spark.corpus.vocab import initial_vectors
from w2v_spark.errors import DivergenceError, FormatError, StorageError
from w2v_spark.params import Params
from w2v_spark.place import Place
from w2v_spark.spark.devices import own_gpu
from w2v_spark.spark.failures import plain_errors
from w2v_spark.spark.layout import Layout
from w2v_spark.spark.placement import in_partitions
from w2v_spark.spark.run import Run
from w2v_spark.spark.session import described
from w2v_spark.spark.tables import columns_of, writer
from w2v_spark.spark.tasks import all_is_loaded, ids, this_task
from w2v_spark.spark.warm_start import EarlierModel, start_blocks
from w2v_spark.training.merge import Change, fold
from w2v_spark.training.shard import ShardJob, train_shard
from w2v_spark.training.together import train_together
from w2v_spark.workdir.blocks import (
    BASE,
    BLOCK_SCHEMA,
    CHANGE_SCHEMA,
    MATRICES,
    ROUND_METRICS,
    ROW_GROUP_BYTES,
    block_batch,
    block_count,
    rows_per_block,
)
from w2v_spark.workdir.pointer import Pointer
from w2v_spark.workdir.vocabulary import Vocabulary

log = logging.getLogger(__name__)

_BLOCK_COLUMNS, _CHANGE_COLUMNS = columns_of(BLOCK_SCHEMA), columns_of(CHANGE_SCHEMA)
# word2vec's longest rows have norms of some tens; far beyond, training has run away
_LONGEST_ROW = 1e3


@dataclass(frozen=True)
class RoundResult:
    """What a round gave: the pointer to its model, the replicas' metrics, and the merge's."""

    pointer: Pointer
    shards: list[dict[str, Any]]
    longest_row: float


def write_start(
    spark: SparkSession,
    run: Run,
    vocabulary: Vocabulary,
    vector_size: int,
    seed: int,
    merge_tasks: int,
    earlier: EarlierModel | None = None,
) -> Pointer:
    """Commit round 0: syn0 as in the earlier model or, of words that it lacks, random from (seed, word); syn1 zero.
    Rounds of an earlier run are removed.
    """
    run.still_ours()
    remove_rounds(run.work, keep=())
    rows, blocks = rows_per_block(vector_size), block_count(vocabulary.words, vector_size)

    def start(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        mine = list(ids(batches))
        words = vocabulary.read(mine[0] * rows, (mine[-1] + 1) * rows, ["word"])["word"]
        for i, block in enumerate(mine):
            part = words.slice(i * rows, rows).to_pylist()
            yield from start_blocks(block, initial_vectors(part, vector_size, seed))

    tasks = min(blocks, spark.sparkContext.defaultParallelism)
    with described(spark, "draw the first vectors"):
        if earlier:
            drawn = earlier.blocks(spark, vocabulary, vector_size, seed, tasks)
        else:
            drawn = spark.range(0, blocks, 1, tasks).mapInArrow(start, _BLOCK_COLUMNS)
        pointer = _commit(spark, _by_block(drawn, merge_tasks), run, 0, merge_tasks)
    go_on_from(run, pointer, None)
    return pointer


def run_round(
    spark: SparkSession, run: Run, job: ShardJob, layout: Layout, description: str, attempt: int
) -> RoundResult:
    """Train and merge one round into a directory of this attempt; the caller moves the pointer. DivergenceError where
    its model is not to be gone on with.
    """
    replicas = job.params.replicas
    if job.params.exchange == "direct":
        new_model, partitions = _together, replicas
    else:
        new_model, partitions = _through_storage, layout.merge_tasks if replicas > 1 else 1
    with described(spark, description):
        blocks = new_model(spark, run.work.uri, job, layout)
        pointer = _commit(spark, blocks, run, job.round.number, partitions, attempt)
    metrics = [json.loads(m) for m in pointer.read_metrics(run.work)]
    shards = sorted((m for m in metrics if m["kind"] == "shard"), key=lambda m: m["shard"])
    merged = [m for m in metrics if m["kind"] == "merge"]
    _check_whole(pointer, merged, job.vocabulary.words)
    longest = max((m["longest_row"] for m in merged), default=0.0)
    _check_norm(longest, job)
    return RoundResult(pointer, shards, longest)


def _through_storage(spark: SparkSession, work: str, job: ShardJob, layout: Layout) -> DataFrame:
    """The new model, of replicas that send their changes through the shuffle; a lone one has nothing to merge with."""
    params, base, gpus = job.params, job.base, layout.gpus
    replicas, size = params.replicas, params.vector_size

    def train(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for shard in ids(batches):
            blocks = train_shard(job, shard, own_gpu(gpus) if gpus else None)
            yield from look_over((row[:4] for row in _rows(blocks)), size) if replicas == 1 else blocks
        all_is_loaded()

    def merge(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        blocks = base.blocks_of_partition(Place.open(work), this_task().partitionId())
        yield from look_over(merge_blocks(_rows(batches), blocks, params), size)

    columns = _BLOCK_COLUMNS if replicas == 1 else _CHANGE_COLUMNS
    blocks = spark.range(0, replicas, 1, replicas).mapInArrow(train, columns, profile=layout.profile)
    return blocks if replicas == 1 else _by_block(blocks, layout.merge_tasks).mapInArrow(merge, _BLOCK_COLUMNS)


def _together(spark: SparkSession, work: str, job: ShardJob, layout: Layout) -> DataFrame:
    """The new model, of replicas that merge by themselves while all of them run."""
    gpus, size = layout.gpus, job.params.vector_size
    replicas, token = job.params.replicas, secrets.token_hex(32)

    def train(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        context = BarrierTaskContext.get()
        host = context.getTaskInfos()[context.partitionId()].address.rpartition(":")[0]
        for shard in ids(batches):
            device = own_gpu(gpus) if gpus else None
            blocks = train_together(job, shard, device, host, token, context.allGather)
            yield from look_over((row[:4] for row in _rows(blocks)), size)
        all_is_loaded()

    numbers = spark.range(0, replicas, 1, replicas)
    return numbers.mapInArrow(train, _BLOCK_COLUMNS, barrier=True, profile=layout.profile)


def go_on_from(run: Run, pointer: Pointer, before: Pointer | None) -> None:
    """Make this the round that counts, unless the output is another run's by now, and remove older ones."""
    run.still_ours()
    pointer.move(run.work, before)
    try:
        remove_rounds(run.work, keep=[p.directory for p in (pointer, before) if p])
    except OSError as e:
        # they are in nobody's way but the disk's, and the next round tries again
        log.warning("older rounds could not be removed: %s", e)


def remove_rounds(work: Place, keep: Sequence[str]) -> None:
    """Remove the rounds of this and of earlier runs, those that failed, too, except some directories."""
    for tag in filter(workdir.TAG.fullmatch, work.names()):
        rounds = work.child(tag).child(workdir.ROUNDS)
        for name in rounds.names():
            if f"{tag}/{workdir.ROUNDS}/{name}" not in keep:
                rounds.delete(name)


# matrix, number, shard, values
Block = tuple[str, int, int, Any]


def merge_blocks(rows: Iterable[_Row], blocks: Iterator[tuple[str, int, pa.Buffer]], params: Params) -> Iterator[Block]:
    """Fold rows, the replicas' changes sorted by matrix, block and shard, into the last model's blocks, which come in
    the same order; metrics pass through.
    """
    size, replicas, groups = params.vector_size, params.replicas, groupby(rows, key=_block_of)
    key, group = next(groups, (None, iter(())))
    while key and key[0] == ROUND_METRICS:
        yield from ((row.matrix, row.block, row.shard, row.values) for row in group)
        key, group = next(groups, (None, iter(())))
    for matrix, block, values in blocks:
        base = np.frombuffer(values, "<f4").reshape(-1, size)
        if key == (matrix, block):
            base = fold(params.merge_rule, base, (row.change(size) for row in group), replicas)
            key, group = next(groups, (None, iter(())))
        yield matrix, block, BASE, base
    if key:
        raise FormatError(f"the last model lacks block {key[1]} of {key[0]} where its changes were brought together")


def look_over(blocks: Iterable[Block], vector_size: int) -> Iterator[pa.RecordBatch]:
    """Blocks of a new model as rows of BLOCK_SCHEMA, and after them, as metrics, how many rows of each matrix they have
    and the length of the longest.
    """
    longest, seen = 0.0, dict.fromkeys(MATRICES, 0)
    for matrix, block, shard, values in blocks:
        if matrix != ROUND_METRICS:
            rows = np.frombuffer(values, "<f4").reshape(-1, vector_size)
            seen[matrix] += len(rows)
            squared = float(np.einsum("ij,ij->i", rows, rows).max(initial=0.0))
            longest = max(longest, squared**0.5) if np.isfinite(squared) else float("inf")
        yield block_batch(matrix, block, shard, values)
    told = {"kind": "merge", "longest_row": longest, "rows": seen}
    yield block_batch(ROUND_METRICS, 0, BASE, json.dumps(told).encode())


def _block_of(row: _Row) -> tuple[str, int]:
    return row.matrix, row.block


class _Row(NamedTuple):
    """A row of CHANGE_SCHEMA, its binary columns as buffers or None."""

    matrix: str
    block: int
    shard: int
    values: Any
    rows: Any
    counts: Any

    def change(self, vector_size: int) -> Change:
        return Change.of_buffers(self.rows, self.values, self.counts, vector_size)


def _rows(batches: Iterator[pa.RecordBatch]) -> Iterator[_Row]:
    for batch in batches:
        names = [batch.column(i).to_pylist() for i in range(3)]
        binaries = [[value.as_buffer() for value in column] for column in batch.columns[3:]]
        yield from itertools.starmap(_Row, zip(*names, *binaries, strict=True))


def _by_block(blocks: DataFrame, merge_tasks: int) -> DataFrame:
    """Brought together by block as `Pointer` has them, sorted by matrix, block and shard."""
    placed = in_partitions(blocks, F.pmod("block", F.lit(merge_tasks)), merge_tasks)
    return placed.sortWithinPartitions("matrix", "block", "shard")


def _commit(spark: SparkSession, blocks: DataFrame, run: Run, round: int, partitions: int, attempt: int = 1) -> Pointer:
    """Write the blocks of a round, which lie in so many partitions, into a directory of the run's own, one for each
    attempt.
    """
    name = f"r{round:05d}" + (f"-{attempt}" if attempt > 1 else "")
    place = run.own.child(workdir.ROUNDS).child(name)
    with plain_errors():
        table = writer(blocks).partitionBy("matrix").option("parquet.block.size", ROW_GROUP_BYTES)
        table = table.option("parquet.page.size.row.check.min", 1).option("parquet.enable.dictionary", "false")
        # a trained model's numbers have no two alike, and do not get smaller
        table = table.option("compression", "none")
        # the least and the largest block would be looked for in all of it, and serve nobody
        table.option("parquet.column.statistics.enabled#values", "false").parquet(place.uri)
    return Pointer.of_directory(run.work, round, f"{run.tag}/{workdir.ROUNDS}/{name}", partitions)


def _check_whole(pointer: Pointer, merged: Sequence[dict[str, Any]], words: int) -> None:
    """StorageError where the listing lacks files of the round: a storage may list late what was written."""
    for matrix in MATRICES:
        rows, written = sum(m["rows"][matrix] for m in merged), sum(m["rows"][matrix] > 0 for m in merged)
        files = len(pointer.files[matrix])
        if rows != words or files < written:
            raise StorageError(
                f"{pointer.directory} lists {files} files of {matrix}, and tasks that wrote {written} of them, with "
                f"{rows} of the {words} rows"
            )


def _check_norm(longest: float, job: ShardJob) -> None:
    if longest > _LONGEST_ROW:
        what = "a vector that is not finite" if longest == float("inf") else f"a vector of length {longest:.3g}"
        raise DivergenceError(
            f"training diverged: round {job.round.number} gave {what}; lower --step-size (now "
            f"{job.params.step_size:g}) "
            f"or --num-replicas (now {job.params.num_replicas}); the model of round {job.base.round} is kept in "
            f"{job.output}/{store.WORK}"
        )

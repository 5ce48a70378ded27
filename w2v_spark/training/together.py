"""One replica in a round of several merges: it trains, meets the others, and trains on with what they agreed on."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from w2v_spark.array_types import Floats
from w2v_spark.training.exchange import Exchange, Gather
from w2v_spark.training.shard import Shard, ShardJob
from w2v_spark.workdir.blocks import BASE, MATRICES, block_count, change_batch, rows_per_block


def train_together(
    job: ShardJob, number: int, device: int | None, host: str, token: str, gather: Gather
) -> Iterator[pa.RecordBatch]:
    """Train replica `number` beside all others; yields its part of the new model, block by block (CHANGE_SCHEMA), then
    its metrics. `host`: where the others reach it; `token`: what all replicas of the round know and nobody else.
    """
    shard, replicas = Shard(job, number, device), job.params.replicas
    base = {matrix: _base(shard, matrix) for matrix in MATRICES}
    threads = shard.metrics.threads
    exchange = Exchange(shard.replica, base, shard.counts, job.params.merge_rule, number, replicas, threads)
    with exchange.meet(host, token, gather):
        for stretch in job.round.stretches():
            shard.train(stretch)
            started = time.perf_counter()
            exchange.merge(shard.weights(stretch))
            shard.metrics.seconds_sync += time.perf_counter() - started
            shard.metrics.syncs += 1
    shard.metrics.bytes_sent = exchange.bytes_sent
    step = rows_per_block(job.params.vector_size)
    for matrix in MATRICES:
        for block in range(number, block_count(shard.words, job.params.vector_size), replicas):
            values = base[matrix][block * step : (block + 1) * step]
            yield change_batch(matrix, block, BASE, values)
    yield shard.metrics.to_batch()


def _base(shard: Shard, matrix: str) -> Floats:
    """The model that the round starts from, as the replica has it, in one array."""
    size = shard.job.params.vector_size
    base, step = np.empty((shard.words, size), np.float32), rows_per_block(size)
    for first in range(0, shard.words, step):
        stop = min(first + step, shard.words)
        base[first:stop] = shard.replica.rows(matrix, first, stop)[:, :size]
    return base

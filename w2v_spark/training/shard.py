"""One replica in one round: opens the last model and its buckets, trains them on its threads, and gives back what
changed.
"""

from __future__ import annotations

import json
import mmap
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from w2v_spark import store
from w2v_spark.array_types import Floats
from w2v_spark.params import Params
from w2v_spark.place import Place
from w2v_spark.threads import in_threads, side_by_side
from w2v_spark.training.merge import Change, weighs
from w2v_spark.training.replica import Blocks, Replica, open_replica, read_sampling
from w2v_spark.training.schedule import Round
from w2v_spark.training.sentences import joined, replica_buckets, replica_pieces
from w2v_spark.training.sequential import ReadRows, Terms, Weights
from w2v_spark.workdir.blocks import BASE, MATRICES, ROUND_METRICS, change_batch, rows_per_block
from w2v_spark.workdir.corpus import CorpusIndex, CorpusReader
from w2v_spark.workdir.pointer import Pointer
from w2v_spark.workdir.vocabulary import Vocabulary


@dataclass(frozen=True)
class ShardJob:
    """All that a task is told: where the run lies, how to train (every parameter resolved), which round, on which
    model, and the directory that holds corpus/ and its index.
    """

    output: str
    params: Params
    round: Round
    base: Pointer
    vocabulary: Vocabulary
    corpus: str
    progress_file: str | None = None


@dataclass
class ShardMetrics:
    """What a replica did in a round: words of the corpus, words kept after subsampling, pairs, the loss summed over
    sampled pairs, the bytes of the rows that it sent, and how often and how long it met the others within the round.
    """

    round: int
    shard: int
    words: int = 0
    words_kept: int = 0
    pairs: int = 0
    loss_sum: float = 0.0
    loss_pairs: int = 0
    bytes_sent: int = 0
    threads: int = 1
    seconds_open: float = 0.0
    seconds_train: float = 0.0
    syncs: int = 0
    seconds_sync: float = 0.0
    host: str = field(default_factory=socket.gethostname)
    processor: str = ""

    def to_batch(self) -> pa.RecordBatch:
        """As a row of CHANGE_SCHEMA."""
        told = json.dumps({"kind": "shard", **vars(self)}).encode()
        return change_batch(ROUND_METRICS, 0, self.shard, told)


class Shard:
    """A replica with its share of the corpus, opened for a round on the GPU with that number or on the CPU."""

    def __init__(self, job: ShardJob, shard: int, device: int | None):
        started = time.perf_counter()
        self.job, self.work = job, Place.open(job.output).child(store.WORK)
        sampling = read_sampling(job.vocabulary, job.params)
        self.words = len(sampling.counts)
        self.replica: Replica = open_replica(job.params, sampling, self.base_rows, device)
        # how many words of each row were trained since the last merge, where the merge weighs by that
        self.counts = np.zeros(self.words, np.int64) if job.params.merge_rule == "count_weighted" else None
        corpus = Place.open(job.corpus)
        index = CorpusIndex.read(corpus)
        replicas = job.params.replicas
        self._reader, self._buckets = CorpusReader(corpus, index), replica_buckets(index, shard, replicas)
        text = index.words(), index.sentences()
        self._terms = _read_terms(job.vocabulary, job.params, *text) if weighs(job.params) else None
        self._report = _progress_reporter(job.progress_file, shard)
        self.metrics = ShardMetrics(
            job.round.number, shard, threads=job.params.threads, processor=self.replica.processor
        )
        self.metrics.seconds_open = time.perf_counter() - started

    def base_rows(self, matrix: str) -> list[Blocks]:
        """The first row and the rows of each block of the model that the round starts from, file by file."""
        size, step = self.job.params.vector_size, rows_per_block(self.job.params.vector_size)

        def rows(stream: Iterator[tuple[int, pa.Buffer]]) -> Blocks:
            for block, values in stream:
                yield block * step, np.frombuffer(values, "<f4").reshape(-1, size)

        return [rows(stream) for stream in self.job.base.streams(self.work, matrix)]

    def train(self, stretch: Round) -> None:
        """Train the replica's share of a stretch."""
        started, metrics = time.perf_counter(), self.metrics
        pieces = replica_pieces(self._reader, self._buckets, stretch, self.job.params.seed, metrics.threads)
        if self.replica.piece_words:
            pieces = joined(pieces, self.replica.piece_words)
        for piece, (kept, pairs, loss_sum, loss_pairs) in in_threads(self.replica.train, pieces, metrics.threads):
            metrics.words += len(piece.ids)
            metrics.words_kept += kept
            metrics.pairs += pairs
            metrics.loss_sum += loss_sum
            metrics.loss_pairs += loss_pairs
            if self.counts is not None:
                np.add.at(self.counts, piece.ids, 1)
            self._report(metrics)
        metrics.seconds_train += time.perf_counter() - started

    def weights(self, stretch: Round) -> Weights | None:
        """What the changes of a stretch count for that has just been trained; None where replicas do not weigh them."""
        return self._terms.weights(stretch, self.replica.rows) if self._terms else None


def train_shard(job: ShardJob, number: int, device: int | None = None) -> Iterator[pa.RecordBatch]:
    """Train replica `number`; yields what it changed, block by block (CHANGE_SCHEMA), then its metrics.

    A replica that is alone has nothing to merge with: its blocks are the new model, as shard BASE.
    """
    shard = Shard(job, number, device)
    shard.train(job.round)
    for batch in _new_model(shard) if job.params.num_replicas == 1 else _changes(shard, number):
        shard.metrics.bytes_sent += batch.nbytes
        yield batch
    yield shard.metrics.to_batch()


@lru_cache(maxsize=1)
def _read_terms(vocabulary: Vocabulary, params: Params, words: int, sentences: int) -> Terms:
    """Kept, like the sampling, by a worker process that Spark reuses from round to round."""
    return Terms.of_sampling(read_sampling(vocabulary, params), params, words, sentences)


def change_of(
    now: ReadRows,
    matrix: str,
    first: int,
    before: Floats,
    counts: npt.NDArray[np.int64] | None,
    weights: Weights | None,
) -> Change:
    """A replica's change of the rows from `first` on, which were `before`; `now` reads them as they are. `weights`
    scale it, where the rule has replicas do that; `counts`, how many words of each row of the matrix the replica
    trained, go with it where the merge weighs by them.
    """
    from w2v_spark.kernels.changes import changed_rows, to_halves

    rows, values = changed_rows(now(matrix, first, first + len(before)), before)
    if weights:
        values = weights.weighed(matrix, rows + first, values)
    of_rows = None if counts is None else counts[first : first + len(before)][rows]
    # a change too large for half precision has diverged, and infinity tells it
    return Change(rows, to_halves(values), of_rows)


def _new_model(shard: Shard) -> Iterator[pa.RecordBatch]:
    """The model, block by block."""
    size, step = shard.job.params.vector_size, rows_per_block(shard.job.params.vector_size)
    for matrix in MATRICES:
        for block, first in enumerate(range(0, shard.words, step)):
            values = np.ascontiguousarray(shard.replica.rows(matrix, first, min(first + step, shard.words))[:, :size])
            yield change_batch(matrix, block, BASE, values)


def _changes(shard: Shard, number: int) -> Iterator[pa.RecordBatch]:
    """What changed, block by block; the base is read again rather than kept, so that a replica holds one copy of the
    model.
    """
    step, weights = rows_per_block(shard.job.params.vector_size), shard.weights(shard.job.round)

    def changed(matrix: str, blocks: Blocks) -> Iterator[pa.RecordBatch]:
        for first, before in blocks:
            change = change_of(shard.replica.rows, matrix, first, before, shard.counts, weights)
            if len(change.rows):
                yield change_batch(matrix, first // step, number, change.values, change.rows, change.counts)

    streams = [changed(matrix, blocks) for matrix in MATRICES for blocks in shard.base_rows(matrix)]
    yield from side_by_side(streams, shard.metrics.threads)


def _progress_reporter(path: str | None, shard: int) -> Callable[[ShardMetrics], None]:
    """Writes words, loss and pairs so far to the shard's slot of a file that the driver watches (local mode only),
    else does nothing.
    """
    if path is None or not os.path.exists(path):
        return lambda metrics: None
    with open(path, "r+b") as file:
        slots = np.frombuffer(mmap.mmap(file.fileno(), 0), np.float64).reshape(-1, 3)

    def report(metrics: ShardMetrics) -> None:
        slots[shard] = metrics.words, metrics.loss_sum, metrics.loss_pairs

    return report

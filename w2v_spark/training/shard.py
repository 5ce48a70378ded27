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
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from w2v_spark import store, workdir
from w2v_spark.params import Params
from w2v_spark.place import Place
from w2v_spark.training.merge import Change
from w2v_spark.training.replica import Blocks, Replica, Result, open_replica, read_sampling
from w2v_spark.training.schedule import Round
from w2v_spark.training.sentences import Piece, joined, replica_buckets, replica_pieces
from w2v_spark.workdir import MATRICES, CorpusIndex, CorpusReader, Float32Matrix, Pointer, Vocabulary


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
    sampled pairs, and the bytes of the rows that it sent.
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
    host: str = field(default_factory=socket.gethostname)
    processor: str = ""

    def to_bytes(self) -> bytes:
        return json.dumps({"kind": "shard", **vars(self)}).encode()


def train_shard(job: ShardJob, shard: int, device: int | None = None) -> Iterator[pa.RecordBatch]:
    """Train replica number `shard`, on the GPU with that number or on the CPU; yields what it changed, block by block
    (CHANGE_SCHEMA), then its metrics.

    A replica that is alone has nothing to merge with: its blocks are the new model, as shard BASE.
    """
    params, started = job.params, time.perf_counter()
    work = Place.open(job.output).child(store.WORK)
    sampling = read_sampling(job.vocabulary, params)
    replica = open_replica(params, sampling, lambda matrix: _base_rows(job, work, matrix), device)
    counts = np.zeros(len(sampling.counts), np.int64) if params.merge_rule == "count_weighted" else None
    metrics = ShardMetrics(
        job.round.number, shard, threads=params.threads_per_replica or 1, processor=replica.processor
    )
    metrics.seconds_open = time.perf_counter() - started
    corpus = Place.open(job.corpus)
    index = CorpusIndex.read(corpus)
    buckets = replica_buckets(index, shard, params.num_replicas or 1)
    pieces = replica_pieces(CorpusReader(corpus, index), buckets, job.round, params.seed)
    if replica.piece_words:
        pieces = joined(pieces, replica.piece_words)
    report = _progress_reporter(job.progress_file, shard)
    started = time.perf_counter()
    for piece, result in run_pieces(replica.train, pieces, metrics.threads):
        kept, pairs, loss_sum, loss_pairs = result
        metrics.words += len(piece.ids)
        metrics.words_kept += kept
        metrics.pairs += pairs
        metrics.loss_sum += loss_sum
        metrics.loss_pairs += loss_pairs
        if counts is not None:
            np.add.at(counts, piece.ids, 1)
        report(metrics)
    metrics.seconds_train = time.perf_counter() - started
    words, alone = len(sampling.counts), params.num_replicas == 1
    for batch in _new_model(job, replica, words) if alone else _changes(job, work, replica, shard, counts):
        metrics.bytes_sent += batch.nbytes
        yield batch
    yield workdir.change_batch(workdir.ROUND_METRICS, 0, shard, metrics.to_bytes())


def change_of(
    replica: Replica, matrix: str, first: int, before: Float32Matrix, counts: npt.NDArray[np.int64] | None
) -> Change:
    """What a replica made of the rows from `first` on, which were `before`; `counts`: how many words of each row of the
    matrix it trained, where the merge weighs by that.
    """
    from w2v_spark.kernels.fold import changed_rows

    rows, values = changed_rows(replica.rows(matrix, first, first + len(before)), before)
    with np.errstate(over="ignore"):  # a change that large has diverged, and infinity tells it
        halves = values.astype(np.float16)
    return Change(rows, halves, None if counts is None else counts[first : first + len(before)][rows])


def _base_rows(job: ShardJob, work: Place, matrix: str) -> Blocks:
    """The first row and the rows of each block of the model that the round starts from."""
    size, step = job.params.vector_size, workdir.rows_per_block(job.params.vector_size)
    for block, values in job.base.blocks(work, matrix):
        yield block * step, np.frombuffer(values, "<f4").reshape(-1, size)


def _new_model(job: ShardJob, replica: Replica, words: int) -> Iterator[pa.RecordBatch]:
    """The model, block by block."""
    size, step = job.params.vector_size, workdir.rows_per_block(job.params.vector_size)
    for matrix in MATRICES:
        for block, first in enumerate(range(0, words, step)):
            values = np.ascontiguousarray(replica.rows(matrix, first, min(first + step, words))[:, :size])
            yield workdir.change_batch(matrix, block, workdir.BASE, values)


def _changes(
    job: ShardJob, work: Place, replica: Replica, shard: int, counts: npt.NDArray[np.int64] | None
) -> Iterator[pa.RecordBatch]:
    """What changed, block by block; the base is read again rather than kept, so that a replica holds one copy of the
    model.
    """
    step = workdir.rows_per_block(job.params.vector_size)
    for matrix in MATRICES:
        for first, before in _base_rows(job, work, matrix):
            change = change_of(replica, matrix, first, before, counts)
            if len(change.rows):
                yield workdir.change_batch(matrix, first // step, shard, change.values, change.rows, change.counts)


def run_pieces(
    train: Callable[[Piece], Result], pieces: Iterator[Piece], threads: int
) -> Iterator[tuple[Piece, Result]]:
    """Train the pieces on so many threads while the next are read; with one thread they run one after another in their
    order.
    """
    waiting: dict[Future[Result], Piece] = {}
    with ThreadPoolExecutor(threads) as pool:
        for piece in pieces:
            waiting[pool.submit(train, piece)] = piece
            if len(waiting) > 2 * threads:
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                yield from [(waiting.pop(f), f.result()) for f in done]
        yield from [(piece, future.result()) for future, piece in waiting.items()]


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

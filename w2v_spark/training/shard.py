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
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from w2v_spark import store, workdir
from w2v_spark.corpus.noise import alias_table, keep_probability, noise_distribution
from w2v_spark.params import Params
from w2v_spark.place import Place
from w2v_spark.training.merge import Change
from w2v_spark.training.schedule import Round, replica_step_size, step_at
from w2v_spark.training.sentences import Piece, replica_buckets, replica_pieces
from w2v_spark.workdir import MATRICES, CorpusIndex, CorpusReader, Float32Matrix, Pointer

_FULL = np.float64(2**32 - 1)


@dataclass(frozen=True)
class ShardJob:
    """All that a task is told: where the run lies, how to train (every parameter resolved), which round, on which
    model.
    """

    output: str
    params: Params
    round: Round
    base: Pointer
    vocab_files: list[dict[str, Any]]
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
    cpu: str = ""

    def to_bytes(self) -> bytes:
        return json.dumps({"kind": "shard", **vars(self)}).encode()


def train_shard(job: ShardJob, shard: int) -> Iterator[pa.RecordBatch]:
    """Train replica number `shard`; yields what it changed, block by block (CHANGE_SCHEMA), then its metrics.

    A replica that is alone has nothing to merge with: its blocks are the new model, as shard BASE.
    """
    from w2v_spark.kernels.cpu_sgns import cpu_name

    started = time.perf_counter()
    work = Place.open(job.output).child(store.WORK)
    replica = Replica.open(job, work)
    metrics = ShardMetrics(job.round.number, shard, threads=job.params.threads_per_replica or 1, cpu=cpu_name())
    metrics.seconds_open = time.perf_counter() - started
    index = CorpusIndex.read(work)
    buckets = replica_buckets(index, shard, job.params.num_replicas or 1)
    pieces = replica_pieces(CorpusReader(work, index), buckets, job.round, job.params.seed)
    report = _progress_reporter(job.progress_file, shard)
    started = time.perf_counter()
    for piece, result in run_pieces(replica.train, pieces, metrics.threads):
        kept, pairs, loss_sum, loss_pairs = result
        metrics.words += len(piece.ids)
        metrics.words_kept += kept
        metrics.pairs += pairs
        metrics.loss_sum += loss_sum
        metrics.loss_pairs += loss_pairs
        report(metrics)
    metrics.seconds_train = time.perf_counter() - started
    alone = job.params.num_replicas == 1
    for batch in replica.blocks() if alone else replica.changes(job.base, work, shard):
        metrics.bytes_sent += batch.nbytes
        yield batch
    yield workdir.change_batch(workdir.ROUND_METRICS, 0, shard, metrics.to_bytes())


@dataclass(frozen=True)
class Replica:
    """A model in memory with all that its kernel needs."""

    params: Params
    syn0: Float32Matrix
    syn1: Float32Matrix
    vocabulary: Sampling
    kernel: Any
    step_size: float
    # words trained of each row, where the merge weighs by it
    counts: npt.NDArray[np.int64] | None

    @classmethod
    def open(cls, job: ShardJob, work: Place) -> Replica:
        """Read the base model."""
        from w2v_spark.kernels.cpu_sgns import padded_size

        params = job.params
        sampling = _sampling(job.output, json.dumps(job.vocab_files), params.sample, params.noise_exponent)
        shape = (len(sampling.keep), params.vector_size, padded_size(params.vector_size))
        syn0, syn1 = (job.base.read_matrix(work, matrix, *shape) for matrix in MATRICES)
        return cls.of_model(params, syn0, syn1, sampling)

    @classmethod
    def of_model(cls, params: Params, syn0: Float32Matrix, syn1: Float32Matrix, sampling: Sampling) -> Replica:
        """A replica of a model (words x padded vector size), which it trains in place."""
        from w2v_spark.kernels.cpu_sgns import compile_sgns

        kernel = compile_sgns(params.vector_size, params.window_size, params.negative)
        step_size = replica_step_size(params.step_size, params.num_replicas or 1)
        counts = np.zeros(len(syn0), np.int64) if params.merge_rule == "count_weighted" else None
        return cls(params, syn0, syn1, sampling, kernel, step_size, counts)

    def train(self, piece: Piece) -> tuple[int, int, float, int]:
        """Train a piece: words kept, pairs, loss summed over sampled pairs, sampled pairs."""
        p, s = self.params, self.vocabulary
        step_from, step_to = (
            step_at(at, p.max_iter, self.step_size, p.min_step_size) for at in (piece.start, piece.stop)
        )
        result = self.kernel(
            piece.ids,
            piece.offsets,
            self.syn0,
            self.syn1,
            s.keep,
            s.noise_probability,
            s.noise_alias,
            step_from,
            step_to,
            np.uint64(piece.key),
        )
        if self.counts is not None:
            np.add.at(self.counts, piece.ids, 1)
        return result  # type: ignore[no-any-return]

    def blocks(self) -> Iterator[pa.RecordBatch]:
        """The model, block by block."""
        size, step = self.params.vector_size, workdir.rows_per_block(self.params.vector_size)
        for matrix, now in zip(MATRICES, (self.syn0, self.syn1), strict=True):
            for block, first in enumerate(range(0, len(now), step)):
                values = np.ascontiguousarray(now[first : first + step, :size])
                yield workdir.change_batch(matrix, block, workdir.BASE, values)

    def changes(self, base: Pointer, work: Place, shard: int) -> Iterator[pa.RecordBatch]:
        """What changed, block by block; the base is read again rather than kept, so that a replica holds one copy of
        the model.
        """
        size, step = self.params.vector_size, workdir.rows_per_block(self.params.vector_size)
        for matrix, now in zip(MATRICES, (self.syn0, self.syn1), strict=True):
            for block, values in base.blocks(work, matrix):
                before = np.frombuffer(values, "<f4").reshape(-1, size)
                change = self.change(now, slice(block * step, block * step + len(before)), before)
                if len(change.rows):
                    yield workdir.change_batch(matrix, block, shard, change.values, change.rows, change.counts)

    def change(self, now: Float32Matrix, rows: slice, before: Float32Matrix) -> Change:
        """What this replica made of some rows of a matrix, which were `before`."""
        from w2v_spark.kernels.fold import changed_rows

        changed, values = changed_rows(now[rows], before)
        return Change(changed, values, None if self.counts is None else self.counts[rows][changed])


@dataclass(frozen=True)
class Sampling:
    """Keep probabilities and noise distribution of the vocabulary, as kernels take them: probabilities as uint32."""

    keep: npt.NDArray[np.uint32]
    noise_probability: npt.NDArray[np.uint32]
    noise_alias: npt.NDArray[np.int32]

    @classmethod
    def of_counts(cls, counts: npt.NDArray[np.int64], sample: float, noise_exponent: float) -> Sampling:
        table = alias_table(noise_distribution(counts, noise_exponent))
        return cls((keep_probability(counts, sample) * _FULL).astype(np.uint32), table.probability, table.alias)


@lru_cache(maxsize=1)
def _sampling(output: str, vocab_files: str, sample: float, noise_exponent: float) -> Sampling:
    """Kept by a worker process that Spark reuses from round to round."""
    counts = store.read_vocabulary(Place.open(output).child(store.WORK), json.loads(vocab_files))["count"].to_numpy()
    return Sampling.of_counts(counts, sample, noise_exponent)


def run_pieces(
    train: Callable[[Piece], tuple[int, int, float, int]], pieces: Iterator[Piece], threads: int
) -> Iterator[tuple[Piece, tuple[int, int, float, int]]]:
    """Train the pieces on so many threads while the next are read; with one thread they run one after another in their
    order.
    """
    waiting: dict[Future[tuple[int, int, float, int]], Piece] = {}
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

"""Many replicas on one machine: trained with the product's own shard reader, kernel, schedule and merge, but without
Spark.

Every replica lives in memory (2 x words x vector size x 4 bytes each), so that the most frequent words can be merged
more often than all of them, which Spark's rounds do not do.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from w2v_spark import store
from w2v_spark.corpus.vocab import initial_vectors
from w2v_spark.kernels.cpu_sgns import padded_size
from w2v_spark.params import Params
from w2v_spark.place import Place
from w2v_spark.training.merge import fold
from w2v_spark.training.schedule import Round, plan_rounds
from w2v_spark.training.sentences import replica_buckets, replica_pieces
from w2v_spark.training.shard import Replica, Sampling
from w2v_spark.workdir import CorpusIndex, CorpusReader, Float32Matrix, rows_per_block


@dataclass(frozen=True)
class Corpus:
    """An encoded corpus and its vocabulary."""

    work: Place
    index: CorpusIndex
    words: list[str]
    counts: npt.NDArray[np.int64]

    @classmethod
    def open(cls, output: str) -> Corpus:
        work = Place.open(output).child(store.WORK)
        files = [f.to_dict() for f in work.child(store.VOCAB).files()]
        vocab = store.read_vocabulary(work, files)
        return cls(work, CorpusIndex.read(work), vocab["word"].to_pylist(), vocab["count"].to_numpy())


@dataclass(frozen=True)
class Sync:
    """A stretch of training, then a merge of the first `rows` words."""

    round: Round
    rows: int


Ladder = dict[int, int]


def plan_syncs(rounds: list[Round], words: int, ladder: Ladder) -> list[Sync]:
    """Each round cut so that the first `rows` words merge `times` as often as all, for each rows: times of the ladder;
    times divide one another.
    """
    finest = max(ladder.values(), default=1)
    bands = {finest // times: rows for rows, times in ladder.items()} | {finest: words}
    syncs = []
    for whole in rounds:
        for i in range(finest):
            start, stop = (whole.start + (whole.stop - whole.start) * k / finest for k in (i, i + 1))
            rows = max(rows for every, rows in bands.items() if (i + 1) % every == 0)
            stop = whole.stop if i + 1 == finest else stop
            syncs.append(Sync(Round(len(syncs) + 1, start, stop), min(rows, words)))
    return syncs


def volume(syncs: list[Sync], words: int, epochs: int) -> float:
    """Rows merged in an epoch, in models."""
    return sum(sync.rows for sync in syncs) / words / epochs


class Simulation:
    """The replicas of a run, and the model they last agreed on."""

    def __init__(self, corpus: Corpus, params: Params):
        self.corpus, self.params = corpus, params
        size, padded = params.vector_size, padded_size(params.vector_size)
        self.base = [initial_vectors(corpus.words, size, params.seed), np.zeros((len(corpus.words), size), np.float32)]
        sampling = Sampling.of_counts(corpus.counts, params.sample, params.noise_exponent)
        self.replicas = []
        for _ in range(params.num_replicas or 1):
            matrices = [np.pad(matrix, ((0, 0), (0, padded - size))) for matrix in self.base]
            self.replicas.append(Replica.of_model(params, matrices[0], matrices[1], sampling))
        self.readers = [CorpusReader(corpus.work, corpus.index) for _ in self.replicas]

    def run(self, syncs: list[Sync], threads: int) -> Float32Matrix:
        """Train and merge; syn0 at the end."""
        with ThreadPoolExecutor(threads) as pool:
            for sync in syncs:
                list(pool.map(lambda shard: self.train(shard, sync.round), range(len(self.replicas))))  # noqa: B023
                step = rows_per_block(self.params.vector_size)
                for matrix in (0, 1):
                    starts = range(0, sync.rows, step)
                    list(
                        pool.map(
                            self.merge, [matrix] * len(starts), (slice(i, min(i + step, sync.rows)) for i in starts)
                        )
                    )
        return self.base[0]

    def train(self, shard: int, round: Round) -> None:
        """A replica's part of a round, on one thread."""
        buckets = replica_buckets(self.corpus.index, shard, len(self.replicas))
        for piece in replica_pieces(self.readers[shard], buckets, round, self.params.seed):
            self.replicas[shard].train(piece)

    def merge(self, matrix: int, rows: slice) -> None:
        """Merge a block of rows, and give the result to all."""
        base = self.base[matrix][rows]
        live = [(replica, (replica.syn0, replica.syn1)[matrix]) for replica in self.replicas]
        changes = (replica.change(now, rows, base) for replica, now in live)
        base[:] = fold(self.params.merge_rule, base, changes, len(live))
        for replica, now in live:
            now[rows, : base.shape[1]] = base
            if matrix == 1 and replica.counts is not None:
                replica.counts[rows] = 0


def simulate(corpus: Corpus, params: Params, ladder: Ladder | None = None, threads: int = 2) -> Float32Matrix:
    """syn0 after training with params.num_replicas replicas, merged as the product merges, `ladder` apart."""
    rounds = plan_rounds(params.max_iter, params.rounds_per_epoch or 1, params.num_replicas or 1)
    return Simulation(corpus, params).run(plan_syncs(rounds, len(corpus.words), ladder or {}), threads)

"""Many replicas on one machine: trained with the product's own shard reader, kernel, schedule and merge, but without
Spark.

Every replica lives in memory: 2 x words x vector size x 4 bytes each.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import numpy as np
from encoded import EncodedRun

from w2v_spark.corpus.vocab import initial_vectors
from w2v_spark.params import Params
from w2v_spark.training.merge import fold
from w2v_spark.training.replica import Sampling, open_replica
from w2v_spark.training.schedule import Ladder, Round, Sync, plan_rounds, plan_syncs
from w2v_spark.training.sentences import replica_buckets, replica_pieces
from w2v_spark.training.shard import change_of
from w2v_spark.workdir import MATRICES, CorpusReader, Float32Matrix, rows_per_block


def all_syncs(params: Params, words: int, ladder: Ladder) -> list[Sync]:
    """Those of a whole run on a vocabulary of so many words."""
    rounds = plan_rounds(params.max_iter, params.rounds_per_epoch or 1, params.num_replicas or 1, ladder.merges)
    return [sync for round in rounds for sync in plan_syncs(round, words, ladder.frequent)]


def volume(syncs: list[Sync], words: int, epochs: int) -> float:
    """Rows merged in an epoch, in models."""
    return sum(sync.rows for sync in syncs) / words / epochs


class Simulation:
    """The replicas of a run, and the model they last agreed on."""

    def __init__(self, corpus: EncodedRun, params: Params):
        self.corpus, self.params = corpus, params
        size = params.vector_size
        self.base = [initial_vectors(corpus.words, size, params.seed), np.zeros((len(corpus.words), size), np.float32)]
        sampling = Sampling.of_counts(corpus.counts, params)
        blocks = {matrix: [(0, rows)] for matrix, rows in zip(MATRICES, self.base, strict=True)}
        replicas = range(params.num_replicas or 1)
        self.replicas = [open_replica(params, sampling, blocks.__getitem__, None) for _ in replicas]
        weighs = params.merge_rule == "count_weighted"
        self.counts = [np.zeros(len(corpus.words), np.int64) if weighs else None for _ in replicas]
        self.readers = [CorpusReader(corpus.parent, corpus.index) for _ in self.replicas]

    def run(self, syncs: list[Sync], threads: int) -> Float32Matrix:
        """Train and merge; syn0 at the end."""
        with ThreadPoolExecutor(threads) as pool:
            for sync in syncs:
                list(pool.map(self.train, range(len(self.replicas)), repeat(sync.stretch)))
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
            counts = self.counts[shard]
            if counts is not None:
                np.add.at(counts, piece.ids, 1)

    def merge(self, matrix: int, rows: slice) -> None:
        """Merge a block of rows, and give the result to all."""
        base, name = self.base[matrix][rows], MATRICES[matrix]
        pairs = list(zip(self.replicas, self.counts, strict=True))
        changes = (change_of(replica, name, rows.start, base, counts) for replica, counts in pairs)
        base[:] = fold(self.params.merge_rule, base, changes, len(pairs))
        for replica, counts in pairs:
            replica.write(name, rows.start, base)
            if matrix == 1 and counts is not None:
                counts[rows] = 0


def simulate(corpus: EncodedRun, params: Params, ladder: Ladder | None = None, threads: int = 2) -> Float32Matrix:
    """syn0 after training with params.num_replicas replicas, merged as the product merges them through storage or, with
    a ladder, directly.
    """
    syncs = all_syncs(params, len(corpus.words), ladder or Ladder())
    return Simulation(corpus, params).run(syncs, threads)

"""Many replicas on one machine: trained with the product's own shard reader, kernel, schedule and merge, but without
Spark.

Every replica lives in memory: 2 x words x vector size x 4 bytes each.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import numpy as np
from encoded import EncodedRun

from w2v_spark.array_types import Floats
from w2v_spark.corpus.vocab import initial_vectors
from w2v_spark.params import Params
from w2v_spark.training.merge import fold, weighs
from w2v_spark.training.replica import Sampling, open_replica
from w2v_spark.training.schedule import Round, plan_rounds
from w2v_spark.training.sentences import replica_buckets, replica_pieces
from w2v_spark.training.sequential import Terms, Weights
from w2v_spark.training.shard import change_of
from w2v_spark.workdir.blocks import MATRICES, rows_per_block
from w2v_spark.workdir.corpus import CorpusReader


class Simulation:
    """The replicas of a run, and the model they last agreed on."""

    def __init__(self, corpus: EncodedRun, params: Params):
        self.corpus, self.params = corpus, params
        size = params.vector_size
        self.base = [initial_vectors(corpus.words, size, params.seed), np.zeros((len(corpus.words), size), np.float32)]
        sampling = Sampling.of_counts(corpus.counts, params)
        blocks = {matrix: [[(0, rows)]] for matrix, rows in zip(MATRICES, self.base, strict=True)}
        replicas = range(params.num_replicas or 1)
        self.replicas = [open_replica(params, sampling, blocks.__getitem__, None) for _ in replicas]
        counted = params.merge_rule == "count_weighted"
        self.counts = [np.zeros(len(corpus.words), np.int64) if counted else None for _ in replicas]
        text = corpus.index.words(), corpus.index.sentences()
        self.terms = Terms.of_sampling(sampling, params, *text) if weighs(params) else None
        self.weights: list[Weights | None] = [None for _ in replicas]
        self.readers = [CorpusReader(corpus.parent, corpus.index) for _ in self.replicas]

    def run(self, stretches: list[Round], threads: int) -> Floats:
        """Train and merge; syn0 at the end."""
        words, step = len(self.corpus.words), rows_per_block(self.params.vector_size)
        blocks = [(m, slice(i, min(i + step, words))) for m in (0, 1) for i in range(0, words, step)]
        with ThreadPoolExecutor(threads) as pool:
            for stretch in stretches:
                list(pool.map(self.train, range(len(self.replicas)), repeat(stretch)))
                list(pool.map(self.merge, *zip(*blocks, strict=True)))
                # not before both matrices are merged, which may happen at once
                for counts in self.counts:
                    if counts is not None:
                        counts[:] = 0
        return self.base[0]

    def train(self, shard: int, round: Round) -> None:
        """A replica's part of a round, on one thread."""
        buckets = replica_buckets(self.corpus.index, shard, len(self.replicas))
        for piece in replica_pieces(self.readers[shard], buckets, round, self.params.seed):
            self.replicas[shard].train(piece)
            counts = self.counts[shard]
            if counts is not None:
                np.add.at(counts, piece.ids, 1)
        if self.terms:
            self.weights[shard] = self.terms.weights(round, self.replicas[shard].rows)

    def merge(self, matrix: int, rows: slice) -> None:
        """Merge a block of rows, and give the result to all."""
        base, name = self.base[matrix][rows], MATRICES[matrix]
        each = zip(self.replicas, self.counts, self.weights, strict=True)
        changes = (
            change_of(replica.rows, name, rows.start, base, counts, weights) for replica, counts, weights in each
        )
        base[:] = fold(self.params.merge_rule, base, changes, len(self.replicas))
        for replica in self.replicas:
            replica.write(name, rows.start, base)


def simulate(corpus: EncodedRun, params: Params, threads: int = 2) -> Floats:
    """syn0 after training with params.num_replicas replicas, merged as the product merges them."""
    rounds = plan_rounds(params.max_iter, params.rounds_per_epoch or 1, params.num_replicas or 1)
    return Simulation(corpus, params).run(rounds, threads)

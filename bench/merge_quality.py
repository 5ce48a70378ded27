"""Simulates many replicas on one machine and prints the quality of their merged vectors.

Trains the replicas of each round one after another with the product's own shard reader, kernel, schedule and merge, on
a corpus that the
product encoded:

    ./spark-submit.sh jobs/train.py --input TEXT --output out/bench --max-iter 1 --keep-work
    .venv/bin/python bench/merge_quality.py --model out/bench --analogies questions-words.txt --pairs ws353.txt
    --replicas 1 4 32

Options with several values are crossed: every combination is a row.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from w2v_spark import store
from w2v_spark.corpus.vocab import initial_vectors
from w2v_spark.kernels.cpu_sgns import padded_size
from w2v_spark.params import Params
from w2v_spark.place import Place
from w2v_spark.training.merge import fold
from w2v_spark.training.schedule import auto_rounds_per_epoch, plan_rounds
from w2v_spark.training.sentences import replica_buckets, replica_pieces
from w2v_spark.training.shard import Replica, Sampling, run_pieces
from w2v_spark.vectors.evaluate import evaluate_analogies, evaluate_pairs
from w2v_spark.vectors.vectors import Vectors
from w2v_spark.workdir import CorpusIndex, CorpusReader, Float32Matrix

_HEADER = (
    "replicas  rounds/epoch  rule          step   seed  total %  semantic  syntactic   pairs  longest row  seconds"
)


@dataclass(frozen=True)
class Corpus:
    """An encoded corpus and its vocabulary."""

    reader: CorpusReader
    index: CorpusIndex
    words: list[str]
    counts: np.ndarray

    @classmethod
    def open(cls, output: str) -> Corpus:
        place = Place.open(output)
        work = place.child(store.WORK)
        files = [f.to_dict() for f in work.child(store.VOCAB).files()]
        vocab = store.read_vocabulary(work, files)
        index = CorpusIndex.read(work)
        return cls(CorpusReader(work, index), index, vocab["word"].to_pylist(), vocab["count"].to_numpy())


def simulate(corpus: Corpus, params: Params, threads: int) -> Float32Matrix:
    """syn0 after training with params.num_replicas replicas, merged as the product merges."""
    size, replicas = params.vector_size, params.num_replicas or 1
    sampling = Sampling.of_counts(corpus.counts, params.sample, params.noise_exponent)
    shape = (len(corpus.words), padded_size(size))
    base = np.zeros((2 * len(corpus.words), size), np.float32)
    base[: len(corpus.words)] = initial_vectors(corpus.words, size, params.seed)
    syn0, syn1 = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for planned in plan_rounds(params.max_iter, params.rounds_per_epoch or 1, replicas):

        def deltas(before: Float32Matrix = base, planned=planned) -> Iterator[Float32Matrix]:  # type: ignore[no-untyped-def]
            for shard in range(replicas):
                syn0[:, :size], syn1[:, :size] = np.split(before, 2)
                replica = Replica.of_model(params, syn0, syn1, sampling)
                pieces = replica_pieces(
                    corpus.reader, replica_buckets(corpus.index, shard, replicas), planned, params.seed
                )
                for _ in run_pieces(replica.train, pieces, threads):
                    pass
                yield np.concatenate((syn0[:, :size], syn1[:, :size])) - before

        base = fold(params.merge_rule, base, deltas())
    return base[: len(corpus.words)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="output of a run with --keep-work")
    parser.add_argument("--analogies", type=Path)
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--rounds-per-epoch", type=int, nargs="+", default=[0], help="0: as the product chooses")
    parser.add_argument("--rule", nargs="+", default=["adasum"])
    parser.add_argument("--step-size", type=float, nargs="+", default=[0.05], help="as one replica would use it")
    parser.add_argument("--seed", type=int, nargs="+", default=[1])
    parser.add_argument("--max-iter", type=int, default=3)
    parser.add_argument("--vector-size", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    corpus = Corpus.open(args.model)
    print(_HEADER, flush=True)
    crossed = itertools.product(args.replicas, args.rounds_per_epoch, args.rule, args.step_size, args.seed)
    for replicas, rounds, rule, step_size, seed in crossed:
        params = Params(
            vector_size=args.vector_size, max_iter=args.max_iter, num_replicas=replicas, merge_rule=rule, seed=seed,
            step_size=step_size, rounds_per_epoch=rounds or auto_rounds_per_epoch(replicas),
        )  # fmt: skip
        started = time.perf_counter()
        vectors = Vectors(corpus.words, simulate(corpus, params, args.threads), corpus.counts)
        seconds = time.perf_counter() - started
        scores = [float("nan")] * 4
        if args.analogies:
            report = evaluate_analogies(vectors, args.analogies, restrict_vocab=30_000)
            scores[:3] = [100 * s.correct / s.asked for s in (report.total, report.semantic, report.syntactic)]
        if args.pairs:
            scores[3] = 100 * evaluate_pairs(vectors, args.pairs).spearman
        longest = np.sqrt(np.einsum("ij,ij->i", vectors.vectors, vectors.vectors).max())
        settings = f"{replicas:8}  {params.rounds_per_epoch:12}  {rule:12}  {step_size:.3f}  {seed:4}"
        quality = f"{scores[0]:7.1f}  {scores[1]:8.1f}  {scores[2]:9.1f}  {scores[3]:6.1f}"
        print(f"{settings}  {quality}  {longest:11.1f}  {seconds:7.0f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

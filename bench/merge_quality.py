"""Simulates many replicas on one machine and prints the quality of their merged vectors.

Trains the replicas with the product's own shard reader, kernel, schedule and merge, one thread each, on a corpus that
the product encoded. With the same seed and schedule it gives the bytes that Spark gives with one thread a replica:

    ./spark-submit.sh jobs/train.py --input TEXT --output out/bench --max-iter 1 --keep-work
    .venv/bin/python bench/merge_quality.py --model out/bench --analogies questions-words.txt \
        --pairs ws353.txt SimLex999.txt --replicas 1 8 32 --seed 1 2 3

Options with several values are crossed: every combination is a row for each seed, then the mean of the seeds. Columns:
analogies in all, semantic, syntactic, and those with a word of the rarest third of the words that a test set names;
the files of pairs; analogies by their rarest word (<1k: all four among the first thousand, ...); mean length of rows of
the same bands, as a multiple of one replica's (of the last row with --replicas 1 and the same seed); seconds.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from encoded import EncodedRun
from job import markdown, markdown_row
from scores import BANDS, Scores, score
from simulate import simulate

from w2v_spark.kernels.cpu import ARCHITECTURES, LOSSES
from w2v_spark.params import Params
from w2v_spark.training.merge import RULES
from w2v_spark.training.schedule import auto_merges
from w2v_spark.vectors.vectors import Vectors


def main() -> None:
    args = _arguments()
    corpus = EncodedRun.open(args.model)
    print(_header(args.pairs), flush=True)
    lengths_of_one: dict[int, npt.NDArray[np.float64]] = {}
    settings = itertools.product(args.replicas, args.rounds_per_epoch, args.rule, args.step_size)
    for replicas, rounds, rule, step_size in settings:
        rows = []
        rounds = rounds or auto_merges(replicas, corpus.index.words(), rule)
        for seed in args.seed:
            params = Params(
                vector_size=args.vector_size, max_iter=args.max_iter, num_replicas=replicas, merge_rule=rule,
                seed=seed, step_size=step_size, threads_per_replica=1,
                rounds_per_epoch=rounds, architecture=args.architecture, loss=args.loss,
            )  # fmt: skip
            started = time.perf_counter()
            syn0 = simulate(corpus, params, threads=args.threads)
            seconds = time.perf_counter() - started
            scores = score(Vectors(corpus.words, syn0, corpus.counts), args.analogies, args.pairs)
            if replicas == 1:
                lengths_of_one[seed] = scores.norms
            rows.append(_row(scores, lengths_of_one.get(seed), seconds))
            print(_line(params, str(seed), rows[-1]), flush=True)
        if len(rows) > 1:
            print(_line(params, "mean", np.mean(rows, axis=0)), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="output of a run with --keep-work")
    parser.add_argument("--analogies", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, nargs="+", required=True)
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--rounds-per-epoch", type=int, nargs="+", default=[0], help="0: as the product chooses")
    parser.add_argument("--rule", nargs="+", default=[Params().merge_rule], choices=RULES)
    parser.add_argument("--step-size", type=float, nargs="+", default=[0.05], help="as one replica would use it")
    parser.add_argument("--architecture", default=Params().architecture, choices=ARCHITECTURES)
    parser.add_argument("--loss", default=Params().loss, choices=LOSSES)
    parser.add_argument("--seed", type=int, nargs="+", default=[1])
    parser.add_argument("--max-iter", type=int, default=3)
    parser.add_argument("--vector-size", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2, help="replicas trained at once")
    return parser.parse_args()


def _row(scores: Scores, lengths_of_one: npt.NDArray[np.float64] | None, seconds: float) -> npt.NDArray[np.float64]:
    ratios = scores.norms / (np.nan if lengths_of_one is None else lengths_of_one)
    return np.concatenate((scores.analogies, scores.pairs, scores.bands, ratios, [seconds]))


def _header(pairs: list[Path]) -> str:
    bands = [f"<{band // 1000}k" for band in BANDS]
    names = ["total", "sem", "syn", "rare", *(file.stem[:6] for file in pairs), *bands, *bands, "s"]
    return markdown([["replicas", "rounds", "rule", "step", "seed", *names]])


def _line(params: Params, seed: str, row: npt.NDArray[np.float64]) -> str:
    setting = [str(params.num_replicas), str(params.rounds_per_epoch), params.merge_rule, f"{params.step_size:g}", seed]
    scores, ratios, seconds = row[: -1 - len(BANDS)], row[-1 - len(BANDS) : -1], row[-1]
    cells = [f"{x:.1f}" for x in scores] + [f"{x:.2f}" for x in ratios] + [f"{seconds:.0f}"]
    return markdown_row([*setting, *cells])


if __name__ == "__main__":
    sys.exit(main())

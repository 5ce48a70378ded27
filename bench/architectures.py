"""Every architecture and loss beside gensim: python bench/architectures.py --corpus OUTPUT

OUTPUT is the output of a job that kept its encoded corpus (--keep-work). Our kernels are trained on it directly, as one
replica and without Spark, so that nothing but the kernels is timed; gensim gets the same sentences as a plain file
(`corpus_file`) and the same counts, parameters and threads. gensim has no full softmax, and ours takes the --words most
frequent words alone.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
from encoded import EncodedText
from gensim.models import Word2Vec

from w2v_spark.corpus.random import random_key
from w2v_spark.corpus.vocab import initial_vectors
from w2v_spark.kernels.aligned import aligned_matrix
from w2v_spark.kernels.cpu import ARCHITECTURES, LOSSES, compile_kernel
from w2v_spark.kernels.sizes import whole_vectors
from w2v_spark.params import Params
from w2v_spark.training.replica import Sampling
from w2v_spark.training.schedule import learning_rate
from w2v_spark.vectors.evaluate import SCORED_WORDS, evaluate_analogies, evaluate_pairs
from w2v_spark.vectors.vectors import Vectors

WINDOW, NEGATIVE, EXPONENT, LOWEST_STEP = 5, 5, 0.75, 1e-4
_PIECE_WORDS = 1 << 16
_GENSIM_LONGEST_LINE = 10_000


def write_lines(text: EncodedText, path: Path) -> None:
    """As plain text, a sentence a line."""
    words = np.array(text.words, object)
    with path.open("w", encoding="utf-8") as out:
        for start, stop in zip(text.offsets[:-1], text.offsets[1:], strict=True):
            for at in range(start, stop, _GENSIM_LONGEST_LINE):
                out.write(" ".join(words[text.ids[at : min(stop, at + _GENSIM_LONGEST_LINE)]]) + "\n")


def train_ours(
    text: EncodedText, architecture: str, loss: str, args: argparse.Namespace
) -> tuple[Vectors, float, float]:
    """The vectors, the seconds of training, and the mean loss of the last epoch."""
    kernel = compile_kernel(architecture, loss, args.size, WINDOW, NEGATIVE, not args.sum, args.exclude_window)
    settings = {"architecture": architecture, "loss": loss, "window_size": WINDOW, "negative": NEGATIVE}
    steps = {"step_size": args.step or _usual_step(architecture), "min_step_size": LOWEST_STEP, "max_iter": args.epochs}
    params = Params(**settings, **steps, noise_exponent=EXPONENT, sample=args.sample)
    sampling = Sampling.of_counts(text.counts, params)
    words, width = len(text.words), whole_vectors(args.size)
    syn0, syn1 = aligned_matrix(words, width), aligned_matrix(kernel.output_rows(words), width)
    syn0[:, : args.size] = initial_vectors(text.words, args.size, args.seed)
    total = int(text.offsets[-1])

    def train(epoch: int, number: int, offsets: npt.NDArray[np.int64]) -> tuple[int, int, float, int]:
        at = [epoch + offset / total for offset in (offsets[0], offsets[-1])]
        steps = [learning_rate(params, position) for position in at]
        key = random_key(args.seed, epoch, number)
        tables = (sampling.keep, sampling.outputs)
        return kernel(text.ids, offsets, syn0, syn1, *tables, steps[0], steps[1], key)

    pieces, started = [offsets for _, offsets in text.chunks(_PIECE_WORDS)], time.perf_counter()
    with ThreadPoolExecutor(args.threads) as pool:
        for epoch in range(args.epochs):
            numbers = range(len(pieces))
            results = list(pool.map(train, [epoch] * len(pieces), numbers, pieces))
    seconds = time.perf_counter() - started
    mean_loss = sum(r[2] for r in results) / max(1, sum(r[3] for r in results))
    return Vectors(text.words, np.ascontiguousarray(syn0[:, : args.size])), seconds, mean_loss


def train_gensim(
    text: EncodedText, path: Path, architecture: str, loss: str, args: argparse.Namespace
) -> tuple[Vectors, float]:
    """The vectors, and the seconds of training."""
    hierarchical = loss == "hierarchical_softmax"
    model = Word2Vec(
        sg=int(architecture == "skip_gram"),
        hs=int(hierarchical),
        negative=0 if hierarchical else NEGATIVE,
        cbow_mean=int(not args.sum),
        vector_size=args.size,
        window=WINDOW,
        ns_exponent=EXPONENT,
        sample=args.sample,
        min_count=1,
        alpha=args.step or _usual_step(architecture),
        min_alpha=LOWEST_STEP,
        seed=args.seed,
        workers=args.threads,
        epochs=args.epochs,
    )
    model.build_vocab_from_freq(dict(zip(text.words, text.counts.tolist(), strict=True)))
    started = time.perf_counter()
    sentences, words = len(text.offsets) - 1, int(text.offsets[-1])
    model.train(corpus_file=str(path), total_examples=sentences, total_words=words, epochs=args.epochs)
    seconds = time.perf_counter() - started
    return Vectors(list(model.wv.index_to_key), np.asarray(model.wv.vectors, np.float32)), seconds


def _usual_step(architecture: str) -> float:
    """As word2vec.c has them."""
    return 0.05 if architecture == "cbow" else 0.025


def scores(vectors: Vectors, args: argparse.Namespace) -> str:
    """Analogies answered in percent and 100 times Spearman's rho of each file of pairs."""
    parts = []
    if args.analogies:
        report = evaluate_analogies(vectors, args.analogies, SCORED_WORDS)
        parts.append(f"analogies {100 * (report.total.accuracy or 0):5.1f}")
    for path in args.pairs:
        found = evaluate_pairs(vectors, path, len(vectors))
        parts.append(f"{Path(path).stem} {100 * (found.spearman or 0):5.1f}")
    return "  ".join(parts)


def main() -> None:
    """Train each pair, print a line for each."""
    args = _arguments(sys.argv[1:])
    text = EncodedText.of_run(args.corpus, args.share)
    few = text.most_frequent(args.words)
    with tempfile.TemporaryDirectory(prefix="w2v_spark-bench-") as scratch:
        path = Path(scratch, "corpus.txt")
        if not args.ours:
            write_lines(text, path)
        print(f"{text.offsets[-1]:,} words, {args.epochs} epochs, {args.threads} threads, {args.size} floats")
        for architecture, loss in product(args.architecture, args.loss):
            trained = few if loss == "softmax" else text
            per_second = {}
            for tool in ["ours"] if args.ours or loss == "softmax" else ["gensim", "ours"]:
                if tool == "ours":
                    vectors, seconds, mean_loss = train_ours(trained, architecture, loss, args)
                    note = f"loss {mean_loss:.3f}"
                else:
                    vectors, seconds = train_gensim(trained, path, architecture, loss, args)
                    note = ""
                speed = per_second[tool] = int(trained.offsets[-1]) * args.epochs / seconds
                if "gensim" in per_second and tool == "ours":
                    note += f"  {speed / per_second['gensim']:.1f} x gensim"
                line = f"{architecture:9} {loss:20} {tool:6} {speed:12,.0f} words/s  {scores(vectors, args)}  {note}"
                print(line, flush=True)


def _arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--corpus", required=True, metavar="OUTPUT", help="output of a job with --keep-work")
    parser.add_argument("--share", type=float, default=1.0, help="train on so much of the corpus (default all)")
    parser.add_argument("--architecture", nargs="+", choices=ARCHITECTURES, default=ARCHITECTURES)
    parser.add_argument("--loss", nargs="+", choices=LOSSES, default=LOSSES)
    parser.add_argument("--epochs", type=int, default=1, metavar="N", help="(default 1)")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="(default 2)")
    parser.add_argument("--size", type=int, default=100, metavar="N", help="floats of a vector (default 100)")
    parser.add_argument("--sample", type=float, default=1e-4, help="as --sample of training (default 1e-4)")
    parser.add_argument("--step", type=float, help="learning rate (default .025, for CBOW .05)")
    parser.add_argument("--sum", action="store_true", help="CBOW takes the sum of its contexts instead of their mean")
    parser.add_argument("--exclude-window", action="store_true", help="as --exclude-window of training; ours alone")
    parser.add_argument("--words", type=int, default=3000, metavar="N", help="vocabulary of softmax (default 3000)")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--ours", action="store_true", help="leave gensim out")
    parser.add_argument("--analogies", metavar="FILE", help="analogy questions, such as questions-words.txt")
    parser.add_argument("--pairs", nargs="*", default=[], metavar="FILE", help="rated word pairs")
    return parser.parse_args(given)


if __name__ == "__main__":
    main()

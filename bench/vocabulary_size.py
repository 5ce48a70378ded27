"""What a word costs at vocabularies of many sizes: full softmax grows with them, hierarchical softmax with their
logarithm, negative sampling not at all.

    .venv/bin/python bench/vocabulary_size.py --output bench/results/vocabulary_size

writes a table (.md) and a picture (.svg). The text is drawn by Zipf's law, so that the rarest word is seen five times
as `min_count` has it, and every word is trained (sample 0). Full softmax runs up to its limit of 32,768 words. What
grows with negative sampling is the matrices: beyond the caches each row comes from memory.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import job
import numpy as np
import numpy.typing as npt
from corpus import DOCUMENT_WORDS
from encoded import EncodedText
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from w2v_spark.kernels.aligned import aligned_matrix
from w2v_spark.kernels.checks import MAX_VOCABULARY
from w2v_spark.kernels.cpu import ARCHITECTURES, LOSSES, compile_kernel
from w2v_spark.kernels.processor import cpu_name
from w2v_spark.kernels.sizes import whole_vectors
from w2v_spark.params import Params
from w2v_spark.pictures.canvas import BLUE, ORANGE, save, style
from w2v_spark.pictures.files import file_to_write
from w2v_spark.training.replica import Sampling

SIZES = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
WINDOW, NEGATIVE, STEP = 5, 5, 0.025
TOKENS = 1 << 22
_FIRST_WORDS = 200
_COLORS = dict(zip(LOSSES, (BLUE, ORANGE, "#009e73"), strict=True))


def main() -> None:
    args = _arguments()
    if args.output:
        file_to_write("--output", f"{args.output}.svg", (".svg",))
    rows: dict[int, dict[str, float]] = {}
    bits: dict[int, float] = {}
    for vocabulary in args.vocabulary:
        text = EncodedText.of_zipf(TOKENS, vocabulary, shift=1)
        rows[vocabulary] = {}
        for loss in args.loss:
            if loss == "softmax" and vocabulary > MAX_VOCABULARY:
                continue
            sampling = Sampling.of_counts(text.counts, Params(loss=loss, sample=0.0))
            if loss == "hierarchical_softmax":
                bits[vocabulary] = float(np.average(np.diff(sampling.outputs.tables[0]), weights=text.counts))
            found = rows[vocabulary][loss] = min(seconds_of_word(text, sampling, args) for _ in range(args.repeat))
            print(f"{vocabulary:>9,} words  {loss:20} {1e6 * found:12,.3f} microseconds a word", flush=True)
    report = markdown(rows, bits, args)
    print(report)
    if args.output:
        Path(f"{args.output}.md").write_text(report, encoding="utf-8")
        save(picture(rows, args), Path(f"{args.output}.svg"))


def seconds_of_word(text: EncodedText, sampling: Sampling, args: argparse.Namespace) -> float:
    """Seconds that a word of the text takes all threads together, over at least args.seconds of training."""
    kernel = compile_kernel(args.architecture, sampling.outputs.loss, args.size, WINDOW, NEGATIVE)
    words, width = len(text.words), whole_vectors(args.size)
    syn0, syn1 = (aligned_matrix(words, width) for _matrix in "01")
    syn0[:, : args.size] = np.random.default_rng(1).uniform(-0.5, 0.5, (words, args.size)) / args.size

    def train(part: npt.NDArray[np.int64]) -> None:
        kernel(text.ids, part, syn0, syn1, sampling.keep, sampling.outputs, STEP, STEP, int(part[0]))

    at, share = 0, _FIRST_WORDS // DOCUMENT_WORDS
    with ThreadPoolExecutor(args.threads) as pool:
        while True:
            parts = [text.offsets[at + i * share : at + (i + 1) * share + 1] for i in range(args.threads)]
            started = time.perf_counter()
            list(pool.map(train, parts))
            seconds = time.perf_counter() - started
            at += args.threads * share
            if seconds >= args.seconds or at + 2 * args.threads * share >= len(text.offsets):
                return seconds / (args.threads * share * DOCUMENT_WORDS)
            share *= 2


def markdown(rows: dict[int, dict[str, float]], bits: dict[int, float], args: argparse.Namespace) -> str:
    """The table, and how it was made."""
    table = [["vocabulary", *(loss.replace("_", " ") for loss in args.loss), "nodes on a word's way"]]
    for vocabulary, found in rows.items():
        times = [f"{1e6 * found[loss]:,.2f}" if loss in found else "" for loss in args.loss]
        table.append([f"{vocabulary:,}", *times, f"{bits[vocabulary]:.1f}" if vocabulary in bits else ""])
    return (
        "# Time of a word by the size of the vocabulary\n\n"
        f"Microseconds; {args.architecture}, vectors of {args.size}, window {WINDOW}, {NEGATIVE} negatives, "
        f"{args.threads} thread{'s' * (args.threads > 1)} of {cpu_name()}, best of {args.repeat}, by\n"
        "`bench/vocabulary_size.py`. Full softmax is refused beyond 32,768 words.\n\n"
        f"{job.markdown(table)}\n"
    )


def picture(rows: dict[int, dict[str, float]], args: argparse.Namespace) -> Figure:
    """Both axes logarithmic: flat, nearly flat, and a straight line that rises."""
    with style():
        figure = Figure(figsize=(7, 4.5), layout="constrained")
        axes = figure.subplots()
        for loss in args.loss:
            sizes = [vocabulary for vocabulary, found in rows.items() if loss in found]
            times = [1e6 * rows[vocabulary][loss] for vocabulary in sizes]
            axes.plot(sizes, times, marker="o", color=_COLORS[loss], label=loss.replace("_", " "))
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.set_title(f"Time of a word, {args.architecture.replace('_', '-')}")
        axes.set_xlabel("words in the vocabulary")
        axes.set_ylabel("microseconds a word")
        axes.grid(color="0.9")
        axes.legend(frameon=False)
    return figure


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", nargs="+", type=int, default=SIZES, metavar="WORDS", help="sizes")
    parser.add_argument("--architecture", choices=ARCHITECTURES, default="skip_gram", help="(default skip_gram)")
    parser.add_argument("--loss", nargs="+", choices=LOSSES, default=LOSSES)
    parser.add_argument("--size", type=int, default=100, metavar="N", help="floats of a vector (default 100)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="(default 1)")
    parser.add_argument("--seconds", type=float, default=2.0, help="least time of a measurement (default 2)")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="measurements, of which the best counts")
    parser.add_argument("--output", metavar="NAME", help="write NAME.md and NAME.svg")
    return parser.parse_args()


if __name__ == "__main__":
    main()

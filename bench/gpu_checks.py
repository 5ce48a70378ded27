"""The checks of `gpu.py` of the card, of quality and of speed. Each prints its table row by row and returns whether it
holds what was promised.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from encoded import EncodedText

from w2v_spark.corpus.noise import AliasTable
from w2v_spark.corpus.vocab import initial_vectors
from w2v_spark.kernels.cpu import compile_kernel
from w2v_spark.kernels.cuda import TileModel
from w2v_spark.kernels.cuda_compile import compile_kernels, read_usage
from w2v_spark.kernels.cuda_device import import_cupy, open_card
from w2v_spark.kernels.cuda_plan import Layout, device_bytes, plan_layout
from w2v_spark.kernels.sizes import whole_vectors
from w2v_spark.params import Params
from w2v_spark.training.replica import Sampling
from w2v_spark.vectors.evaluate import SCORED_WORDS, evaluate_analogies, evaluate_pairs
from w2v_spark.vectors.vectors import Vectors

STEP, LEAST_STEP = 0.05, 1e-4
WINDOW, NEGATIVE, SAMPLE = 5, 5, 1e-4
CPU_THREADS = os.cpu_count() or 1
PIECE = 1 << 16
SHORT = 20_000  # tokens to try the checks with


def row(*cells: object) -> None:
    """A row of a table, the first cell to the left."""
    shown = [f"{c:,.4g}" if isinstance(c, float) else f"{c:,}" if isinstance(c, int) else str(c) for c in cells]
    print(shown[0].ljust(34), *(c.rjust(12) for c in shown[1:]), flush=True)


@dataclass
class Task:
    """A corpus, and what training on it needs."""

    corpus: EncodedText
    size: int
    window: int = WINDOW
    negative: int = NEGATIVE
    sample: float = SAMPLE

    def __post_init__(self) -> None:
        sampling = Sampling.of_counts(self.corpus.counts, Params(sample=self.sample))
        self.keep, self.outputs = sampling.keep, sampling.outputs
        self.noise = AliasTable(*self.outputs.tables)

    def replica(self, layout: Layout | None = None, blocks: int | None = None) -> TileModel:
        """A replica on the first GPU, with so many blocks at one time if that is given."""
        sizes = (self.size, self.window, self.negative)
        tokens = min(len(self.corpus.ids), 1 << 25)
        found = TileModel(open_card(0), sizes, self.corpus.counts, self.keep, self.noise, tokens, layout)
        if blocks is not None:
            found.blocks_for = lambda tokens, step: blocks  # type: ignore[method-assign]
        return found

    def start(self, seed: int) -> npt.NDArray[np.float32]:
        return initial_vectors(self.corpus.words, self.size, seed)

    def train_gpu(self, replica: TileModel, epochs: int, seed: int) -> tuple[float, int, float]:
        """Train from the start; seconds of training, words kept, and the last epoch's loss a pair."""
        replica.write_rows("syn0", 0, self.start(seed))
        replica.write_rows("syn1", 0, np.zeros((len(self.corpus.words), self.size), np.float32))
        chunks = [replica.upload(*chunk) for chunk in self.corpus.chunks()]
        seconds, kept, done, total = 0.0, 0, 0, epochs * len(self.corpus.ids)
        loss, pairs = 0.0, 1
        for epoch in range(epochs):
            loss, pairs = 0.0, 0
            for number, chunk in enumerate(chunks):
                steps = [STEP + (LEAST_STEP - STEP) * at / total for at in (done, done + chunk.tokens)]
                started = time.perf_counter()
                result = replica.train_chunk(chunk, *steps, key=hash((seed, epoch, number)) & (2**64 - 1))
                seconds += time.perf_counter() - started
                done, kept, loss, pairs = done + chunk.tokens, kept + result[0], loss + result[2], pairs + result[3]
        return seconds, kept, loss / max(1, pairs)

    def train_cpu(self, epochs: int, seed: int) -> tuple[float, npt.NDArray[np.float32]]:
        """The same on CPU; seconds and syn0."""
        kernel = compile_kernel("skip_gram", "negative_sampling", self.size, self.window, self.negative, bf16=False)
        syn0, syn1 = (np.zeros((len(self.corpus.words), whole_vectors(self.size)), np.float32) for _matrix in "01")
        syn0[:, : self.size] = self.start(seed)
        pieces, total = list(self.corpus.chunks(PIECE)), epochs * len(self.corpus.ids)

        def train(number: int) -> None:
            epoch, piece = divmod(number, len(pieces))
            ids, offsets = pieces[piece]
            at = epoch * len(self.corpus.ids) + np.array([offsets[0], offsets[-1]])
            steps = STEP + (LEAST_STEP - STEP) * at / total
            key = np.uint64(hash((seed, number)) & (2**64 - 1))
            kernel(ids, offsets, syn0, syn1, self.keep, self.outputs, steps[0], steps[1], key)

        started = time.perf_counter()
        with ThreadPoolExecutor(CPU_THREADS) as pool:
            list(pool.map(train, range(epochs * len(pieces))))
        return time.perf_counter() - started, syn0[:, : self.size]

    def scores(self, vectors: npt.NDArray[np.float32], folder: Path) -> tuple[float, float]:
        """Analogies and word pairs, in percent."""
        found = Vectors(self.corpus.words, np.ascontiguousarray(vectors), self.corpus.counts)
        analogies = evaluate_analogies(found, folder / "analogies.txt", SCORED_WORDS).total
        return 100 * analogies.correct / max(1, analogies.asked), 100 * evaluate_pairs(
            found, folder / "pairs.txt"
        ).spearman

    def vectors(self, replica: TileModel) -> npt.NDArray[np.float32]:
        return replica.read_rows("syn0", 0, len(self.corpus.words))


def layouts(size: int, window: int = WINDOW, **changes: Any) -> Layout:
    """The layout for the first GPU."""
    card = open_card(0)
    return plan_layout(size, window, card.shared, card.tensor, **changes)


def card(data: Path, short: bool) -> bool:
    """Which card this is, and what the kernels take of it."""
    found, cupy = open_card(0), import_cupy()
    row("card", found.name)
    row("compute capability", found.capability / 10)
    row("multiprocessors", found.multiprocessors)
    row("memory, GB", cupy.cuda.runtime.memGetInfo()[1] / 1e9)
    row("CUDA of driver, of CuPy", cupy.cuda.runtime.driverGetVersion(), cupy.cuda.runtime.runtimeGetVersion())
    row("NVRTC, CuPy", *(".".join(map(str, cupy.cuda.nvrtc.getVersion())), cupy.__version__))
    asked = ["nvidia-smi", "--query-gpu=driver_version,clocks.max.sm", "--format=csv,noheader"]
    row("driver, highest clock", subprocess.run(asked, capture_output=True, text=True).stdout.strip())
    for size, tensor in itertools.product((128, 300), (False, True) if found.tensor else (False,)):
        layout = plan_layout(size, WINDOW, found.shared, tensor)
        usage = read_usage(compile_kernels(layout, found.capability)[1])["train_tiles"]
        row(f"vector {size}, {'bf16' if tensor else 'float'}", f"{usage.registers} registers", f"slab {layout.slab}")
    return True


def ceilings(data: Path, short: bool) -> bool:
    """Rows read and rows added to a second, of a table in the second-level cache and of one beyond it."""
    cupy, card = import_cupy(), open_card(0)
    source = Path(__file__).with_name("gpu_ceilings.cu").read_text()
    widths = (1, 2, 4) if card.capability >= 90 else (1,)
    modules = {w: cupy.RawModule(code=source, options=(f"-DWIDTH={w}",)) for w in widths}
    rows = 1 << (18 if short else 23)
    ids = EncodedText.of_zipf(rows, 1_000_000).ids
    row("rows a second", "floats", "uniform 40 MB", "Zipf 1 M words")
    for size, (name, width) in itertools.product(
        (128, 304), [("read_rows", widths[0]), *(("add_rows", w) for w in widths)]
    ):
        table = cupy.zeros((1_000_000, size), np.float32)
        kernel, rates = modules[width].get_function(name), []
        for which in (ids % (40_000_000 // (4 * size)), ids):
            arguments = (table, cupy.asarray(which), np.int32(rows), np.int32(size // 4))
            if name == "read_rows":
                arguments = (*arguments, cupy.zeros(1, np.float32))
            rates.append(rows / seconds_of(cupy, kernel, card.multiprocessors * 8, arguments))
        bytes_each = 4 * size
        row(f"{name} by {width if name == 'add_rows' else 4}", size, *rates)
        row("  GB/s", "", *(rate * bytes_each / 1e9 for rate in rates))
    return True


def seconds_of(cupy: Any, kernel: Any, blocks: int, arguments: tuple[Any, ...]) -> float:
    """The shortest of five runs."""
    times = []
    for _run in range(5):
        start, stop = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        kernel((blocks,), (256,), arguments)
        stop.record()
        stop.synchronize()
        times.append(cupy.cuda.get_elapsed_time(start, stop) / 1000)
    return min(times)


def quality(data: Path, short: bool) -> bool:
    """The GPU against the CPU kernel: analogies within 1 point, word pairs within 1.5."""
    corpus, epochs = EncodedText.unpack(data), 1 if short else 3
    row("vectors", "seed", "analogies %", "pairs %", "loss", "seconds")
    passed = True
    for size in (16,) if short else (100, 300):
        task = Task(corpus.head(SHORT) if short else corpus, size)
        found: dict[str, list[tuple[float, float]]] = {"GPU": [], "CPU": []}
        replica = task.replica()
        for seed in (1, 2, 3)[: 1 if short else 3]:
            seconds, _, loss = task.train_gpu(replica, epochs, seed)
            found["GPU"].append(task.scores(task.vectors(replica), data))
            row(f"GPU {size}", seed, *found["GPU"][-1], loss, seconds)
            seconds, vectors = task.train_cpu(epochs, seed)
            found["CPU"].append(task.scores(vectors, data))
            row(f"CPU {size}", seed, *found["CPU"][-1], "", seconds)
        gpu, cpu = (np.mean(found[kind], axis=0) for kind in ("GPU", "CPU"))
        row(f"GPU - CPU {size}, mean", "", *(gpu - cpu))
        passed &= bool(gpu[0] > cpu[0] - 1 and gpu[1] > cpu[1] - 1.5)
    return passed


def blocks(data: Path, short: bool) -> bool:
    """Quality and speed by how many tiles run at one time, and by the tile's sizes, in one epoch fewer than usual."""
    corpus = EncodedText.unpack(data)
    task = Task(corpus.head(SHORT) if short else corpus, 16 if short else 100)
    multiprocessors = open_card(0).multiprocessors
    row("tile x negatives, blocks", "M words/s", "analogies %", "pairs %", "loss")
    sweep = [(32, 64, m) for m in (0.25, 0.5, 1, 2, 4)] + [(16, 64, 4), (32, 32, 4), (32, 128, 2)]
    for rows, negatives, each in sweep[: 2 if short else None]:
        count = max(1, int(each * multiprocessors))
        replica = task.replica(layouts(task.size, rows=rows, negatives=negatives), count)
        seconds, _, loss = task.train_gpu(replica, 1 if short else 2, 1)
        rate = (1 if short else 2) * len(task.corpus.ids) / seconds / 1e6
        row(f"{rows} x {negatives}, {count}", rate, *task.scores(task.vectors(replica), data), loss)
    return True


def divergence(data: Path, short: bool) -> bool:
    """Ten epochs on small corpora, one of them with two words that make up most of it: vectors stay short."""
    random = np.random.default_rng(2)
    share = np.array([0.4, 0.3, *[0.3 / 48] * 48])
    offsets = np.arange(0, 20_001, 20).astype(np.int64)
    ids = random.choice(50, 20_000, p=share).astype(np.int32)
    lopsided = EncodedText(ids, offsets, [f"w{i}" for i in range(50)], np.bincount(ids, minlength=50))
    corpora = {"lopsided, 20,000 words": (lopsided, 0.0)}
    if (data / "corpus.npz").exists():
        english = EncodedText.unpack(data)
        corpora |= {f"English, {n:,} words": (english.head(n), SAMPLE) for n in (SHORT, 1_000_000)[: 1 if short else 2]}
    row("corpus", "blocks", "longest row", "loss")
    passed = True
    for name, (corpus, sample) in corpora.items():
        task = Task(corpus, 100, sample=sample)
        replica = task.replica()
        _, _, loss = task.train_gpu(replica, 2 if short else 10, 1)
        longest = float(np.linalg.norm(task.vectors(replica), axis=1).max())
        row(name, replica.blocks_for(len(corpus.ids), STEP), longest, loss)
        passed &= bool(np.isfinite(longest) and longest < 30 and loss < 6 * np.log(2))
    return passed


def tuning(data: Path, short: bool) -> bool:
    """Speed by slab, tile and blocks, on a Zipf corpus."""
    corpus = EncodedText.of_zipf(SHORT if short else 50_000_000, 1000 if short else 1_000_000)
    row("vector, slab, tile x negatives", "M words/s", "blocks")
    multiprocessors = open_card(0).multiprocessors
    for size in (128, 300)[: 1 if short else 2]:
        task, best = Task(corpus, size), layouts(size)
        slabs = sorted({best.slab, whole_vectors(size), 64, 112, 160} - {s for s in (160, 112) if s > size})
        tried = [replace(best, slab=slab) for slab in slabs]
        tried += [layouts(size, rows=16), layouts(size, negatives=32), layouts(size, negatives=128)]
        for layout in tried[: 2 if short else None]:
            if layout.shared_bytes + 4096 > open_card(0).shared.block:
                continue
            for each in (1, 2, 3, 4, 6):
                replica = task.replica(layout, each * multiprocessors)
                seconds, _, _ = task.train_gpu(replica, 1, 1)
                label = f"{size}, {layout.slab}, {layout.rows} x {layout.negatives}"
                row(label, len(corpus.ids) / seconds / 1e6, each * multiprocessors)
    return True


def throughput(data: Path, short: bool) -> bool:
    """Raw and trained words a second, training alone: the words lie on the card."""
    corpora = {"Zipf": EncodedText.of_zipf(SHORT if short else 200_000_000, 1000 if short else 1_000_000)}
    if (data / "corpus.npz").exists():
        corpora["English"] = EncodedText.unpack(data).head(SHORT if short else 1 << 40)
    row("corpus, vectors", "M raw/s", "M trained/s", "loss", "M tokens")
    for (name, corpus), size in itertools.product(corpora.items(), (128, 300)):
        task, epochs = Task(corpus, size), 1 if short else 2
        seconds, kept, loss = task.train_gpu(task.replica(), epochs, 1)
        raw = epochs * len(corpus.ids)
        row(f"{name} {size}", raw / seconds / 1e6, kept / seconds / 1e6, loss, raw / 1e6)
    return True


def memory(data: Path, short: bool) -> bool:
    """A model of 20 M words x 300: what it said it would need, and what was taken."""
    vocabulary, tokens = (20_000, SHORT) if short else (20_000_000, 1 << 24)
    corpus = EncodedText.of_zipf(tokens, vocabulary)
    told = device_bytes(vocabulary, 300, tokens)
    row("told beforehand, GB", told / 1e9)
    cupy = import_cupy()
    before = cupy.cuda.runtime.memGetInfo()[0]
    replica = Task(corpus, 300).replica()
    block = np.random.default_rng(1).uniform(-1 / 600, 1 / 600, (1 << 16, 300)).astype(np.float32)
    for first in range(0, vocabulary, len(block)):
        replica.write_rows("syn0", first, block[: vocabulary - first])
    started = time.perf_counter()
    result = replica.train(corpus.ids, corpus.offsets, STEP, STEP, 1)
    row("trained, M words/s with upload", tokens / (time.perf_counter() - started) / 1e6)
    taken = before - cupy.cuda.runtime.memGetInfo()[0]
    row("taken, GB", taken / 1e9)
    row("loss a pair", result[2] / max(1, result[3]))
    last = replica.read_rows("syn0", vocabulary - 5, vocabulary)
    return bool(np.isfinite(last).all() and taken < 1.05 * told + 1e9)


CHECKS: dict[str, Callable[[Path, bool], bool]] = {
    "card": card,
    "ceilings": ceilings,
    "quality": quality,
    "blocks": blocks,
    "divergence": divergence,
    "tuning": tuning,
    "throughput": throughput,
    "memory": memory,
}

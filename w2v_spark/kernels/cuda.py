"""Skip-gram with negative sampling on one GPU: a replica whose model, tables and words lie in the card's memory.

The same training as `cpu_sgns.py`, in the same tiles, with as many tiles at one time as the corpus bears. CUDA starts
when a device is opened, never on import: a process that forks later must not have done so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from w2v_spark.corpus.noise import AliasTable
from w2v_spark.kernels.cpu import check_sizes
from w2v_spark.kernels.cpu_sgns import padded_size
from w2v_spark.kernels.cpu_strip import Ids
from w2v_spark.kernels.cuda_compile import KERNELS, compiled
from w2v_spark.kernels.cuda_device import Card, import_cupy, refuse_if_too_large, told
from w2v_spark.kernels.cuda_model import random_number
from w2v_spark.kernels.cuda_plan import (
    MAX_TOKENS,
    SCAN_THREADS,
    STRIP_THREADS,
    STRIP_TOKENS,
    THREADS,
    Float32s,
    Layout,
    crowding,
    device_bytes,
    most_in_flight,
    plan_layout,
)

MATRICES = ("syn0", "syn1")

# the fields of struct Totals in cuda_common.cu
_COUNTS = ("turns", "kept", "tiles", "stride", "pairs", "loss_pairs")
TOTALS = np.dtype([*((name, "<u8") for name in _COUNTS), ("loss", "<f8")])

_MAX_DYNAMIC_SHARED = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES


@dataclass(frozen=True)
class Chunk:
    """Sentences in the card's memory, and room for what subsampling keeps of them; arrays are CuPy's."""

    tokens: int
    ids: Any  # uint32[tokens], the first of each sentence flagged
    counts: Any  # uint64[blocks that subsample]
    words: Any  # int32[tokens]
    where: Any  # uint32[tokens]


class CudaReplica:
    """A model on a GPU; one thread at a time may train it."""

    def __init__(
        self,
        card: Card,
        sizes: tuple[int, int, int],
        counts: npt.NDArray[np.int64],
        keep: npt.NDArray[np.uint32],
        noise: AliasTable,
        most_tokens: int,
        layout: Layout | None = None,
    ):
        """A model of zeros.

        Args:
            card: where to train.
            sizes: vector_size, window_size, negative.
            counts: occurrences of each word in the corpus, int64[V].
            keep: probability that a word stays in its sentence, uint32[V], as for the CPU kernel.
            noise: the alias table of the negatives.
            most_tokens: as many as any call will train, to say beforehand whether memory suffices.
            layout: the sizes of a tile, if not those that suit the card.
        """
        check_sizes("GPU", *sizes)
        self.vector_size, self.window_size, self.negative = sizes
        if len(counts) == 0 or len({len(counts), len(keep), len(noise.probability), len(noise.alias)}) != 1:
            raise ValueError("counts, keep and the alias table must be as long as the vocabulary, at least one word")
        self.card = card
        self.words, self.width = len(counts), padded_size(self.vector_size)
        self.layout = layout or plan_layout(*sizes[:2], card.shared, card.tensor)
        self._cupy = import_cupy()
        self._device = self._cupy.cuda.Device(card.number)
        self._needed = device_bytes(self.words, self.vector_size, most_tokens)
        binary = compiled(self.layout, card.capability)
        crowds = crowding(counts, keep, noise, self.window_size, self.negative)
        self._crowd = float(crowds[0].max())
        kept = np.asarray(counts, np.float64) @ (keep / np.float64(2**32 - 1))
        self._kept_share = float(kept / max(1, counts.sum()))
        with self._on_device():
            refuse_if_too_large(self._needed, self.card)
            self._load(binary)
            self._matrices = {m: self._cupy.zeros((self.words, self.width), np.float32) for m in MATRICES}
            self._tables = [self._put(t) for t in (*crowds, noise.probability, noise.alias)]
            self._keep = self._put(keep)
            self._totals = self._cupy.zeros(TOTALS.itemsize, np.uint8)
            self._cupy.cuda.runtime.deviceSynchronize()

    def write_rows(self, matrix: str, first: int, rows: Float32s) -> None:
        """Set rows of syn0 or syn1 from float32[n, vector_size or more]; what is past vector_size is left out."""
        rows = np.ascontiguousarray(rows, np.float32)
        self._copy(matrix, first, rows, upload=True)

    def read_rows(self, matrix: str, first: int, stop: int) -> Float32s:
        """Rows of syn0 or syn1, float32[stop - first, vector_size]."""
        rows = np.empty((stop - first, self.vector_size), np.float32)
        self._copy(matrix, first, rows, upload=False)
        return rows

    def upload(self, ids: Ids, offsets: npt.NDArray[np.int64]) -> Chunk:
        """Sentences, as the CPU kernel takes them, put into the card's memory to be trained as often as one likes."""
        self._check(ids, offsets)
        used, tokens = ids[offsets[0] : offsets[-1]], int(offsets[-1] - offsets[0])
        with self._on_device():
            empty = self._cupy.empty
            chunk = Chunk(
                tokens,
                self._put(np.ascontiguousarray(used, np.int32).view(np.uint32)),
                empty(-(-tokens // STRIP_TOKENS), np.uint64),
                empty(tokens, np.int32),
                empty(tokens, np.uint32),
            )
            if tokens:
                sentences = len(offsets) - 1
                arguments = (
                    chunk.ids,
                    np.uint32(tokens),
                    self._put(np.asarray(offsets, np.int64)),
                    np.uint32(sentences),
                )
                self._launch("mark_starts", min(4096, -(-sentences // STRIP_THREADS)), STRIP_THREADS, arguments)
        return chunk

    def train(
        self, ids: Ids, offsets: npt.NDArray[np.int64], step_from: float, step_to: float, key: int
    ) -> tuple[int, int, float, int]:
        """Train every pair of the sentences once; see `cpu.Kernel.__call__` for arguments and result.

        The learning rate falls in the order in which tiles are trained, which is not that of the text. Many words in
        one call train faster than few: at most one in LEAST_TURNS of them is trained at one time.
        """
        return self.train_chunk(self.upload(ids, offsets), step_from, step_to, key)

    def train_chunk(self, chunk: Chunk, step_from: float, step_to: float, key: int) -> tuple[int, int, float, int]:
        """Train what was uploaded."""
        if chunk.tokens == 0:
            return 0, 0, 0.0, 0
        stream_key, noise_key = random_number(np.uint64(key)), random_number(~np.uint64(key))
        strip = (chunk.ids, np.uint32(chunk.tokens), self._keep, stream_key, chunk.counts)
        blocks = len(chunk.counts)
        with self._on_device():
            self._launch("count_kept", blocks, STRIP_THREADS, strip)
            self._launch("scan_counts", 1, SCAN_THREADS, (chunk.counts, np.uint32(blocks), self._totals))
            window = np.uint32(self.window_size)
            self._launch("lay_strip", blocks, STRIP_THREADS, (*strip, window, chunk.words, chunk.where))
            sizes = (np.uint32(self.words), np.uint32(self.width), np.uint32(self.layout.slab))
            numbers = (np.float32(self.negative), np.float32(step_from), np.float32(step_to))
            arguments = (
                *(self._matrices[m] for m in MATRICES),
                *(chunk.words, chunk.where),
                *self._tables,
                self._totals,
                noise_key,
                *sizes,
                np.int32(self.window_size),
                *numbers,
            )
            blocks = self.blocks_for(chunk.tokens, max(step_from, step_to))
            self._launch("train_tiles", blocks, THREADS, arguments, self.layout.shared_bytes)
            totals = self._totals.get().view(TOTALS)[0]
        return int(totals["kept"]), int(totals["pairs"]), float(totals["loss"]), int(totals["loss_pairs"])

    def blocks_for(self, tokens: int, step: float) -> int:
        """How many blocks train so many tokens: each has a tile in flight."""
        words = most_in_flight(tokens * self._kept_share, self._crowd, step)
        return max(1, min(self._resident_blocks, words // self.layout.rows))

    @contextlib.contextmanager
    def _on_device(self) -> Iterator[None]:
        with told(self._needed), self._device:
            yield

    def _load(self, binary: bytes) -> None:
        cuda = self._cupy.cuda
        module = cuda.function.Module()
        module.load(binary)
        self._functions = {name: module.get_function(name) for name in KERNELS}
        train = self._functions["train_tiles"].ptr
        cuda.driver.funcSetAttribute(train, _MAX_DYNAMIC_SHARED, self.layout.shared_bytes)
        together = cuda.driver.occupancyMaxActiveBlocksPerMultiprocessor(train, THREADS, self.layout.shared_bytes)
        self._resident_blocks = int(together) * self.card.multiprocessors

    def _launch(self, kernel: str, blocks: int, threads: int, arguments: tuple[Any, ...], shared: int = 0) -> None:
        self._functions[kernel]((blocks, 1, 1), (threads, 1, 1), arguments, shared)

    def _put(self, array: npt.NDArray[Any]) -> Any:
        on_device = self._cupy.empty(array.shape, array.dtype)
        on_device.set(np.ascontiguousarray(array))
        return on_device

    def _copy(self, matrix: str, first: int, rows: Float32s, upload: bool) -> None:
        """Copy vector_size columns between the host's rows and the device's, which are padded."""
        if not 0 <= first <= first + len(rows) <= self.words or rows.shape[1] < self.vector_size:
            raise ValueError(
                f"rows {first} to {first + len(rows)} of {rows.shape[1]} floats are not among {self.words} of "
                f"{self.vector_size}"
            )
        if len(rows) == 0:
            return
        with self._on_device():
            runtime = self._cupy.cuda.runtime
            here = (rows.ctypes.data, rows.strides[0])
            there = (self._matrices[matrix].data.ptr + 4 * first * self.width, 4 * self.width)
            to, source = (there, here) if upload else (here, there)
            kind = runtime.memcpyHostToDevice if upload else runtime.memcpyDeviceToHost
            runtime.memcpy2D(*to, *source, 4 * self.vector_size, len(rows), kind)

    def _check(self, ids: Ids, offsets: npt.NDArray[np.int64]) -> None:
        """A kernel checks nothing: an id or an offset out of range would write into memory that is not ours."""
        if len(offsets) == 0 or offsets[0] < 0 or offsets[-1] > len(ids) or (np.diff(offsets) < 0).any():
            raise ValueError("offsets must rise from 0 or more to at most the number of ids")
        if offsets[-1] - offsets[0] > MAX_TOKENS:
            raise ValueError(f"a call can train at most {MAX_TOKENS:,} tokens, not {offsets[-1] - offsets[0]:,}")
        used = ids[offsets[0] : offsets[-1]]
        if len(used) and (used.min() < 0 or used.max() >= self.words):
            raise ValueError(f"ids must be from 0 to {self.words - 1}, not from {used.min()} to {used.max()}")

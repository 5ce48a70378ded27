"""A model on one GPU: matrices, tables and words in the card's memory, and the kernels that train it.

What is trained is said by `cuda.py`. CUDA starts when a device is opened, never on import: a process that forks later
must not have done so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from w2v_spark.array_types import Floats, Ids
from w2v_spark.corpus.noise import kept_words
from w2v_spark.corpus.random import mix64
from w2v_spark.kernels.checks import check_sentences, check_sizes
from w2v_spark.kernels.cuda_compile import STRIP_KERNELS, AnyLayout, compiled
from w2v_spark.kernels.cuda_device import Card, import_cupy, refuse_if_too_large, told
from w2v_spark.kernels.cuda_plan import (
    MAX_TOKENS,
    SCAN_THREADS,
    STRIP_THREADS,
    STRIP_TOKENS,
    device_bytes,
    frozen_crowd,
    most_in_flight,
)
from w2v_spark.kernels.sizes import whole_vectors

MATRICES = ("syn0", "syn1")

# the fields of struct Totals in cuda_common.cu
_COUNTS = ("turns", "kept", "tiles", "stride", "pairs", "loss_pairs")
TOTALS = np.dtype([*((name, "<u8") for name in _COUNTS), ("loss", "<f8")])

_MAX_DYNAMIC_SHARED = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES


@dataclass(frozen=True)
class Task:
    """What is to be trained, beside the two matrices and the words."""

    layout: AnyLayout
    sizes: tuple[int, int, int]  # vector_size, window_size, negative
    crowding: tuple[Floats, Floats]  # of the rows of syn0 and of syn1, see cuda_plan.crowding
    tables: tuple[npt.NDArray[Any], ...]  # of the loss, in the order of the kernel's arguments
    numbers: tuple[Any, ...] = ()  # what the kernel takes behind the learning rates


@dataclass(frozen=True)
class Chunk:
    """Sentences in the card's memory, and room for what subsampling keeps of them; arrays are CuPy's."""

    tokens: int
    ids: Any  # uint32[tokens], the first of each sentence flagged
    counts: Any  # uint64[blocks that subsample]
    words: Any  # int32[tokens]
    where: Any  # uint32[tokens]


class DeviceModel:
    """A model on a GPU; one thread at a time may train it."""

    def __init__(
        self,
        card: Card,
        task: Task,
        counts: npt.NDArray[np.int64],
        keep: npt.NDArray[np.uint32],
        most_tokens: int,
        frozen: npt.NDArray[np.bool_] | None = None,
    ):
        """A model of zeros.

        Args:
            card: where to train.
            task: what to train.
            counts: occurrences of each word in the corpus, int64[V].
            keep: probability that a word stays in its sentence, uint32[V], as for the CPU kernel.
            most_tokens: as many as any call will train, to say beforehand whether memory suffices.
            frozen: words whose rows of syn0 do not change, bool[V].
        """
        check_sizes("GPU", *task.sizes)
        self.vector_size, self.window_size, self.negative = task.sizes
        if len({len(counts), len(keep), *(() if frozen is None else (len(frozen),))}) != 1:
            raise ValueError("counts, keep and frozen must be as long as the vocabulary")
        self.card, self.layout = card, task.layout
        self.words, self.width = len(counts), whole_vectors(self.vector_size)
        self._cupy = import_cupy()
        self._device = self._cupy.cuda.Device(card.number)
        self._needed = device_bytes(self.words, self.vector_size, most_tokens) + sum(t.nbytes for t in task.tables)
        binary = compiled(self.layout, card.capability)
        crowds = (frozen_crowd(task.crowding[0], frozen), task.crowding[1])
        self._crowd = float(task.crowding[0].max())
        self._numbers = task.numbers
        self._kept_share = float(kept_words(counts, keep).sum() / max(1, counts.sum()))
        with self._on_device():
            refuse_if_too_large(self._needed, self.card)
            self._load(binary)
            self._matrices = {m: self._cupy.zeros((self.words, self.width), np.float32) for m in MATRICES}
            self._tables = [self._put(t) for t in (*crowds, *task.tables)]
            self._keep = self._put(keep)
            self._totals = self._cupy.zeros(TOTALS.itemsize, np.uint8)
            self._cupy.cuda.runtime.deviceSynchronize()

    def write_rows(self, matrix: str, first: int, rows: Floats) -> None:
        """Set rows of syn0 or syn1 from float32[n, vector_size or more]; what is past vector_size is left out."""
        rows = np.ascontiguousarray(rows, np.float32)
        self._copy(matrix, first, rows, upload=True)

    def read_rows(self, matrix: str, first: int, stop: int) -> Floats:
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
        """Train every sample of the sentences once; see `cpu.Kernel.__call__` for arguments and result.

        The loss is that of one turn in MEASURED, whatever it is. The learning rate falls in the order in which tiles
        are trained, which is not that of the text. Many words in
        one call train faster than few: at most one in LEAST_TURNS of them is trained at one time.
        """
        return self.train_chunk(self.upload(ids, offsets), step_from, step_to, key)

    def train_chunk(self, chunk: Chunk, step_from: float, step_to: float, key: int) -> tuple[int, int, float, int]:
        """Train what was uploaded."""
        if chunk.tokens == 0:
            return 0, 0, 0.0, 0
        stream_key, noise_key = mix64(np.uint64(key)), mix64(~np.uint64(key))
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
                *self._numbers,
            )
            blocks = self.blocks_for(chunk.tokens, max(step_from, step_to))
            self._launch(self.layout.kernel, blocks, self.layout.threads, arguments, self.layout.shared_bytes)
            totals = self._totals.get().view(TOTALS)[0]
        return int(totals["kept"]), int(totals["pairs"]), float(totals["loss"]), int(totals["loss_pairs"])

    def blocks_for(self, tokens: int, step: float) -> int:
        """How many blocks train so many tokens: each has a tile, or a centre, in flight."""
        words = most_in_flight(tokens * self._kept_share, self._crowd, step)
        return max(1, min(self._resident_blocks, words // self.layout.words_together))

    @contextlib.contextmanager
    def _on_device(self) -> Iterator[None]:
        with told(self._needed), self._device:
            yield

    def _load(self, binary: bytes) -> None:
        cuda = self._cupy.cuda
        module = cuda.function.Module()
        module.load(binary)
        self._functions = {name: module.get_function(name) for name in (*STRIP_KERNELS, self.layout.kernel)}
        train = self._functions[self.layout.kernel].ptr
        cuda.driver.funcSetAttribute(train, _MAX_DYNAMIC_SHARED, self.layout.shared_bytes)
        together = cuda.driver.occupancyMaxActiveBlocksPerMultiprocessor(
            train, self.layout.threads, self.layout.shared_bytes
        )
        self._resident_blocks = int(together) * self.card.multiprocessors

    def _launch(self, kernel: str, blocks: int, threads: int, arguments: tuple[Any, ...], shared: int = 0) -> None:
        self._functions[kernel]((blocks, 1, 1), (threads, 1, 1), arguments, shared)

    def _put(self, array: npt.NDArray[Any]) -> Any:
        on_device = self._cupy.empty(array.shape, array.dtype)
        on_device.set(np.ascontiguousarray(array))
        return on_device

    def _copy(self, matrix: str, first: int, rows: Floats, upload: bool) -> None:
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
        check_sentences(ids, offsets, self.words)
        if offsets[-1] - offsets[0] > MAX_TOKENS:
            raise ValueError(f"a call can train at most {MAX_TOKENS:,} tokens, not {offsets[-1] - offsets[0]:,}")

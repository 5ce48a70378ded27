"""Skip-gram with negative sampling on CPU, by tiles: the kernel that trains a replica.

The words that subsampling keeps are laid end to end in a strip, sentence after sentence. A tile is 32 consecutive words
of the strip as contexts (rows of syn0), the words around them as centres (rows of syn1), and 64 negatives that all its
pairs share, each weighted pairs * negative / 64: the expected gradient is that of `negative` negatives of one's own,
with less noise. All rows are copied in, all scores and gradients computed, and the changes added back: a small batch,
whose rows are written seldom and briefly, so that several threads can train the same matrices (Hogwild, Niu et al.
2011). The mathematics in plain words is in `reference.py`; the vector code is in `simd.py`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import binding
from numba import types

from w2v_spark.errors import ParamError
from w2v_spark.kernels.cache import compile_now
from w2v_spark.kernels.cpu_strip import Ids, lay_sentences, make_strip, random_number
from w2v_spark.kernels.cpu_tile import (
    TILE_NEGATIVES,
    TILE_ROWS,
    Floats,
    Model,
    Slab,
    count_pairs,
    cut_tile,
    differentiate,
    draw_negatives,
    drop_clashes,
    gather,
    loss,
    make_tile,
    prefetch_next,
    scatter_contexts,
    scatter_outputs,
    score,
)
from w2v_spark.kernels.emitter import LANES

MEASURED = 64  # the loss is measured on one tile in so many
MAX_VECTOR_SIZE, MAX_WINDOW_SIZE, MAX_NEGATIVE = 1024, 20, 32

_SLAB = 8  # most vectors of a row in registers at once; 64 negatives of such a slab fill 32 KB of the first cache


def cpu_name() -> str:
    """The processor that kernels are compiled for, as LLVM calls it."""
    return str(binding.get_host_cpu_name())


def padded_size(vector_size: int) -> int:
    """The floats of a row: the vector's size rounded up to whole vectors of 16 lanes."""
    return -(-vector_size // LANES) * LANES


@dataclass(frozen=True)
class SgnsKernel:
    """Trains sentences, for one vector size, window size and number of negatives; see `__call__`."""

    vector_size: int
    window_size: int
    negative: int
    _train: Any

    def __call__(
        self,
        ids: Ids,
        offsets: npt.NDArray[np.int64],
        syn0: Floats,
        syn1: Floats,
        keep: npt.NDArray[np.uint32],
        noise_probability: npt.NDArray[np.uint32],
        noise_alias: Ids,
        step_from: float,
        step_to: float,
        key: int | np.uint64,
    ) -> tuple[int, int, float, int]:
        """Train every pair of context and centre of the sentences once, in place and without Python's lock.

        Subsampling takes words out of a sentence before its windows are formed; a centre's window shrinks to
        1..window_size words, uniformly: both as in word2vec.c. A negative that equals a pair's centre is not used for
        that pair.

        Args:
            ids: words of consecutive sentences, int32.
            offsets: where in `ids` each sentence starts, and where the last ends, int64[sentences + 1].
            syn0: vectors of words as contexts, float32[V, padded_size(vector_size)], zero in the padding.
            syn1: vectors of words as centres and negatives, like syn0.
            keep: probability that a word stays in its sentence, uint32[V], scaled so that 2**32 - 1 is one.
            noise_probability: the alias table of the negatives, uint32[V]: see `corpus.noise.AliasTable`.
            noise_alias: its other words, int32[V].
            step_from: learning rate at the first word.
            step_to: learning rate at the last word, linear in between.
            key: all random numbers follow from it.

        Returns:
            Words kept; pairs trained; the loss -log s(x.c) - sum over negatives of log s(-x.n) (Mikolov et al. 2013b,
            eq. 4; the 64 negatives weighted to `negative`) summed over the pairs of about one tile in 64; those pairs.
        """
        self._check(ids, offsets, syn0, syn1, (keep, noise_probability, noise_alias))
        words_kept, pairs, loss_sum, loss_pairs = self._train(
            ids,
            offsets,
            syn0,
            syn1,
            keep,
            noise_probability,
            noise_alias,
            self.negative,
            float(step_from),
            float(step_to),
            np.uint64(key),
        )
        return int(words_kept), int(pairs), float(loss_sum), int(loss_pairs)

    def _check(self, ids: Ids, offsets: npt.NDArray[np.int64], syn0: Floats, syn1: Floats, tables: Any) -> None:
        """Compiled code checks nothing: an id or an offset out of range would write into memory that is not ours."""
        shape = (len(tables[0]), padded_size(self.vector_size))
        if shape[0] == 0:
            raise ValueError("the vocabulary must have at least one word")
        if syn0.shape != shape or syn1.shape != shape or len({len(t) for t in tables}) != 1:
            raise ValueError(
                f"syn0 {syn0.shape} and syn1 {syn1.shape} must be {shape}, and each table as long as the vocabulary"
            )
        if len(offsets) == 0 or offsets[0] < 0 or offsets[-1] > len(ids) or (np.diff(offsets) < 0).any():
            raise ValueError("offsets must rise from 0 or more to at most the number of ids")
        used = ids[offsets[0] : offsets[-1]]
        if len(used) and (used.min() < 0 or used.max() >= shape[0]):
            raise ValueError(f"ids must be from 0 to {shape[0] - 1}, not from {used.min()} to {used.max()}")


def compile_sgns(vector_size: int, window_size: int, negative: int) -> SgnsKernel:
    """The kernel for these sizes, compiled at the first call and from then on loaded from disk if possible."""
    for name, value, high in (
        ("vector_size", vector_size, MAX_VECTOR_SIZE),
        ("window_size", window_size, MAX_WINDOW_SIZE),
        ("negative", negative, MAX_NEGATIVE),
    ):
        if not 1 <= value <= high:
            raise ParamError(f"the CPU kernel cannot train with {name} {value}: it must be from 1 to {high}")
    return SgnsKernel(vector_size, window_size, negative, _compile(padded_size(vector_size), window_size))


_INPUT = {kind: types.Array(kind, 1, "C", readonly=True) for kind in (types.int32, types.int64, types.uint32)}
_MATRIX = types.Array(types.float32, 2, "C")
_SIGNATURE = types.Tuple([types.int64, types.int64, types.float64, types.int64])(
    *(_INPUT[types.int32], _INPUT[types.int64], _MATRIX, _MATRIX),
    *(_INPUT[types.uint32], _INPUT[types.uint32], _INPUT[types.int32]),
    *(types.int64, types.float64, types.float64, types.uint64),
)


@functools.cache
def _compile(width: int, window: int) -> Any:
    """The compiled kernel for rows of `width` floats.

    Rows are cut into as few slabs as fit the registers, so many wide ones and then narrow ones with one vector less.
    """
    slabs = -(-width // (LANES * _SLAB))
    vectors = -(-width // (LANES * slabs))
    fewer = vectors - 1
    narrow = slabs * vectors - width // LANES
    wide, pitch = slabs - narrow, vectors * LANES
    has_narrow = narrow > 0  # else the code for them is not even compiled
    band = padded_size(2 * window + 1)
    rest = (2 * window + 1) % LANES

    @compile_now(_SIGNATURE)
    def train(
        ids: Any,
        offsets: Any,
        syn0: Any,
        syn1: Any,
        keep: Any,
        probability: Any,
        alias: Any,
        negative: Any,
        step_from: Any,
        step_to: Any,
        key: Any,
    ) -> Any:
        model = Model(syn0.reshape(-1), syn1.reshape(-1))
        strip, tile = make_strip(offsets, window, band), make_tile(window, band, slabs, pitch)
        words, sentence, tiles = strip.words, 0, 0
        noise_key = random_number(~key)
        slope = (step_to - step_from) / max(1, offsets[-1] - offsets[0] - 1)
        words_kept, pairs, loss_sum, loss_pairs, unmeasured = 0, 0, 0.0, 0, MEASURED
        draw_negatives(tile, 0, 0, probability, alias, noise_key)
        while sentence < len(offsets) - 1:
            sentence, filled = lay_sentences(strip, ids, offsets, sentence, keep, window, band, random_number(key))
            words_kept += filled
            for at in range(0, filled, TILE_ROWS):
                cut = cut_tile(at, filled, tiles, window)
                tiles += 1
                draw_negatives(tile, TILE_NEGATIVES - cut.negatives, tiles, probability, alias, noise_key)
                prefetch_next(tile, cut, words, filled, model, window, width)
                found = count_pairs(tile, strip, cut, band)
                if found == 0:
                    continue
                pairs += found
                drop_clashes(tile, words, cut, window, band)
                tile.scores[:] = 0
                for s in range(wide):
                    slab = Slab(s, s * pitch)
                    gather(tile, cut, words, model, slab, window, width, pitch, vectors)
                    score(tile, cut, slab, window, band, rest, pitch, vectors)
                if has_narrow:
                    for s in range(narrow):
                        slab = Slab(wide + s, wide * pitch + s * fewer * LANES)
                        gather(tile, cut, words, model, slab, window, width, pitch, fewer)
                        score(tile, cut, slab, window, band, rest, pitch, fewer)
                unmeasured += 1
                if unmeasured > MEASURED:
                    unmeasured = 1
                    loss_sum += loss(tile, cut, negative, band)
                    loss_pairs += found
                differentiate(tile, cut, words, step_from + slope * strip.places[at + window], negative, window, band)
                for s in range(wide):
                    slab = Slab(s, s * pitch)
                    scatter_contexts(tile, cut, words, model, slab, window, band, width, pitch, vectors)
                    scatter_outputs(tile, cut, words, model, slab, window, band, width, pitch, vectors)
                if has_narrow:
                    for s in range(narrow):
                        slab = Slab(wide + s, wide * pitch + s * fewer * LANES)
                        scatter_contexts(tile, cut, words, model, slab, window, band, width, pitch, fewer)
                        scatter_outputs(tile, cut, words, model, slab, window, band, width, pitch, fewer)
        return words_kept, pairs, loss_sum, loss_pairs

    return train

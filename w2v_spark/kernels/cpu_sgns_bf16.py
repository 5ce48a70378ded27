"""Skip-gram with negative sampling on CPUs that multiply bf16: the twin of `cpu_sgns.py`.

Tiles, which words train which, random numbers and the weight of each pair are as there; what differs is that vectors
and gradients are rounded to bf16 before they are multiplied, and that the logistic function has 14 bits.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import types

from w2v_spark.array_types import Floats
from w2v_spark.kernels import cpu_amx, cpu_pairs
from w2v_spark.kernels.aligned import aligned_zeros
from w2v_spark.kernels.cache import compile_now, inlined, inner, read_only
from w2v_spark.kernels.cpu_exclude import spread
from w2v_spark.kernels.cpu_strip import (
    Strip,
    draw_negatives,
    lay_sentences,
    learning_rate,
    make_strip,
    occurrences,
    random_number,
    training_signature,
)
from w2v_spark.kernels.cpu_tile import Cut, Model, cut_tile, most_times
from w2v_spark.kernels.cpu_tile_bf16 import Tile, differentiate, gather, loss, make_tile
from w2v_spark.kernels.processor import has_matrix_unit
from w2v_spark.kernels.simd import copy, count_bits, find, lowest_bit
from w2v_spark.kernels.simd_bf16 import mark
from w2v_spark.kernels.sizes import MEASURED, TILE_NEGATIVES, TILE_ROWS, whole_vectors

_ONE = np.uint64(1)


class Seen(NamedTuple):
    """Who is seen with whom in a tile."""

    pairs: npt.NDArray[np.int64]  # bit i: the word around and context i are a pair, [words around]
    clashes: npt.NDArray[np.uint64]  # bit n: the word around is negative n, [words around]
    pairs_of: Floats  # how many pairs a context has, [TILE_ROWS]


@inner
def make_seen(around: Any) -> Seen:
    """Nobody yet."""
    return Seen(np.zeros(around, np.int64), np.zeros(around, np.uint64), aligned_zeros(TILE_ROWS))


@inlined
def count_pairs(tile: Tile, seen: Seen, strip: Strip, cut: Cut, window: Any, around: Any) -> Any:
    """Note which words are pairs, as weights too, and return how many pairs of context and centre there are."""
    total = 0
    tile.weights[: around * TILE_ROWS] = 0
    seen.pairs_of[:] = 0
    for j in range(cut.first, cut.last):
        # as a centre the word reaches a stretch of the contexts, in which it may be one itself
        own = j - window
        start, stop = max(0, own - strip.left[cut.at + j]), min(cut.rows, own + strip.right[cut.at + j] + 1)
        pairs = (1 << max(start, stop)) - (1 << start)
        if 0 <= own < cut.rows:
            pairs &= ~(1 << own)
        seen.pairs[j] = pairs
        total += count_bits(np.uint64(pairs))
        mark(tile.weights, j * TILE_ROWS, seen.pairs_of, 0, pairs)
    return total


@inlined
def weigh_negatives(tile: Tile, seen: Seen, words: Any, cut: Cut, around: Any, exclude: Any) -> None:
    """A negative stands for all pairs of a context but those whose centre it is; with `exclude` for none of a context
    that it is seen with, and the others for as many pairs more.
    """
    negatives = around * TILE_ROWS
    for row in range(negatives, negatives + TILE_NEGATIVES * TILE_ROWS, TILE_ROWS):
        copy(tile.weights, row, seen.pairs_of, 0, TILE_ROWS)
    for j in range(cut.first, cut.last):
        clashes = find(tile.negatives, cut.negatives, words[cut.at + j], TILE_NEGATIVES)
        seen.clashes[j] = clashes
        while clashes != 0 and not exclude:
            row = negatives + lowest_bit(clashes) * TILE_ROWS
            for i in range(cut.rows):
                tile.weights[row + i] -= tile.weights[j * TILE_ROWS + i]
            clashes &= clashes - _ONE
    if exclude:
        for i in range(cut.rows):
            dropped = np.uint64(0)
            for j in range(cut.first, cut.last):
                if (seen.pairs[j] >> i) & 1:
                    dropped |= seen.clashes[j]
            spread(tile.weights, negatives + i, TILE_ROWS, dropped, TILE_NEGATIVES)


@inlined
def slow_repeated(tile: Tile, cut: Cut, words: Any, window: Any, outputs: Any, most: Any) -> None:
    """Make the weights of a context that the tile has more than `most` times as much smaller: see
    `cpu_tile.differentiate`.
    """
    first = cut.at + window
    for i in range(cut.rows):
        times = occurrences(words, first, first + cut.rows, words[first + i])
        if times > most:
            for k in range(i, outputs * TILE_ROWS, TILE_ROWS):
                tile.weights[k] *= np.float32(most / times)


@functools.cache
def compile_sgns_bf16(size: int, window: int, exclude: bool, freezing: bool) -> Any:
    """The compiled kernel for vectors of `size` floats, with `exclude_window` and frozen words or without; its
    arguments are made by `cpu.Kernel`.
    """
    width = whole_vectors(size)
    around = whole_vectors(TILE_ROWS + 2 * window)
    outputs = around + TILE_NEGATIVES
    unit = cpu_amx if has_matrix_unit() else cpu_pairs

    @compile_now(training_signature(freezing, read_only(types.uint64), types.int64))
    def train(
        ids: Any,
        offsets: Any,
        syn0: Any,
        syn1: Any,
        keep: Any,
        frozen: Any,
        slots: Any,
        negative: Any,
        step_from: Any,
        step_to: Any,
        key: Any,
    ) -> Any:
        model = Model(syn0.reshape(-1), syn1.reshape(-1))
        strip, tile, seen = make_strip(offsets, window), make_tile(outputs, width), make_seen(around)
        words, sentence, tiles = strip.words, 0, 0
        noise_key = random_number(~key)
        slope = (step_to - step_from) / max(1, offsets[-1] - offsets[0] - 1)
        words_kept, pairs, loss_sum, loss_pairs, unmeasured = 0, 0, 0.0, 0, MEASURED
        draw_negatives(tile.negatives, 0, TILE_NEGATIVES, 0, slots, noise_key)
        unit.start()
        while sentence < len(offsets) - 1:
            sentence, filled = lay_sentences(strip, ids, offsets, sentence, keep, window, random_number(key))
            words_kept += filled
            for at in range(0, filled, TILE_ROWS):
                cut = cut_tile(at, filled, tiles, window)
                tiles += 1
                following = TILE_NEGATIVES - cut.negatives
                draw_negatives(tile.negatives, following, TILE_NEGATIVES, tiles, slots, noise_key)
                found = count_pairs(tile, seen, strip, cut, window, around)
                if found == 0:
                    continue
                pairs += found
                weigh_negatives(tile, seen, words, cut, around, exclude)
                gather(tile, cut, words, model, window, around, width)
                unit.score(tile, cut, words, model, window, around, outputs, width, size)
                unmeasured += 1
                if unmeasured > MEASURED:
                    unmeasured = 1
                    loss_sum += loss(tile, negative, around, outputs)
                    loss_pairs += found
                step = learning_rate(step_from, slope, strip.places[at + window])
                slow_repeated(tile, cut, words, window, outputs, most_times(window, negative, step))
                differentiate(tile, cut, model, step, negative, around, outputs, width)
                unit.scatter_outputs(tile, cut, words, model, window, around, outputs, width, size)
                unit.scatter_contexts(tile, cut, words, model, frozen, window, around, outputs, width, size)
        unit.stop()
        return words_kept, pairs, loss_sum, loss_pairs

    return train

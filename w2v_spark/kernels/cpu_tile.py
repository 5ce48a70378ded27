"""The steps of a tile of skip-gram with negative sampling on CPU up to its gradients: count, gather, score,
differentiate. `cpu_scatter.py` brings the changes back.

All arrays are flat, and an index into them is a row's number times the row's floats. Sizes that the vector code needs
as literals are arguments, which Numba passes on from the one function that knows them: `cpu_sgns.compile_sgns`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from w2v_spark.array_types import Floats, Ids
from w2v_spark.kernels.aligned import aligned_zeros
from w2v_spark.kernels.cache import inlined, inner
from w2v_spark.kernels.cpu_strip import Strip, occurrences
from w2v_spark.kernels.simd import add_dots, copy, logistic_gradient, mark_pairs
from w2v_spark.kernels.simd_exp import weighted_loss
from w2v_spark.kernels.simd_tile import ROWS_AT_ONCE, multiply, turn
from w2v_spark.kernels.sizes import LANES, MOST_UPDATES, TILE_NEGATIVES, TILE_ROWS

_NEVER = 1 << 30  # further than any window reaches


class Tile(NamedTuple):
    """What is computed for a tile: scores of each context with the words of its band, and with the tile's negatives.

    The band of a context is the 2 * window + 1 words around it, itself among them, rounded up to whole vectors. Scores
    are dot products first, later gradients times the learning rate.
    """

    context: Floats  # rows of syn0, [slabs, TILE_ROWS, pitch]
    output: Floats  # rows of syn1, words around and then negatives, [slabs, TILE_ROWS + 2 * window + negatives, pitch]
    turned: Floats  # a slab's columns of the contexts, side by side, [pitch, TILE_ROWS]
    scores: Floats  # [TILE_ROWS, band]
    pairs: Floats  # 1 where a context and a word of its band are a pair, else 0, [TILE_ROWS, band]
    negative_scores: Floats  # [TILE_NEGATIVES, TILE_ROWS]
    # how many pairs of the context such a score stands for, later less for words that are repeated, of the same shape
    negative_pairs: Floats
    pairs_of: Floats  # how many pairs a context has, [TILE_ROWS]
    rightward: Ids  # how far to its right the centre in a column of the band must reach to meet the row, [band]
    leftward: Ids
    # of this tile and, drawn ahead so that memory has time, of the next, [2 * TILE_NEGATIVES]; one may equal a centre
    negatives: Ids


class Model(NamedTuple):
    """The matrices being trained, each of V rows of `width` floats."""

    syn0: Floats
    syn1: Floats


class Cut(NamedTuple):
    """Where a tile lies: its contexts are words[at + window + i], i < rows, the words around them words[at + j]."""

    at: int
    rows: int
    first: int  # the words around that are no margin: first <= j < last
    last: int
    negatives: int  # where the tile's negatives start in tile.negatives


class Slab(NamedTuple):
    """A range of columns that the registers hold; the literal `columns` of the functions that take it is how many."""

    number: int
    column: int  # the first


@inner
def make_tile(window: Any, band: Any, slabs: Any, pitch: Any) -> Tile:
    """A tile of zeros and its table of distances."""
    reach = 2 * window
    rightward, leftward = np.full(band, _NEVER, np.int32), np.full(band, _NEVER, np.int32)
    for k in range(window):
        rightward[k] = window - k
        leftward[reach - k] = window - k
    return Tile(
        aligned_zeros(slabs * TILE_ROWS * pitch),
        aligned_zeros(slabs * (TILE_ROWS + reach + TILE_NEGATIVES) * pitch),
        aligned_zeros(pitch * TILE_ROWS),
        aligned_zeros(TILE_ROWS * band),
        aligned_zeros(TILE_ROWS * band),
        aligned_zeros(TILE_NEGATIVES * TILE_ROWS),
        aligned_zeros(TILE_NEGATIVES * TILE_ROWS),
        aligned_zeros(TILE_ROWS),
        rightward,
        leftward,
        np.zeros(2 * TILE_NEGATIVES, np.int32),
    )


@inner
def cut_tile(at: Any, filled: Any, number: Any, window: Any) -> Cut:
    """Tile `number` of a call, whose contexts start `at` words into a strip of `filled` words."""
    rows = min(TILE_ROWS, filled - at)
    first, last = max(0, window - at), min(rows + 2 * window, filled + window - at)
    return Cut(at, rows, first, last, (number & 1) * TILE_NEGATIVES)


@inner
def count_pairs(tile: Tile, strip: Strip, cut: Cut, band: Any) -> Any:
    """Note which words are pairs, and return how many pairs of context and centre there are."""
    total = 0
    tile.pairs_of[:] = 0
    for i in range(cut.rows):
        row, at, count = i * band, cut.at + i, 0
        for k in range(0, band, LANES):
            right, left = (strip.right, at + k), (strip.left, at + k)
            count += mark_pairs(tile.pairs, row + k, tile.rightward, k, *right, tile.leftward, k, *left)
        tile.pairs_of[i] = np.float32(count)
        total += count
    for row in range(0, TILE_NEGATIVES * TILE_ROWS, TILE_ROWS):
        copy(tile.negative_pairs, row, tile.pairs_of, 0, TILE_ROWS)
    return total


@inner
def gather(
    tile: Tile, cut: Cut, words: Any, model: Model, slab: Slab, window: Any, width: Any, pitch: Any, columns: Any
) -> None:
    """Copy a slab's columns of the tile's rows."""
    around = TILE_ROWS + 2 * window
    x, u = slab.number * TILE_ROWS * pitch, slab.number * (around + TILE_NEGATIVES) * pitch
    for i in range(cut.rows):
        row = np.int64(words[cut.at + window + i]) * width
        copy(tile.context, x + i * pitch, model.syn0, row + slab.column, columns)
    for j in range(cut.first, cut.last):
        row = np.int64(words[cut.at + j]) * width
        copy(tile.output, u + j * pitch, model.syn1, row + slab.column, columns)
    for j in range(TILE_NEGATIVES):
        row = np.int64(tile.negatives[cut.negatives + j]) * width
        copy(tile.output, u + (around + j) * pitch, model.syn1, row + slab.column, columns)


@inner
def score(tile: Tile, cut: Cut, slab: Slab, window: Any, band: Any, rest: Any, pitch: Any, columns: Any) -> None:
    """Add a slab's part of the dot products of each context with the words around it and with the negatives.

    The last vector of a band has `rest` words in it.
    """
    around = TILE_ROWS + 2 * window
    scores, context, output = tile.scores, tile.context, tile.output
    first, u = slab.number * TILE_ROWS * pitch, slab.number * (around + TILE_NEGATIVES) * pitch
    for i in range(cut.rows):
        x, row, last = first + i * pitch, i * band, band - LANES
        for k in range(0, last, LANES):
            add_dots(scores, row + k, context, x, output, u + (i + k) * pitch, pitch, LANES, columns)
        add_dots(scores, row + last, context, x, output, u + (i + last) * pitch, pitch, rest, columns)
    for i in range(0, TILE_ROWS, LANES):
        for k in range(0, columns, LANES):
            turn(tile.turned, k * TILE_ROWS + i, TILE_ROWS, context, first + i * pitch + k, pitch)
    for j in range(0, TILE_NEGATIVES, ROWS_AT_ONCE):
        row = u + (around + j) * pitch
        multiply(tile.negative_scores, j * TILE_ROWS, output, row, pitch, tile.turned, 0, columns)


@inner
def loss(tile: Tile, cut: Cut, negative: Any, band: Any) -> Any:
    """The loss of the tile's pairs, from their scores: see `reference.loss`."""
    positives = weighted_loss(tile.scores, tile.pairs, 0, cut.rows * band, 1)
    negatives = weighted_loss(tile.negative_scores, tile.negative_pairs, 0, TILE_NEGATIVES * TILE_ROWS, 0)
    return positives + negatives * negative / TILE_NEGATIVES


@inlined
def most_times(window: Any, negative: Any, step: Any) -> Any:
    """How often a tile may repeat a context before its changes are made smaller: see `MOST_UPDATES`."""
    return MOST_UPDATES / ((window + 1) * (negative + 1) * step)


@inner
def differentiate(tile: Tile, cut: Cut, words: Any, step: Any, negative: Any, window: Any, band: Any) -> None:
    """Turn scores into what the learning rate `step` makes of the gradients by them.

    A tile adds up the changes of a word that it repeats, where one after another they would level off: beyond
    `most_times` the step of that word's rows is as much smaller.
    """
    most = most_times(window, negative, step)
    first = cut.at + window
    for i in range(cut.rows):
        times = occurrences(words, first, first + cut.rows, words[first + i])
        slower = np.float32(min(1.0, most / times))
        if slower < 1:
            for k in range(i, TILE_NEGATIVES * TILE_ROWS, TILE_ROWS):
                tile.negative_pairs[k] *= slower
        for k in range(i * band, (i + 1) * band, LANES):
            logistic_gradient(tile.scores, k, tile.pairs, k, 1, np.float32(step) * slower)
    shared = np.float32(step * negative / TILE_NEGATIVES)
    for k in range(0, TILE_NEGATIVES * TILE_ROWS, LANES):
        logistic_gradient(tile.negative_scores, k, tile.negative_pairs, k, 0, shared)


@inlined
def slowing(strip: Strip, first: Any, last: Any, this: Any, updates: Any) -> Any:
    """By how much the changes of context words[this] are made smaller where words[first:last] repeat it, as
    `differentiate` does; `updates` is the learning rate times the number of updates that an occurrence gets.
    """
    if (last - first) * updates <= MOST_UPDATES:
        return 1.0
    return min(1.0, MOST_UPDATES / (occurrences(strip.words, first, last, strip.words[this]) * updates))

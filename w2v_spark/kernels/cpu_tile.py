"""The steps of a tile of skip-gram with negative sampling on CPU: draw, count, gather, score, differentiate, scatter.

All arrays are flat, and an index into them is a row's number times the row's floats. Sizes that the vector code needs
as literals are arguments, which Numba passes on from the one function that knows them: `cpu_sgns.compile_sgns`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from w2v_spark.kernels.cache import inlined, inner
from w2v_spark.kernels.cpu_rows import Floats, aligned_zeros
from w2v_spark.kernels.cpu_strip import Ids, Strip
from w2v_spark.kernels.emitter import LANES
from w2v_spark.kernels.simd import (
    add_combination,
    add_dots,
    copy,
    logistic_gradient,
    mark_pairs,
    prefetch,
)

TILE_ROWS = 32  # contexts in a tile
# a word in n of a tile's rows gets about n * (window + 1) * (negative + 1) updates at once; measured on English and on
# few items, training diverges where these times the learning rate add up to 11
MOST_UPDATES = 6.0
TILE_NEGATIVES = 64  # negatives that a tile's pairs share

_NEVER = 1 << 30  # further than any window reaches


class Tile(NamedTuple):
    """What is computed for a tile: a row for each context, a column for each centre of its band and for each negative.

    The band of a row is the 2 * window + 1 words around it, itself among them, rounded up to whole vectors.
    """

    context: Floats  # rows of syn0, [slabs, TILE_ROWS, pitch]
    output: Floats  # rows of syn1, words around and then negatives, [slabs, TILE_ROWS + 2 * window + negatives, pitch]
    scores: Floats  # dot products, later gradients times the learning rate, [TILE_ROWS, columns]
    pairs: Floats  # how many pairs a score stands for: 0 or 1 in the band, [TILE_ROWS, columns]
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
    """A range of columns that the registers hold; its width is the literal `vectors` of the functions that take it."""

    number: int
    column: int  # the first


@inner
def make_tile(window: Any, band: Any, slabs: Any, pitch: Any) -> Tile:
    """A tile of zeros and its table of distances."""
    columns, reach = band + TILE_NEGATIVES, 2 * window
    rightward, leftward = np.full(band, _NEVER, np.int32), np.full(band, _NEVER, np.int32)
    for k in range(window):
        rightward[k] = window - k
        leftward[reach - k] = window - k
    return Tile(
        aligned_zeros(slabs * TILE_ROWS * pitch),
        aligned_zeros(slabs * (TILE_ROWS + reach + TILE_NEGATIVES) * pitch),
        aligned_zeros(TILE_ROWS * columns),
        aligned_zeros(TILE_ROWS * columns),
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
def prefetch_rows(matrix: Any, words: Any, start: Any, stop: Any, width: Any) -> None:
    """Ask for the rows of words[start:stop], which are to be read and written soon."""
    for i in range(start, stop):
        row = np.int64(words[i]) * width
        for column in range(0, width, LANES):
            prefetch(matrix, row + column)


@inner
def prefetch_next(tile: Tile, cut: Cut, words: Any, filled: Any, model: Model, window: Any, width: Any) -> None:
    """Ask for the rows of the next tile in a strip of `filled` words: its negatives, contexts, and the words around."""
    following = TILE_NEGATIVES - cut.negatives
    prefetch_rows(model.syn1, tile.negatives, following, following + TILE_NEGATIVES, width)
    start, stop = cut.at + cut.rows + window, filled + window
    prefetch_rows(model.syn0, words, start, min(stop, start + TILE_ROWS), width)
    prefetch_rows(model.syn1, words, start + window, min(stop, start + window + TILE_ROWS), width)


@inner
def count_pairs(tile: Tile, strip: Strip, cut: Cut, band: Any) -> Any:
    """Fill `tile.pairs` and return how many pairs of context and centre there are."""
    columns = band + TILE_NEGATIVES
    total = 0
    for i in range(cut.rows):
        row, at, count = i * columns, cut.at + i, 0
        for k in range(0, band, LANES):
            right, left = (strip.right, at + k), (strip.left, at + k)
            count += mark_pairs(tile.pairs, row + k, tile.rightward, k, *right, tile.leftward, k, *left)
        tile.pairs[row + band : row + columns] = np.float32(count)
        total += count
    return total


@inner
def gather(
    tile: Tile, cut: Cut, words: Any, model: Model, slab: Slab, window: Any, width: Any, pitch: Any, vectors: Any
) -> None:
    """Copy a slab's columns of the tile's rows."""
    around = TILE_ROWS + 2 * window
    x, u = slab.number * TILE_ROWS * pitch, slab.number * (around + TILE_NEGATIVES) * pitch
    for i in range(cut.rows):
        row = np.int64(words[cut.at + window + i]) * width
        copy(tile.context, x + i * pitch, model.syn0, row + slab.column, vectors)
    for j in range(cut.first, cut.last):
        row = np.int64(words[cut.at + j]) * width
        copy(tile.output, u + j * pitch, model.syn1, row + slab.column, vectors)
    for j in range(TILE_NEGATIVES):
        row = np.int64(tile.negatives[cut.negatives + j]) * width
        copy(tile.output, u + (around + j) * pitch, model.syn1, row + slab.column, vectors)


@inner
def score(tile: Tile, cut: Cut, slab: Slab, window: Any, band: Any, rest: Any, pitch: Any, vectors: Any) -> None:
    """Add a slab's part of the dot products of each context with the words around it and with the negatives.

    The last vector of a band has `rest` words in it.
    """
    columns, around = band + TILE_NEGATIVES, TILE_ROWS + 2 * window
    scores, context, output = tile.scores, tile.context, tile.output
    u = slab.number * (around + TILE_NEGATIVES) * pitch
    for i in range(cut.rows):
        x, row = (slab.number * TILE_ROWS + i) * pitch, i * columns
        last = band - LANES
        for k in range(0, last, LANES):
            add_dots(scores, row + k, context, x, output, u + (i + k) * pitch, pitch, LANES, vectors)
        add_dots(scores, row + last, context, x, output, u + (i + last) * pitch, pitch, rest, vectors)
        for k in range(0, TILE_NEGATIVES, LANES):
            add_dots(scores, row + band + k, context, x, output, u + (around + k) * pitch, pitch, LANES, vectors)


@inner
def softplus(x: Any) -> Any:
    """log(1 + exp(x)), which is -log of the logistic function of -x, without overflow."""
    return math.log1p(math.exp(-abs(x))) + max(x, 0.0)


@inner
def loss(tile: Tile, cut: Cut, negative: Any, band: Any) -> Any:
    """The loss of the tile's pairs, from their scores: see `reference.loss`."""
    columns = band + TILE_NEGATIVES
    positives, negatives = 0.0, 0.0
    for i in range(cut.rows):
        for k in range(columns):
            pairs, x = tile.pairs[i * columns + k], np.float64(tile.scores[i * columns + k])
            if pairs > 0:
                if k < band:
                    positives += softplus(-x)
                else:
                    negatives += pairs * softplus(x)
    return positives + negatives * negative / TILE_NEGATIVES


@inner
def differentiate(tile: Tile, cut: Cut, words: Any, step: Any, negative: Any, window: Any, band: Any) -> None:
    """Turn scores into what the learning rate `step` makes of the gradients by them.

    A tile adds up the changes of a word that it repeats, where one after another they would level off: beyond
    `MOST_UPDATES` the step of that word's rows is as much smaller.
    """
    columns = band + TILE_NEGATIVES
    most = MOST_UPDATES / ((window + 1) * (negative + 1) * step)
    for i in range(cut.rows):
        word, times = words[cut.at + window + i], 0
        for k in range(cut.rows):
            times += words[cut.at + window + k] == word
        scaled = step * min(1.0, most / times)
        own, shared, row = np.float32(scaled), np.float32(scaled * negative / TILE_NEGATIVES), i * columns
        for k in range(row, row + band, LANES):
            logistic_gradient(tile.scores, k, tile.pairs, k, 1, own)
        for k in range(row + band, row + columns, LANES):
            logistic_gradient(tile.scores, k, tile.pairs, k, 0, shared)


@inlined
def slowing(strip: Strip, first: Any, last: Any, this: Any, updates: Any) -> Any:
    """By how much the changes of context words[this] are made smaller where words[first:last] repeat it, as
    `differentiate` does; `updates` is the learning rate times the number of updates that an occurrence gets.
    """
    if (last - first) * updates <= MOST_UPDATES:
        return 1.0
    times = 0
    for k in range(first, last):
        times += strip.words[k] == strip.words[this]
    return min(1.0, MOST_UPDATES / (times * updates))


@inner
def scatter_contexts(
    tile: Tile,
    cut: Cut,
    words: Any,
    model: Model,
    frozen: Any,
    slab: Slab,
    window: Any,
    band: Any,
    width: Any,
    pitch: Any,
    vectors: Any,
) -> None:
    """Add the changes of a slab's columns to the contexts' rows of syn0, but for words that are frozen."""
    columns, around = band + TILE_NEGATIVES, TILE_ROWS + 2 * window
    u = slab.number * (around + TILE_NEGATIVES) * pitch
    syn0, scores, output, shared = model.syn0, tile.scores, tile.output, u + around * pitch
    for i in range(cut.rows):
        if frozen is not None:
            if frozen[words[cut.at + window + i]]:
                continue
        row, at = np.int64(words[cut.at + window + i]) * width + slab.column, i * columns
        add_combination(syn0, row, scores, at, 1, output, u + i * pitch, pitch, 2 * window + 1, vectors)
        add_combination(syn0, row, scores, at + band, 1, output, shared, pitch, TILE_NEGATIVES, vectors)


@inner
def scatter_outputs(
    tile: Tile,
    cut: Cut,
    words: Any,
    model: Model,
    slab: Slab,
    window: Any,
    band: Any,
    width: Any,
    pitch: Any,
    vectors: Any,
) -> None:
    """Add the changes of a slab's columns to the rows of syn1, of the words around and of the negatives."""
    columns, x = band + TILE_NEGATIVES, slab.number * TILE_ROWS * pitch
    syn1, scores, context = model.syn1, tile.scores, tile.context
    for j in range(cut.first, cut.last):
        row = np.int64(words[cut.at + j]) * width + slab.column
        # the contexts that have word j in their band: in each further row it is one column to the left
        i, end = max(0, j - 2 * window), min(cut.rows, j + 1)
        at = i * columns + j - i
        add_combination(syn1, row, scores, at, columns - 1, context, x + i * pitch, pitch, end - i, vectors)
    for j in range(TILE_NEGATIVES):
        row = np.int64(tile.negatives[cut.negatives + j]) * width + slab.column
        add_combination(syn1, row, scores, band + j, columns, context, x, pitch, cut.rows, vectors)

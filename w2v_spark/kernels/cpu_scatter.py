"""What a tile of skip-gram with negative sampling changes, brought back to the matrices on CPU: see `cpu_tile.py`."""

from __future__ import annotations

from typing import Any

import numpy as np

from w2v_spark.kernels.cache import inner
from w2v_spark.kernels.cpu_strip import is_frozen
from w2v_spark.kernels.cpu_tile import Cut, Model, Slab, Tile
from w2v_spark.kernels.simd import add_combination
from w2v_spark.kernels.simd_tile import TOGETHER, ListedRows, add_combinations
from w2v_spark.kernels.sizes import TILE_NEGATIVES, TILE_ROWS

# of the next tile's negatives, while the changes of a few contexts are formed
_ASKED = TILE_NEGATIVES * TOGETHER // TILE_ROWS


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
    columns: Any,
) -> None:
    """Add the changes of a slab's columns to the rows of syn1, of the words around and of the negatives.

    Meanwhile the next tile's contexts are asked for, line by line, and then the words around them.
    """
    syn1, context, x = model.syn1, tile.context, slab.number * TILE_ROWS * pitch
    next_contexts = cut.at + cut.rows + window
    for j in range(cut.first, cut.last):
        row = np.int64(words[cut.at + j]) * width + slab.column
        # the contexts that have word j in their band: in each further row it is one column to the left
        i, end = max(0, j - 2 * window), min(cut.rows, j + 1)
        at = i * band + j - i
        add_combination(syn1, row, tile.scores, at, band - 1, context, x + i * pitch, pitch, end - i, columns)
    drawn, pulls = cut.negatives, tile.negative_scores
    for half in range(2):
        soon_matrix, later = (syn1, next_contexts + window) if half else (model.syn0, next_contexts)
        for part in range(0, TILE_NEGATIVES // 2, TOGETHER):
            j = half * (TILE_NEGATIVES // 2) + part
            sums = ListedRows(syn1, slab.column, tile.negatives, drawn + j, width)
            soon = ListedRows(soon_matrix, slab.column, words, later + part, width)
            at, asked = j * TILE_ROWS, TOGETHER
            add_combinations(sums, pulls, at, TILE_ROWS, 1, context, x, pitch, cut.rows, columns, soon, asked)


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
    columns: Any,
) -> None:
    """Add the changes of a slab's columns to the contexts' rows of syn0, but for words that are frozen.

    Meanwhile the next tile's negatives are asked for, line by line. Where words are frozen rows are changed one by one,
    so that theirs are not even written.
    """
    around = TILE_ROWS + 2 * window
    u = slab.number * (around + TILE_NEGATIVES) * pitch
    syn0, output, shared, pulls = model.syn0, tile.output, u + around * pitch, tile.negative_scores
    first, following = cut.at + window, TILE_NEGATIVES - cut.negatives
    for i in range(cut.rows):
        if is_frozen(frozen, words[first + i]):
            continue
        row = np.int64(words[first + i]) * width + slab.column
        add_combination(syn0, row, tile.scores, i * band, 1, output, u + i * pitch, pitch, 2 * window + 1, columns)
    whole = 0 if frozen is not None else cut.rows // TOGETHER * TOGETHER
    for i in range(0, whole, TOGETHER):
        sums = ListedRows(syn0, slab.column, words, first + i, width)
        soon = ListedRows(model.syn1, slab.column, tile.negatives, following + i * _ASKED // TOGETHER, width)
        add_combinations(sums, pulls, i, 1, TILE_ROWS, output, shared, pitch, TILE_NEGATIVES, columns, soon, _ASKED)
    for i in range(whole, cut.rows):
        if is_frozen(frozen, words[first + i]):
            continue
        row = np.int64(words[first + i]) * width + slab.column
        add_combination(syn0, row, pulls, i, TILE_ROWS, output, shared, pitch, TILE_NEGATIVES, columns)

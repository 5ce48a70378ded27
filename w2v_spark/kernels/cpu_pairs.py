"""The products of a tile by AVX512_BF16, and its changes brought back to the matrices: `cpu_amx.py` does the same on
Intel's matrix unit.

A score whose weight is zero in every tile, of a context and a word around that are further apart than the window, is
mostly not computed.
"""

from __future__ import annotations

from typing import Any

from w2v_spark.kernels.cache import inlined, inner
from w2v_spark.kernels.cpu_strip import is_frozen
from w2v_spark.kernels.cpu_tile import Cut, Model
from w2v_spark.kernels.cpu_tile_bf16 import Tile, pitch_of
from w2v_spark.kernels.simd_bf16 import prefetch_row
from w2v_spark.kernels.simd_pairs import add_pair_combinations, multiply_pairs
from w2v_spark.kernels.simd_tile import TOGETHER, ListedRows
from w2v_spark.kernels.sizes import LANES, TILE_NEGATIVES, TILE_ROWS


@inlined
def start() -> None:
    """Nothing has to be made ready."""


@inlined
def stop() -> None:
    """Nothing has to be given back."""


@inlined
def score(
    tile: Tile, cut: Cut, words: Any, model: Model, window: Any, around: Any, outputs: Any, width: Any, columns: Any
) -> None:
    """Dot products of the outputs with the contexts. Meanwhile the next tile's contexts are asked for.

    Of words around, 16 at a time: the first are in no window of the later contexts, the last in none of the first.
    """
    pitch, dwords, next_contexts = pitch_of(width), (columns + 1) // 2, cut.at + cut.rows + window
    scores, rows, turned = tile.scores, tile.outputs.rows, tile.turned
    for j in range(0, outputs, LANES):
        to, row = j * TILE_ROWS, j * pitch
        if j == 0:
            multiply_pairs(scores, to, rows, row, pitch, turned, 0, dwords, LANES)
        elif LANES + 2 * window <= j < around:
            multiply_pairs(scores, to + LANES, rows, row, pitch, turned, LANES, dwords, LANES)
        else:
            multiply_pairs(scores, to, rows, row, pitch, turned, 0, dwords, TILE_ROWS)
        for k in range(to // outputs, (to + LANES * TILE_ROWS) // outputs):
            prefetch_row(model.syn0, words, next_contexts + k, width)


@inlined
def scatter_outputs(
    tile: Tile, cut: Cut, words: Any, model: Model, window: Any, around: Any, outputs: Any, width: Any, columns: Any
) -> None:
    """Add the changes of the words around and of the negatives to their rows of syn1. Meanwhile the words around the
    next tile are asked for.
    """
    whole = cut.first + (cut.last - cut.first) // TOGETHER * TOGETHER
    for j in range(cut.first, whole, TOGETHER):
        add_to_around(tile, cut, words, model, j, window, width, columns, TOGETHER)
    for j in range(whole, cut.last):
        add_to_around(tile, cut, words, model, j, window, width, columns, 1)
    pitch, next_around = pitch_of(TILE_ROWS), cut.at + cut.rows + 2 * window
    steps, contexts, dwords = tile.steps.rows, tile.contexts.pairs, TILE_ROWS // 2
    for j in range(0, TILE_NEGATIVES, TOGETHER):
        sums, row = ListedRows(model.syn1, 0, tile.negatives, cut.negatives + j, width), (around + j) * pitch
        add_pair_combinations(sums, steps, row, pitch, contexts, 0, width, dwords, columns, TOGETHER)
        for k in range(j // 2, (j + TOGETHER) // 2):
            prefetch_row(model.syn1, words, next_around + k, width)


@inner
def add_to_around(
    tile: Tile, cut: Cut, words: Any, model: Model, j: Any, window: Any, width: Any, columns: Any, together: Any
) -> None:
    """Add the changes of the words around from number j on, by the contexts that have them in their bands."""
    first, last = max(0, j - 2 * window) // 2, min(TILE_ROWS, j + together + 1) // 2
    sums, pitch = ListedRows(model.syn1, 0, words, cut.at + j, width), pitch_of(TILE_ROWS)
    steps, contexts, at = tile.steps.rows, tile.contexts.pairs, j * pitch + first
    add_pair_combinations(sums, steps, at, pitch, contexts, first * width, width, last - first, columns, together)


@inlined
def scatter_contexts(
    tile: Tile,
    cut: Cut,
    words: Any,
    model: Model,
    frozen: Any,
    window: Any,
    around: Any,
    outputs: Any,
    width: Any,
    columns: Any,
) -> None:
    """Add the changes of the contexts to their rows of syn0, but for words that are frozen, whose rows are not even
    written.
    """
    whole = 0 if frozen is not None else cut.rows // TOGETHER * TOGETHER
    for i in range(0, whole, TOGETHER):
        add_to_contexts(tile, cut, words, model, i, window, around, outputs, width, columns, TOGETHER)
    for i in range(whole, cut.rows):
        if not is_frozen(frozen, words[cut.at + window + i]):
            add_to_contexts(tile, cut, words, model, i, window, around, outputs, width, columns, 1)


@inner
def add_to_contexts(
    tile: Tile,
    cut: Cut,
    words: Any,
    model: Model,
    i: Any,
    window: Any,
    around: Any,
    outputs: Any,
    width: Any,
    columns: Any,
    together: Any,
) -> None:
    """Add the changes of the contexts from number i on, by the words of their bands and by the negatives."""
    sums, pitch = ListedRows(model.syn0, 0, words, cut.at + window + i, width), pitch_of(outputs)
    steps, rows, own = tile.turned_steps, tile.outputs.pairs, i * pitch
    first, last, shared = i // 2, (i + together + 2 * window + 1) // 2, around // 2
    add_pair_combinations(sums, steps, own + first, pitch, rows, first * width, width, last - first, columns, together)
    add_pair_combinations(
        sums, steps, own + shared, pitch, rows, shared * width, width, TILE_NEGATIVES // 2, columns, together
    )

"""Which of the negatives that are shared count for which sample, on CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from w2v_spark.kernels.cache import inner
from w2v_spark.kernels.cpu_tile import Cut, Tile
from w2v_spark.kernels.simd import count_bits, find, lowest_bit
from w2v_spark.kernels.sizes import TILE_NEGATIVES, TILE_ROWS

_ONE = np.uint64(1)


@inner
def drop_clashes(tile: Tile, words: Any, cut: Cut, window: Any, band: Any) -> None:
    """A negative that equals the centre of a pair is not used for that pair: it stands for a pair less in that row."""
    for j in range(cut.first, cut.last):
        clashes = find(tile.negatives, cut.negatives, words[cut.at + j], TILE_NEGATIVES)
        while clashes != 0:
            row = lowest_bit(clashes) * TILE_ROWS
            for i in range(max(0, j - 2 * window), min(cut.rows, j + 1)):
                tile.negative_pairs[row + i] -= tile.pairs[i * band + j - i]
            clashes &= clashes - _ONE


@inner
def drop_seen(tile: Tile, words: Any, cut: Cut, window: Any, band: Any) -> None:
    """A negative that a row is seen with is used for none of its pairs: the others stand for as many pairs more."""
    for i in range(cut.rows):
        dropped = np.uint64(0)
        for k in range(2 * window + 1):
            if tile.pairs[i * band + k] > 0:
                dropped |= find(tile.negatives, cut.negatives, words[cut.at + i + k], TILE_NEGATIVES)
        spread(tile.negative_pairs, i, TILE_ROWS, dropped, TILE_NEGATIVES)


@inner
def spread(weights: Any, at: Any, step: Any, dropped: Any, count: Any) -> None:
    """Take from `count` equal weights, weights[at + k * step], those whose bit is set, and let the others add up to
    what all were.
    """
    more = np.float32(count / max(1, count - count_bits(dropped)))
    if dropped != 0:
        for k in range(count):
            weights[at + k * step] *= more
    while dropped != 0:
        weights[at + lowest_bit(dropped) * step] = 0
        dropped &= dropped - _ONE

"""Which of the negatives that are shared count for which sample, on CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from w2v_spark.kernels.cache import inner
from w2v_spark.kernels.cpu_tile import TILE_NEGATIVES, Cut, Tile
from w2v_spark.kernels.simd import find, lowest_bit

_ONE = np.uint64(1)


@inner
def drop_clashes(tile: Tile, words: Any, cut: Cut, window: Any, band: Any) -> None:
    """A negative that equals the centre of a pair is not used for that pair: it stands for a pair less in that row."""
    columns = band + TILE_NEGATIVES
    for j in range(cut.first, cut.last):
        clashes = find(tile.negatives, cut.negatives, words[cut.at + j], TILE_NEGATIVES)
        while clashes != 0:
            column = band + lowest_bit(clashes)
            for i in range(max(0, j - 2 * window), min(cut.rows, j + 1)):
                tile.pairs[i * columns + column] -= tile.pairs[i * columns + j - i]
            clashes &= clashes - _ONE


@inner
def drop_seen(tile: Tile, words: Any, cut: Cut, window: Any, band: Any) -> None:
    """A negative that a row is seen with is used for none of its pairs: the others stand for as many pairs more."""
    columns = band + TILE_NEGATIVES
    for i in range(cut.rows):
        row, dropped = i * columns, np.uint64(0)
        for k in range(2 * window + 1):
            if tile.pairs[row + k] > 0:
                dropped |= find(tile.negatives, cut.negatives, words[cut.at + i + k], TILE_NEGATIVES)
        spread(tile.pairs, row + band, dropped, TILE_NEGATIVES)


@inner
def spread(weights: Any, at: Any, dropped: Any, count: Any) -> None:
    """Take from `count` equal weights those whose bit is set, and let the others add up to what all were."""
    left, bits = count, dropped
    while bits != 0:
        left -= 1
        bits &= bits - _ONE
    more = np.float32(count / max(1, left))
    if dropped != 0:
        for k in range(count):
            weights[at + k] *= more
    while dropped != 0:
        weights[at + lowest_bit(dropped)] = 0
        dropped &= dropped - _ONE

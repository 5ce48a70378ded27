"""The products of a tile on Intel's matrix unit, and its changes brought back to the matrices: `cpu_pairs.py` does the
same by AVX512_BF16.

Every context is scored with all words around, not those of its band alone: more products than are used, but the unit
does them an order faster.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from w2v_spark.kernels.cache import inlined, inner
from w2v_spark.kernels.cpu_strip import is_frozen
from w2v_spark.kernels.cpu_tile import Cut, Model
from w2v_spark.kernels.cpu_tile_bf16 import Tile, blocks_of, pitch_of
from w2v_spark.kernels.simd_amx import add, configure, product, release
from w2v_spark.kernels.simd_bf16 import prefetch_row
from w2v_spark.kernels.sizes import LANES, TILE_ROWS


@inner
def make_config() -> npt.NDArray[np.uint8]:
    """The unit's registers as `configure` takes them: palette 1, and each of the eight 16 rows of 64 bytes."""
    config = np.zeros(128, np.uint8)
    config = config[-config.ctypes.data & 63 :][:64]
    config[0] = 1
    for register in range(8):
        config[16 + 2 * register] = 64
        config[48 + register] = 16
    return config


@inlined
def start() -> None:
    """Configure the unit."""
    configure(make_config(), 0)


@inlined
def stop() -> None:
    """Give the unit back."""
    release()


@inlined
def score(
    tile: Tile, cut: Cut, words: Any, model: Model, window: Any, around: Any, outputs: Any, width: Any, columns: Any
) -> None:
    """Dot products of all outputs with all contexts. Meanwhile the next tile's contexts are asked for."""
    pitch, next_contexts = pitch_of(width), cut.at + cut.rows + window
    for j in range(0, outputs, LANES):
        to, rows = j * TILE_ROWS, j * pitch
        product(tile.scores, to, tile.outputs.rows, rows, tile.turned, 0, blocks_of(width), LANES, TILE_ROWS)
        for k in range(to // outputs, (to + LANES * TILE_ROWS) // outputs):
            prefetch_row(model.syn0, words, next_contexts + k, width)


@inlined
def scatter_outputs(
    tile: Tile, cut: Cut, words: Any, model: Model, window: Any, around: Any, outputs: Any, width: Any, columns: Any
) -> None:
    """Add the changes of the words around and of the negatives to their rows of syn1. Meanwhile the words around the
    next tile are asked for.
    """
    changes, next_around = tile.changes, cut.at + cut.rows + 2 * window
    for j in range(0, outputs, LANES):
        product(changes, 0, tile.steps.rows, j * pitch_of(TILE_ROWS), tile.contexts.pairs, 0, 1, LANES, width)
        for k in range(max(cut.first, j), min(cut.last, j + LANES)):
            add(model.syn1, np.int64(words[cut.at + k]) * width, changes, (k - j) * width, width)
        for k in range(max(around, j), j + LANES):
            drawn = k - around
            row = np.int64(tile.negatives[cut.negatives + drawn]) * width
            add(model.syn1, row, changes, (k - j) * width, width)
            if drawn & 1:
                prefetch_row(model.syn1, words, next_around + drawn // 2, width)


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
    """Add the changes of the contexts to their rows of syn0, but for words that are frozen."""
    first = cut.at + window
    product(tile.changes, 0, tile.turned_steps, 0, tile.outputs.pairs, 0, blocks_of(outputs), TILE_ROWS, width)
    for i in range(cut.rows):
        if not is_frozen(frozen, words[first + i]):
            add(model.syn0, np.int64(words[first + i]) * width, tile.changes, i * width, width)

"""The steps of a tile of skip-gram with negative sampling on CPUs that multiply matrices: the twin of `cpu_tile.py` and
`cpu_scatter.py`.

Every context is scored with every output, that is with all words around, not those of its band alone, and with the
negatives; weights, mostly zero among the words around, say which scores count and how much. That is more products than
are used, but the unit does them an order faster. They are formed of numbers rounded to bf16, as on GPUs with tensor
cores; sums, scores and the matrices themselves are float32.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from w2v_spark.array_types import Floats, Ids
from w2v_spark.kernels.aligned import aligned_zeros
from w2v_spark.kernels.cache import inlined, inner
from w2v_spark.kernels.cpu_strip import is_frozen
from w2v_spark.kernels.cpu_tile import Cut, Model, weighted_loss
from w2v_spark.kernels.simd_matrix import BLOCK, add, logistic_steps, pack, prefetch_row, product
from w2v_spark.kernels.simd_tile import turn
from w2v_spark.kernels.sizes import LANES, TILE_NEGATIVES, TILE_ROWS


class Operand(NamedTuple):
    """Vectors in bf16, in both forms that products take: see `simd_matrix.py`."""

    rows: Floats
    pairs: Floats


class Tile(NamedTuple):
    """What is computed for a tile; outputs are the words around, rounded up to whole vectors, and the negatives."""

    contexts: Operand  # rows of syn0, [TILE_ROWS, width]
    turned: Floats  # the contexts' rows, dword by dword: the right operand of scores, [pitch, TILE_ROWS]
    outputs: Operand  # rows of syn1, [outputs, width]
    scores: Floats  # dot products, later gradients times the learning rate, [outputs, TILE_ROWS]
    weights: Floats  # how many pairs a score stands for, less for words that are repeated, of the same shape
    steps: Operand  # the scores as operands, when they are gradients
    turned_steps: Floats  # the same context by context: the left operand of their changes, [TILE_ROWS, pitch]
    changes: Floats  # of 16 outputs, and then of the contexts, [TILE_ROWS, width]
    # of this tile and, drawn ahead so that memory has time, of the next, [2 * TILE_NEGATIVES]
    negatives: Ids


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
def blocks_of(numbers: Any) -> Any:
    """How many blocks so many numbers fill."""
    return -(-numbers // BLOCK)


@inlined
def pitch_of(numbers: Any) -> Any:
    """How many dwords a row of so many numbers takes."""
    return blocks_of(numbers) * LANES


@inlined
def make_operand(vectors: Any, width: Any) -> Operand:
    """Zeros, for so many vectors and some to make blocks whole."""
    vectors = blocks_of(vectors) * BLOCK
    return Operand(aligned_zeros(vectors * pitch_of(width)), aligned_zeros(vectors // 2 * width))


@inlined
def make_tile(outputs: Any, width: Any) -> Tile:
    """A tile of zeros."""
    return Tile(
        make_operand(TILE_ROWS, width),
        aligned_zeros(pitch_of(width) * TILE_ROWS),
        make_operand(outputs, width),
        aligned_zeros(outputs * TILE_ROWS),
        aligned_zeros(outputs * TILE_ROWS),
        make_operand(outputs, TILE_ROWS),
        aligned_zeros(TILE_ROWS * pitch_of(outputs)),
        aligned_zeros(TILE_ROWS * width),
        np.zeros(2 * TILE_NEGATIVES, np.int32),
    )


@inlined
def read_rows(to: Operand, at: Any, matrix: Any, ids: Any, first: Any, count: Any, width: Any) -> None:
    """Read the rows ids[first : first + count] of a matrix as vectors from number `at` on; both numbers are even."""
    for j in range(0, count, 2):
        x, y = np.int64(ids[first + j]) * width, np.int64(ids[first + j + 1]) * width
        pack(to.rows, (at + j) * pitch_of(width), to.pairs, (at + j) // 2 * width, matrix, x, matrix, y, width)


@inlined
def gather(tile: Tile, cut: Cut, words: Any, model: Model, window: Any, around: Any, width: Any) -> None:
    """Read the tile's rows. What lies past the text's end is read too, and weighs nothing."""
    read_rows(tile.contexts, 0, model.syn0, words, cut.at + window, TILE_ROWS, width)
    read_rows(tile.outputs, 0, model.syn1, words, cut.at, around, width)
    read_rows(tile.outputs, around, model.syn1, tile.negatives, cut.negatives, TILE_NEGATIVES, width)


@inlined
def score(tile: Tile, cut: Cut, words: Any, model: Model, window: Any, outputs: Any, width: Any) -> None:
    """Dot products of all outputs with all contexts. Meanwhile the next tile's contexts are asked for."""
    pitch, next_contexts = pitch_of(width), cut.at + cut.rows + window
    for k in range(0, pitch, LANES):
        for i in range(0, TILE_ROWS, LANES):
            turn(tile.turned, k * TILE_ROWS + i, TILE_ROWS, tile.contexts.rows, i * pitch + k, pitch)
    for j in range(0, outputs, LANES):
        to, rows = j * TILE_ROWS, j * pitch
        product(tile.scores, to, tile.outputs.rows, rows, tile.turned, 0, blocks_of(width), LANES, TILE_ROWS)
        for k in range(to // outputs, (to + LANES * TILE_ROWS) // outputs):
            prefetch_row(model.syn0, words, next_contexts + k, width)


@inner
def loss(tile: Tile, negative: Any, around: Any, outputs: Any) -> Any:
    """The loss of the tile's pairs, from their scores: see `reference.loss`."""
    positives = weighted_loss(tile.scores, tile.weights, 0, around * TILE_ROWS, 1)
    negatives = weighted_loss(tile.scores, tile.weights, around * TILE_ROWS, outputs * TILE_ROWS, 0)
    return positives + negatives * negative / TILE_NEGATIVES


@inlined
def differentiate(
    tile: Tile, cut: Cut, model: Model, step: Any, negative: Any, around: Any, outputs: Any, width: Any
) -> None:
    """Turn scores into what the learning rate `step` makes of the gradients by them, as operands. Meanwhile the next
    tile's negatives are asked for.
    """
    following, half = TILE_NEGATIVES - cut.negatives, TILE_NEGATIVES // 2
    for j in range(around):
        logistic_steps(tile.scores, j * TILE_ROWS, tile.weights, j * TILE_ROWS, 1, np.float32(step))
        if j < half:
            prefetch_row(model.syn1, tile.negatives, following + j, width)
    shared = np.float32(step * negative / TILE_NEGATIVES)
    for j in range(around, outputs):
        logistic_steps(tile.scores, j * TILE_ROWS, tile.weights, j * TILE_ROWS, 0, shared)
        if j & 1:
            prefetch_row(model.syn1, tile.negatives, following + half + (j - around) // 2, width)
    for j in range(0, outputs, 2):
        one, two, pairs = j * TILE_ROWS, (j + 1) * TILE_ROWS, j // 2 * TILE_ROWS
        rows = j * pitch_of(TILE_ROWS)
        pack(tile.steps.rows, rows, tile.steps.pairs, pairs, tile.scores, one, tile.scores, two, TILE_ROWS)
    pitch = pitch_of(outputs)
    for k in range(0, outputs // 2, LANES):
        for i in range(0, TILE_ROWS, LANES):
            turn(tile.turned_steps, i * pitch + k, pitch, tile.steps.pairs, k * TILE_ROWS + i, TILE_ROWS)


@inlined
def scatter_outputs(
    tile: Tile, cut: Cut, words: Any, model: Model, window: Any, around: Any, outputs: Any, width: Any
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
    tile: Tile, cut: Cut, words: Any, model: Model, frozen: Any, window: Any, outputs: Any, width: Any
) -> None:
    """Add the changes of the contexts to their rows of syn0, but for words that are frozen."""
    first = cut.at + window
    product(tile.changes, 0, tile.turned_steps, 0, tile.outputs.pairs, 0, blocks_of(outputs), TILE_ROWS, width)
    for i in range(cut.rows):
        if not is_frozen(frozen, words[first + i]):
            add(model.syn0, np.int64(words[first + i]) * width, tile.changes, i * width, width)

"""The steps of a tile of skip-gram with negative sampling on CPUs that multiply bf16: the twin of `cpu_tile.py`.

Scores of each context with words around, not those of its band alone, and with the negatives are one matrix; weights,
mostly zero among the words around, say which scores count and how much. Vectors and gradients are rounded to bf16
before they are multiplied, as on GPUs with tensor cores; sums, scores and the matrices themselves are float32. The
products, and what they change, are those of `cpu_amx.py` or `cpu_pairs.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from w2v_spark.array_types import Floats, Ids
from w2v_spark.kernels.aligned import aligned_zeros
from w2v_spark.kernels.cache import inlined, inner
from w2v_spark.kernels.cpu_tile import Cut, Model
from w2v_spark.kernels.simd_bf16 import BLOCK, logistic_steps, pack, prefetch_row
from w2v_spark.kernels.simd_exp import weighted_loss
from w2v_spark.kernels.simd_tile import turn
from w2v_spark.kernels.sizes import LANES, TILE_NEGATIVES, TILE_ROWS


class Operand(NamedTuple):
    """Vectors in bf16, in both forms that products take: see `simd_bf16.py`."""

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
    changes: Floats  # for `cpu_amx.py`: of 16 outputs, and then of the contexts, [TILE_ROWS, width]
    # of this tile and, drawn ahead so that memory has time, of the next, [2 * TILE_NEGATIVES]
    negatives: Ids


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
    pitch = pitch_of(width)
    for k in range(0, pitch, LANES):
        for i in range(0, TILE_ROWS, LANES):
            turn(tile.turned, k * TILE_ROWS + i, TILE_ROWS, tile.contexts.rows, i * pitch + k, pitch)


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

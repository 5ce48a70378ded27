"""Rows of matrices as the CPU kernels handle them: whole rows of any width, in pieces that the registers hold.

Arrays are flat, and an index into them is a row's number times the row's floats. The literals `wide`, `vectors`,
`narrow` and `fewer` are those of `slabs`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from w2v_spark.kernels.cache import inner
from w2v_spark.kernels.simd import add_combination, copy
from w2v_spark.kernels.sizes import LANES

Floats = npt.NDArray[np.float32]

_SLAB = 8  # most vectors of a row in registers at once; 64 rows of such a slab fill 32 KB of the first cache


def slabs(width: int) -> tuple[int, int, int, int]:
    """How a row of so many floats is cut: `wide` slabs of so many `vectors` of 16, then `narrow` slabs of one `fewer`.

    As few slabs as fit the registers, as even as can be.
    """
    count = -(-width // (LANES * _SLAB))
    vectors = -(-width // (LANES * count))
    narrow = count * vectors - width // LANES
    return count - narrow, vectors, narrow, vectors - 1


def _aligned_zeros(size: Any) -> Any:
    """Zeros that start on a cache line."""
    floats = np.zeros(size + LANES, np.float32)
    skip = -(floats.ctypes.data >> 2) & (LANES - 1)
    return floats[skip : skip + size]


aligned_zeros = inner(_aligned_zeros)


def aligned_matrix(rows: int, width: int) -> Floats:
    """Zeros whose rows start on cache lines, `width` being whole vectors: training takes a tenth longer where each one
    lies across two lines.
    """
    floats: Floats = _aligned_zeros(rows * width)
    return floats.reshape(rows, width)


@inner
def copy_row(y: Any, to: Any, x: Any, start: Any, wide: Any, vectors: Any, narrow: Any, fewer: Any) -> None:
    """Copy the row of x at `start` to y at `to`."""
    column = 0
    for _ in range(wide):
        copy(y, to + column, x, start + column, vectors)
        column += vectors * LANES
    for _ in range(narrow):
        copy(y, to + column, x, start + column, fewer)
        column += fewer * LANES


@inner
def add_rows(
    y: Any,
    to: Any,
    weights: Any,
    at: Any,
    step: Any,
    rows: Any,
    start: Any,
    pitch: Any,
    count: Any,
    wide: Any,
    vectors: Any,
    narrow: Any,
    fewer: Any,
) -> None:
    """Add to a row of y the sum of weights[at + j * step] times the row of `rows` at start + j * pitch, j < count."""
    column = 0
    for _ in range(wide):
        add_combination(y, to + column, weights, at, step, rows, start + column, pitch, count, vectors)
        column += vectors * LANES
    for _ in range(narrow):
        add_combination(y, to + column, weights, at, step, rows, start + column, pitch, count, fewer)
        column += fewer * LANES

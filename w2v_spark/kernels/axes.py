"""Principal axes of the rows of a matrix, and rows weighed along them: the compiled part of `training/sequential.py`.

Sums are in a fixed order and eigenvectors by Jacobi's method, so that bytes do not change with the number of
threads, as those of LAPACK do.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import types

from w2v_spark.array_types import Doubles, Floats
from w2v_spark.kernels.aligned import aligned_matrix, aligned_zeros
from w2v_spark.kernels.cache import compile_now, inner, read_only
from w2v_spark.kernels.simd import add_combination
from w2v_spark.kernels.sizes import LANES, whole_vectors

# changes travel with 11 bits, so axes need no more than this; a matrix of 300 takes 5 sweeps
_ENOUGH = 1e-6
_MOST_SWEEPS = 30
_LITTLE = 1e-6  # of a mean eigenvalue
# so many rows stay in the first cache; those of a moment are added up in single precision
_PART = 32


def add_second_moment(rows: Floats, weights: Doubles, total: Doubles) -> None:
    """Add the sum of weight x row x row' to `total`: float32[n, at least D], float64[n], float64[D, D]."""
    _moment_adder(whole_vectors(len(total)))(np.ascontiguousarray(rows), np.ascontiguousarray(weights), total)


def principal_axes(moment: Doubles) -> tuple[Doubles, Doubles]:
    """Eigenvalues and eigenvectors (as rows) of a symmetric matrix without negative eigenvalues, float64[D] and
    float64[D, D], in no order; the lower triangle is read.

    One-sided Jacobi (Hestenes 1958): rotations make the rows orthogonal, two at a time; each is then its eigenvalue
    times its axis. A little of the unit matrix gives a direction to those without a length, too.
    """
    size = len(moment)
    little = _LITTLE * float(np.trace(moment)) / size or 1.0
    rotated = np.tril(moment) + np.tril(moment, -1).T + little * np.eye(size)
    _rotator()(rotated)
    lengths = np.sqrt(np.einsum("ij,ij->i", rotated, rotated))
    return np.maximum(0.0, lengths - little), rotated / lengths[:, None]


def weigh_along(values: Floats, axes: Doubles, exposure: Doubles, rates: Doubles, replicas: int) -> Floats:
    """The rows of `values`, float32[n, D], with the part along each axis times R (1 + x) / (1 + R x), where R is
    `replicas` and x the row's `exposure` (float64[n]) times the axis' `rate` (float64[D]).
    """
    weighed, along = np.empty((len(values), len(axes)), np.float32), _padded(axes)
    _weigher(whole_vectors(len(axes)))(values.reshape(-1), along, _padded(axes.T), exposure, rates, replicas, weighed)
    return weighed


def _padded(matrix: Doubles) -> Floats:
    """The matrix as float32, its rows end to end, each of whole vectors."""
    size = len(matrix)
    rows = aligned_matrix(size, whole_vectors(size))
    rows[:, :size] = matrix
    return rows.reshape(-1)


@functools.cache
def _moment_adder(width: int) -> Any:
    read = read_only(types.float32, 2)

    @compile_now(types.void(read, read_only(types.float64), types.float64[:, ::1]))
    def add(rows: Any, weights: Any, total: Any) -> None:
        size = len(total)
        part, weighed, moment = aligned_zeros(_PART * width), aligned_zeros(_PART * width), aligned_zeros(size * width)
        for first in range(0, len(rows), _PART):
            count = min(_PART, len(rows) - first)
            for i in range(count):
                weight = np.float32(weights[first + i])
                for d in range(size):
                    part[i * width + d] = rows[first + i, d]
                    weighed[i * width + d] = weight * rows[first + i, d]
            moment[:] = 0.0
            for d in range(size):
                add_combination(moment, d * width, weighed, d, width, part, 0, width, count, width)
            for d in range(size):
                for e in range(size):
                    total[d, e] += moment[d * width + e]

    return add


@inner
def _dot(a: Any, b: Any, sums: Any) -> Any:
    """The dot product of two rows, of 16 sums side by side: one alone would wait for itself at each number."""
    sums[:] = 0.0
    whole = len(a) // LANES * LANES
    for d in range(0, whole, LANES):
        for lane in range(LANES):
            sums[lane] += a[d + lane] * b[d + lane]
    for d in range(whole, len(a)):
        sums[d - whole] += a[d] * b[d]
    total = 0.0
    for lane in range(LANES):
        total += sums[lane]
    return total


@inner
def _turn(a: Any, b: Any, cosine: Any, sine: Any) -> None:
    for d in range(len(a)):
        x, y = a[d], b[d]
        a[d], b[d] = cosine * x - sine * y, sine * x + cosine * y


@functools.cache
def _rotator() -> Any:
    @compile_now(types.void(types.float64[:, ::1]))
    def rotate(rows: Any) -> None:
        size, sums = len(rows), np.zeros(LANES)
        lengths = np.zeros(size)  # squared
        # a matrix of 1,024 is larger than a cache, two blocks of its rows are not
        blocks = -(-size // _PART)
        for _ in range(_MOST_SWEEPS):
            turned = False
            for p in range(size):
                lengths[p] = _dot(rows[p], rows[p], sums)
            for pair in range(blocks * blocks):
                first, second = pair // blocks * _PART, pair % blocks * _PART
                for p in range(first, min(size, first + _PART)):
                    for q in range(max(p + 1, second), min(size, second + _PART)):
                        pp, qq, pq = lengths[p], lengths[q], _dot(rows[p], rows[q], sums)
                        if abs(pq) <= _ENOUGH * np.sqrt(pp * qq):
                            continue
                        turned = True
                        slope = (qq - pp) / (2.0 * pq)
                        tangent = (1.0 if slope >= 0.0 else -1.0) / (abs(slope) + np.sqrt(1.0 + slope * slope))
                        cosine = 1.0 / np.sqrt(1.0 + tangent * tangent)
                        _turn(rows[p], rows[q], cosine, cosine * tangent)
                        # what one loses the other has; rounding is made good at the next sweep
                        lengths[p], lengths[q] = max(0.0, pp - tangent * pq), qq + tangent * pq
            if not turned:
                return

    return rotate


@inner
def _multiply(product: Any, left: Any, start: Any, pitch: Any, count: Any, right: Any, size: Any, width: Any) -> None:
    """The product of `count` rows, the first at left[start] and all `pitch` apart, with a square matrix of `size` rows,
    a part of which stays in the first cache for all of them.
    """
    product[:] = 0.0
    for k in range(0, size, _PART):
        some = min(_PART, size - k)
        for i in range(count):
            at, row = start + i * pitch + k, i * width
            add_combination(product, row, left, at, 1, right, k * width, width, some, width)


@functools.cache
def _weigher(width: int) -> Any:
    read, doubles, floats = read_only(types.float32), read_only(types.float64), types.float32[::1]

    @compile_now(types.void(read, floats, floats, doubles, doubles, types.int64, types.float32[:, ::1]))
    def weigh(values: Any, axes: Any, columns: Any, exposure: Any, rates: Any, replicas: Any, out: Any) -> None:
        size, along, rows = out.shape[1], aligned_zeros(_PART * width), aligned_zeros(_PART * width)
        for first in range(0, len(out), _PART):
            count = min(_PART, len(out) - first)
            _multiply(along, values, first * size, size, count, columns, size, width)
            for i in range(count):
                for axis in range(size):
                    x = exposure[first + i] * rates[axis]
                    along[i * width + axis] *= np.float32(replicas * (1.0 + x) / (1.0 + replicas * x))
            _multiply(rows, along, 0, width, count, axes, size, width)
            for i in range(count):
                for d in range(size):  # a slice at once takes seconds to compile
                    out[first + i, d] = rows[i * width + d]

    return weigh

"""Principal axes of the rows of a matrix, and rows weighed along them: the compiled part of `training/sequential.py`.

Sums are in a fixed order and eigenvectors by Jacobi's method, so that bytes do not change with the number of
threads, as those of LAPACK do.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from w2v_spark.kernels.cache import compile_now, inner

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

# changes travel with 11 bits, so axes need no more than this; a matrix of 300 takes 5 sweeps
_ENOUGH = 1e-6
_MOST_SWEEPS = 30


def add_second_moment(rows: Floats, weights: Doubles, total: Doubles) -> None:
    """Add the sum of weight x row x row' to the lower triangle of `total`: float32[n, at least D], float64[n],
    float64[D, D].
    """
    _adder()(rows, weights, total)


def principal_axes(moment: Doubles) -> tuple[Doubles, Doubles]:
    """Eigenvalues and eigenvectors (as rows) of a symmetric matrix without negative eigenvalues, float64[D] and
    float64[D, D], in no order; the lower triangle is read.

    One-sided Jacobi (Hestenes 1958): rotations make the rows orthogonal, two at a time; their lengths are then the
    eigenvalues.
    """
    rotated, axes = np.tril(moment) + np.tril(moment, -1).T, np.eye(len(moment))
    _rotator()(rotated, axes)
    # a row of `rotated` is eigenvalue x axis
    return np.abs(np.einsum("ij,ij->i", rotated, axes)), axes


def weigh_along(values: Floats, axes: Doubles, exposure: Doubles, rates: Doubles, replicas: int) -> Floats:
    """The rows of `values`, float32[n, D], with the part along each axis times R (1 + x) / (1 + R x), where R is
    `replicas` and x the row's `exposure` (float64[n]) times the axis' `rate` (float64[D]).
    """
    weighed = np.empty((len(values), len(axes)), np.float32)
    along = np.ascontiguousarray(axes, np.float32)
    _weigher()(values, along, np.ascontiguousarray(along.T), exposure, rates, replicas, weighed)
    return weighed


@functools.cache
def _adder() -> Any:
    read = types.Array(types.float32, 2, "A", readonly=True)
    weights = types.Array(types.float64, 1, "A", readonly=True)

    @compile_now(types.void(read, weights, types.float64[:, ::1]))
    def add(rows: Any, weights: Any, total: Any) -> None:
        size = len(total)
        row = np.empty(size, np.float64)
        for i in range(len(rows)):
            for d in range(size):
                row[d] = rows[i, d]
            for d in range(size):
                of_d = weights[i] * row[d]
                for e in range(d + 1):
                    total[d, e] += of_d * row[e]

    return add


@functools.cache
def _rotator() -> Any:
    @compile_now(types.void(types.float64[:, ::1], types.float64[:, ::1]))
    def rotate(rows: Any, axes: Any) -> None:
        size = len(rows)
        for _ in range(_MOST_SWEEPS):
            turned = False
            for p in range(size - 1):
                for q in range(p + 1, size):
                    pp, qq, pq = 0.0, 0.0, 0.0
                    for d in range(size):
                        pp += rows[p, d] * rows[p, d]
                        qq += rows[q, d] * rows[q, d]
                        pq += rows[p, d] * rows[q, d]
                    if abs(pq) <= _ENOUGH * np.sqrt(pp * qq):
                        continue
                    turned = True
                    slope = (qq - pp) / (2.0 * pq)
                    tangent = (1.0 if slope >= 0.0 else -1.0) / (abs(slope) + np.sqrt(1.0 + slope * slope))
                    cosine = 1.0 / np.sqrt(1.0 + tangent * tangent)
                    sine = cosine * tangent
                    for d in range(size):
                        a, b = rows[p, d], rows[q, d]
                        rows[p, d], rows[q, d] = cosine * a - sine * b, sine * a + cosine * b
                        a, b = axes[p, d], axes[q, d]
                        axes[p, d], axes[q, d] = cosine * a - sine * b, sine * a + cosine * b
            if not turned:
                return

    return rotate


@inner
def _add_multiples(factors: Any, rows: Any, total: Any) -> None:
    """Add factors @ rows to the total, four rows at a time, as else most of the time goes to its loads and stores."""
    count, whole = len(factors), len(factors) // 4 * 4
    for i in range(0, whole, 4):
        a, b, c, d = factors[i], factors[i + 1], factors[i + 2], factors[i + 3]
        for j in range(len(total)):
            total[j] += (a * rows[i, j] + b * rows[i + 1, j]) + (c * rows[i + 2, j] + d * rows[i + 3, j])
    for i in range(whole, count):
        for j in range(len(total)):
            total[j] += factors[i] * rows[i, j]


@functools.cache
def _weigher() -> Any:
    read = types.Array(types.float32, 2, "C", readonly=True)
    floats, doubles = types.float32[:, ::1], types.Array(types.float64, 1, "C", readonly=True)

    @compile_now(types.void(read, floats, floats, doubles, doubles, types.int64, floats))
    def weigh(values: Any, axes: Any, columns: Any, exposure: Any, rates: Any, replicas: Any, out: Any) -> None:
        along = np.empty(len(axes), np.float32)
        for i in range(len(values)):
            along[:] = 0.0
            _add_multiples(values[i], columns, along)
            for axis in range(len(axes)):
                x = exposure[i] * rates[axis]
                along[axis] *= np.float32(replicas * (1.0 + x) / (1.0 + replicas * x))
            out[i] = 0.0
            _add_multiples(along, axes, out[i])

    return weigh

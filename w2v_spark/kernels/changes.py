"""What a replica changed: the rows that differ, and their changes in half precision, in which they travel, written and
added up by compiled loops with numpy's bytes. numpy converts number by number, which is slow, and another twenty times
slower where numbers are below 6e-5.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import types

from w2v_spark.array_types import Doubles, Floats, Halves, Ids
from w2v_spark.kernels.cache import compile_now, read_only
from w2v_spark.kernels.checks import check_changes

# in bits of single precision: infinity; 65536, too large for half precision; and 2**-14, below which it has less digits
_INFINITY, _TOO_LARGE, _NORMAL = 0xFF << 23, (127 + 16) << 23, (127 - 14) << 23
# added to a smaller number it moves the digits that half precision has there to the end, rounded to even
_MAGIC = np.float32(0.5)


def changed_rows(now: Floats, before: Floats) -> tuple[Ids, Floats]:
    """The rows in which `now` differs from `before` (float32[n, at least D] and [n, D]), and by how much:
    int32[k], float32[k, D].
    """
    rows = np.empty(len(before), np.int32)
    count = _changed_finder()(now, before, rows)
    rows = rows[:count].copy()
    return rows, now[rows, : before.shape[1]] - before[rows]


def to_halves(values: Floats) -> Halves:
    """`values`, float32 of any shape, rounded to float16, to even where it lies half way; infinity from 65520 on."""
    halves = np.empty(values.shape, np.float16)
    _halves_rounder()(np.ascontiguousarray(values).reshape(-1).view(np.int32), halves.reshape(-1).view(np.uint16))
    return halves


def add_halves(total: Doubles, rows: Ids, values: Halves, weights: Doubles) -> None:
    """total[rows] += weights * values: float64[n, D], int32[k], none twice, float16[k, D], float64[k]."""
    check_changes(rows, values, total.shape)
    _halves_adder()(total, rows, np.ascontiguousarray(values).view(np.uint16), weights, _all_halves())


@functools.cache
def _changed_finder() -> Any:
    read = read_only(types.float32, 2, "A")

    @compile_now(types.int64(read, read, types.int32[::1]))
    def find(now: Any, before: Any, rows: Any) -> Any:
        count = 0
        for row in range(len(before)):
            for d in range(before.shape[1]):
                if now[row, d] != before[row, d]:
                    rows[count] = row
                    count += 1
                    break
        return count

    return find


@functools.cache
def _all_halves() -> Floats:
    """Every number of half precision, at the place that its bits say, float32[65536]: looked up, small ones and those
    that are not finite need no care of their own.
    """
    numbers: Floats = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    return numbers


@functools.cache
def _halves_rounder() -> Any:
    @compile_now(types.void(read_only(types.int32), types.uint16[::1]))
    def round_all(bits: Any, halves: Any) -> None:
        for i in range(len(bits)):
            sign, size = np.int32(bits[i] >> 16) & 0x8000, bits[i] & 0x7FFFFFFF
            # all three ways are taken, and one kept, as vector code does not branch
            normal = (size - (112 << 23) + 0xFFF + (size >> 13 & 1)) >> 13
            small = np.float32(np.int32(size).view(np.float32) + _MAGIC).view(np.int32) - (126 << 23)
            half = small if size < _NORMAL else normal
            large = 0x7E00 if size > _INFINITY else 0x7C00
            halves[i] = np.uint16(sign | (half if size < _TOO_LARGE else large))

    return round_all


@functools.cache
def _halves_adder() -> Any:
    bits, numbers = read_only(types.uint16, 2), read_only(types.float32)

    @compile_now(types.void(types.float64[:, ::1], read_only(types.int32), bits, read_only(types.float64), numbers))
    def add(total: Any, rows: Any, values: Any, weights: Any, numbers: Any) -> None:
        for i in range(len(rows)):
            row, weight = rows[i], weights[i]
            for d in range(total.shape[1]):
                total[row, d] += weight * numbers[values[i, d]]

    return add

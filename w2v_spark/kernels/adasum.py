"""AdaSum of replicas' changes, row by row: the compiled part of the rule in `training/merge.py`."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from w2v_spark.array_types import Floats, Ids
from w2v_spark.kernels.cache import compile_now, inner, read_only
from w2v_spark.kernels.checks import check_changes

_WRITTEN = types.Array(types.float32, 2, "C")
_READ = read_only(types.float32, 2, "A")


def adasum_add(levels: npt.NDArray[np.float32], seen: npt.NDArray[np.int64], rows: Ids, values: Floats) -> None:
    """Take one more replica's changes into a running AdaSum, which is a binary tree for each row over the replicas
    that changed it, in the order in which they come: ((0,1),(2,3)),...

    merge(a, b) = (1 - a.b / 2|a|^2) a + (1 - a.b / 2|b|^2) b (Maleki et al. 2021, arXiv 2006.02924, here per row):
    what is orthogonal adds up, what is parallel is averaged. Sums are float64 in a fixed order: the same bytes on
    every machine.

    Args:
        levels: partial results, float32[levels, n, D]; level l of a row holds the merge of 2**l replicas where bit l of
            `seen` is set. 2**levels must be more than there are replicas.
        seen: how many replicas have changed the row, int64[n].
        rows: rows that this replica changed, int32[k], none twice.
        values: its changes, float32[k, D].
    """
    check_changes(rows, values, levels.shape[1:])
    _adasum_adder()(levels, seen, rows, values)


def adasum_total(levels: npt.NDArray[np.float32], seen: npt.NDArray[np.int64]) -> Floats:
    """The AdaSum of all that was added, float32[n, D]: zero in rows that nobody changed."""
    total = np.zeros(levels.shape[1:], np.float32)
    _adasum_totaller()(levels, seen, total)
    return total


@inner
def _merge_pair(a: Any, b: Any) -> None:
    """AdaSum of two rows, into `b`; a row of zeros leaves the other as it is."""
    ab, aa, bb = 0.0, 0.0, 0.0
    for d in range(len(a)):
        x, y = np.float64(a[d]), np.float64(b[d])
        ab += x * y
        aa += x * x
        bb += y * y
    of_a = 1.0 - ab / (2.0 * aa) if aa > 0.0 else 1.0
    of_b = 1.0 - ab / (2.0 * bb) if bb > 0.0 else 1.0
    for d in range(len(a)):
        b[d] = np.float32(of_a * a[d] + of_b * b[d])


@functools.cache
def _adasum_adder() -> Any:
    @compile_now(types.void(types.Array(types.float32, 3, "C"), types.int64[::1], read_only(types.int32), _READ))
    def add(levels: Any, seen: Any, rows: Any, values: Any) -> None:
        merged = np.empty(levels.shape[2], np.float32)
        for i in range(len(rows)):
            row, level = rows[i], 0
            merged[:] = values[i]
            while seen[row] >> level & 1:
                _merge_pair(levels[level, row], merged)
                level += 1
            levels[level, row] = merged
            seen[row] += 1

    return add


@functools.cache
def _adasum_totaller() -> Any:
    @compile_now(types.void(types.Array(types.float32, 3, "C"), types.int64[::1], _WRITTEN))
    def total(levels: Any, seen: Any, out: Any) -> None:
        for row in range(len(seen)):
            first = True
            for level in range(len(levels)):
                if seen[row] >> level & 1:
                    if first:
                        out[row] = levels[level, row]
                    else:
                        _merge_pair(levels[level, row], out[row])
                    first = False

    return total

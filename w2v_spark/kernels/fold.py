"""The merge of two replicas' changes, row by row: the compiled part of `training/merge.py`."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from w2v_spark.kernels.cache import compile_now

Block = npt.NDArray[np.float32]


def adasum_pair(a: Block, b: Block) -> None:
    """AdaSum of each row of two blocks of changes, into `a`: what is orthogonal adds up, what is parallel is averaged.

    merge(a, b) = (1 - a.b / 2|a|^2) a + (1 - a.b / 2|b|^2) b (Maleki et al. 2021, arXiv 2006.02924, here per row). A
    row of zeros leaves the other as it is. Sums are float64 in a fixed order: the same bytes on every machine.

    Args:
        a: changes of one replica, float32[rows, D], contiguous; overwritten.
        b: changes of another, of the same shape; may be read-only.
    """
    if a.shape != b.shape:
        raise ValueError(f"blocks of changes must have one shape, not {a.shape} and {b.shape}")
    _compiled()(a, b)


@functools.cache
def _compiled() -> Any:
    """The fold of two blocks, compiled when it is first needed."""

    @compile_now(types.void(types.Array(types.float32, 2, "C"), types.Array(types.float32, 2, "C", readonly=True)))
    def fold(a: Any, b: Any) -> None:
        for row in range(a.shape[0]):
            ab, aa, bb = 0.0, 0.0, 0.0
            for d in range(a.shape[1]):
                x, y = np.float64(a[row, d]), np.float64(b[row, d])
                ab += x * y
                aa += x * x
                bb += y * y
            of_a = 1.0 - ab / (2.0 * aa) if aa > 0.0 else 1.0
            of_b = 1.0 - ab / (2.0 * bb) if bb > 0.0 else 1.0
            for d in range(a.shape[1]):
                a[row, d] = np.float32(of_a * a[row, d] + of_b * b[row, d])

    return fold

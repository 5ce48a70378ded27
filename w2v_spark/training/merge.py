"""How the replicas' changes of a model become one: rules that fold a block of rows, one replica after another.

A rule takes the changes in the order of the replicas and keeps a bounded number of blocks, however many replicas there
are. It needs from a replica only the rows that it changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from w2v_spark.array_types import Doubles, Floats, Halves
from w2v_spark.params import Params

Shape = tuple[int, int]


@dataclass(frozen=True)
class Change:
    """What one replica changed in a block: the rows, int32[k], none twice; by how much, float16[k, D] (half of what
    would travel else, at no cost of quality: bench/results/merge.md); and, where the rule weighs by it, how many words
    of each row it trained, int64[k].
    """

    rows: npt.NDArray[np.int32]
    values: Halves
    counts: npt.NDArray[np.int64] | None = None

    @classmethod
    def of_buffers(cls, rows: Any, values: Any, counts: Any, vector_size: int) -> Self:
        """What `change_batch` wrote into the columns of these names, as buffers; counts may be None."""
        halves = np.frombuffer(values, "<f2").reshape(-1, vector_size)
        return cls(np.frombuffer(rows, "<i4"), halves, None if counts is None else np.frombuffer(counts, "<i8"))


def weighs(params: Params) -> bool:
    """Whether replicas weigh what they changed before they send it."""
    return params.merge_rule == "sequential" and params.replicas > 1


def fold(rule: str, base: Floats, changes: Iterable[Change], replicas: int) -> Floats:
    """The merged block: base (rows x vector_size) changed by what the replicas, `replicas` in all, changed; the changes
    come in the order of the replicas, and one that changed nothing here may be missing.
    """
    return base + RULES[rule]((base.shape[0], base.shape[1]), changes, replicas)


def mean(shape: Shape, changes: Iterable[Change], replicas: int) -> Floats:
    """Sum of changes / number of replicas: parameter averaging (McDonald et al. 2010; Spark MLlib, BlazingText)."""
    total = np.zeros(shape, np.float64)
    for change in changes:
        _add(total, change)
    return (total / replicas).astype(np.float32)


def mean_touched(shape: Shape, changes: Iterable[Change], replicas: int) -> Floats:
    """Sum of changes / number of replicas that changed the row (Spark MLlib since 2.4.5; FedSubAvg, Ding et al.
    2021).
    """
    total, touched = np.zeros(shape, np.float64), np.zeros((shape[0], 1), np.int64)
    for change in changes:
        _add(total, change)
        touched[change.rows] += 1
    return (total / np.maximum(touched, 1)).astype(np.float32)


def count_weighted(shape: Shape, changes: Iterable[Change], replicas: int) -> Floats:
    """Sum of n * change / sum of n, n how many of the row's words the replica trained (FedAvg, McMahan et al. 2017,
    here per row). A row that changed as a negative alone counts as one word.
    """
    total, weight = np.zeros(shape, np.float64), np.zeros((shape[0], 1), np.float64)
    for change in changes:
        if change.counts is None:
            raise ValueError("count_weighted needs the counts of words beside the changes")
        of_row = np.maximum(change.counts, 1).astype(np.float64)
        _add(total, change, of_row)
        weight[change.rows, 0] += of_row
    return (total / np.maximum(weight, 1)).astype(np.float32)


def adasum(shape: Shape, changes: Iterable[Change], replicas: int) -> Floats:
    """AdaSum, row by row (Maleki et al. 2021, arXiv 2006.02924): adds what is orthogonal and averages what is parallel.

    merge(a, b) = (1 - a.b / 2|a|^2) a + (1 - a.b / 2|b|^2) b, along a binary tree over the replicas that changed the
    row, in their order. One partial result for each level of the tree is kept.
    """
    from w2v_spark.kernels.adasum import adasum_add, adasum_total

    levels = np.empty((replicas.bit_length(), *shape), np.float32)
    seen = np.zeros(shape[0], np.int64)
    for change in changes:
        adasum_add(levels, seen, change.rows, change.values.astype(np.float32))
    return adasum_total(levels, seen)


def _add(total: Doubles, change: Change, weights: Doubles | None = None) -> None:
    """Add a change to a block's sum, each of its rows as often as `weights` says, or once."""
    from w2v_spark.kernels.changes import add_halves  # here, so that a driver loads no compiler

    add_halves(total, change.rows, change.values, np.ones(len(change.rows)) if weights is None else weights)


RULES: dict[str, Callable[[Shape, Iterable[Change], int], Floats]] = {
    # of changes that the replicas have weighed: training/sequential.py
    "sequential": mean,
    "adasum": adasum,
    "mean": mean,
    "mean_touched": mean_touched,
    "count_weighted": count_weighted,
}

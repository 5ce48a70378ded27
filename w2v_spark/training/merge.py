"""How the replicas' changes of a model become one: rules that fold blocks of rows, one replica after another, in shard
order.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Block = npt.NDArray[np.float32]


def fold(rule: str, base: Block, deltas: Iterable[Block]) -> Block:
    """The merged block: base (rows x vector_size) changed by the replicas' deltas of the same shape, which must come
    in shard order.
    """
    return base + _RULES[rule](deltas)


def mean(deltas: Iterable[Block]) -> Block:
    """Sum of deltas / number of replicas: parameter averaging (McDonald et al. 2010; Spark MLlib, BlazingText)."""
    total, count = None, 0
    for delta in deltas:
        total = delta.astype(np.float64) if total is None else total + delta
        count += 1
    return _float32(total, count)


def mean_touched(deltas: Iterable[Block]) -> Block:
    """Sum of deltas / number of replicas that changed the row, row by row (Spark MLlib since 2.4.5; FedSubAvg)."""
    total, count = None, None
    for delta in deltas:
        touched = delta.any(axis=1, keepdims=True)
        total = delta.astype(np.float64) if total is None else total + delta
        count = touched.astype(np.int64) if count is None else count + touched
    return _float32(total, np.maximum(count, 1) if count is not None else 1)


def adasum(deltas: Iterable[Block]) -> Block:
    """AdaSum, row by row (Maleki et al. 2021, arXiv 2006.02924): adds what is orthogonal and averages what is parallel.

    merge(a, b) = (1 - a.b / 2|a|^2) a + (1 - a.b / 2|b|^2) b, along a binary tree over the replicas: ((0,1),(2,3)),...
    Streaming: only one partial result for each level of the tree is kept.
    """
    from w2v_spark.kernels.fold import adasum_pair

    levels: list[tuple[int, Block]] = []
    for delta in deltas:
        level, merged = 0, np.array(delta, np.float32)
        while levels and levels[-1][0] == level:
            earlier = levels.pop()[1]
            adasum_pair(earlier, merged)
            level, merged = level + 1, earlier
        levels.append((level, merged))
    if not levels:
        raise ValueError("nothing to merge: there is no delta")
    merged = levels.pop()[1]
    while levels:
        earlier = levels.pop()[1]
        adasum_pair(earlier, merged)
        merged = earlier
    return merged


def _float32(total: npt.NDArray[np.float64] | None, count: int | npt.NDArray[np.int64]) -> Block:
    if total is None:
        raise ValueError("nothing to merge: there is no delta")
    return (total / count).astype(np.float32)


_RULES = {"adasum": adasum, "mean": mean, "mean_touched": mean_touched}

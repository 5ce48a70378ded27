"""Exact top-k: matrix products over blocks of rows, for any number of queries at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from w2v_spark.array_types import Floats
from w2v_spark.vectors.metrics import DISTANCES, Rows, Scorer, between, distance_scorer, scorer

IntArray = npt.NDArray[np.int64]

# a block of scores (queries x rows, float32) is 16 MB: large enough for the product to run at full speed
BLOCK_ROWS = 4096
BLOCK_QUERIES = 1024

# euclidean scores are rounded where a vector is long: so many more are kept until the distances themselves are known
SPARE = 16


def top_k(rows: Rows, queries: Floats, k: int, metric: str = "cosine") -> tuple[IntArray, Floats]:
    """The k rows nearest to each query, best first; equal ones go by row number.

    queries (n, size) float32; all numbers are finite. Returns row numbers (n, k) int64 and the metric's values (n, k)
    float32; k is cut to the number of rows. A row or query of zeros has cosine 0 with everything. Beside the result
    it needs one block of scores, not a normalised copy of the rows.
    """
    k = min(k, len(rows))
    ids = np.empty((len(queries), k), np.int64)
    found = np.empty((len(queries), k), np.float32)
    if k > 0:
        with rows.arrays.told():
            for start in range(0, len(queries), BLOCK_QUERIES):
                part = slice(start, start + BLOCK_QUERIES)
                ids[part], found[part] = map(rows.arrays.get, _top_k(rows, queries[part], k, metric))
    return ids, found


def values(rows: Rows, queries: Floats, metric: str = "cosine") -> Floats:
    """The metric's value of every query with every row, (n, rows) float32."""
    # the scores of euclidean have its order, and are not the distances
    score = (distance_scorer if metric == "euclidean" else scorer)(metric, rows, queries)
    found = scores(score, rows, len(queries))
    return -found if metric in DISTANCES else found


def scores(score: Scorer, rows: Rows, count: int) -> Floats:
    """The scores of all rows for each of `count` queries, (count, rows) float32."""
    out = np.empty((count, len(rows)), np.float32)
    with rows.arrays.told():
        for start in range(0, len(rows), BLOCK_ROWS):
            stop = min(start + BLOCK_ROWS, len(rows))
            out[:, start:stop] = rows.arrays.get(score(start, stop))
    return out


def best(score: Scorer, rows: Rows, count: int, k: int) -> tuple[IntArray, Floats]:
    """The k rows with the highest scores for each of `count` queries, and these scores; k is from 1 to all rows."""
    with rows.arrays.told():
        ids, found = _best(score, rows, count, k)
        return rows.arrays.get(ids), rows.arrays.get(found)


def _top_k(rows: Rows, queries: Floats, k: int, metric: str) -> tuple[Any, Any]:
    """`top_k` for one block of queries and 1 <= k <= rows, where the rows lie."""
    score = scorer(metric, rows, queries)
    if metric != "euclidean":
        ids, found = _best(score, rows, len(queries), k)
        return ids, -found if metric in DISTANCES else found
    xp, asked = rows.arrays.xp, rows.arrays.put(queries)
    ids, _ = _best(score, rows, len(queries), min(k + SPARE, len(rows)))
    ids = xp.sort(ids, axis=1)
    each = zip(ids, asked, strict=True)
    distances = xp.stack([between(metric, rows.vectors[own], query, xp) for own, query in each])
    order = xp.argsort(distances, axis=1, kind="stable")[:, :k]
    return xp.take_along_axis(ids, order, 1), xp.take_along_axis(distances, order, 1)


def _best(score: Scorer, rows: Rows, count: int, k: int) -> tuple[Any, Any]:
    """`best`, where the rows lie."""
    xp = rows.arrays.xp
    ids = xp.empty((count, 0), np.int64)
    found = xp.empty((count, 0), np.float32)
    for start in range(0, len(rows), BLOCK_ROWS):
        block = score(start, min(start + BLOCK_ROWS, len(rows)))
        if ids.shape[1] < k:  # not yet k rows seen: k more from this block, or all of it, are enough
            ids, found = _first_rows(xp, ids, found, block, start, k)
            continue
        # a row that only equals the k-th best so far has a higher number and loses
        changed = xp.flatnonzero(block.max(axis=1) > found[:, -1])
        if len(changed):
            block = block[changed]
            query, row = xp.nonzero(block > found[changed, -1:])
            merged = _merge(xp, ids[changed], found[changed], query, row + start, block[query, row], k)
            ids[changed], found[changed] = merged
    return ids, found


def _first_rows(xp: Any, ids: Any, scores: Any, block: Any, start: int, k: int) -> tuple[Any, Any]:
    """The best of `block` joined to what is there while fewer than k rows are known."""
    take = min(k, block.shape[1])
    # every row that reaches the take-th best value, ties included, so that the choice among ties is by row number
    last = block.shape[1] - take
    floor = xp.partition(block, last, axis=1)[:, last, None]
    query, row = xp.nonzero(block >= floor)
    return _merge(xp, ids, scores, query, row + start, block[query, row], min(k, ids.shape[1] + take))


def _merge(xp: Any, ids: Any, scores: Any, query: Any, row: Any, score: Any, k: int) -> tuple[Any, Any]:
    """The best k of the rows kept so far and of new candidates, given as (query, row, score) triples by query and row;
    new rows have higher numbers than those that were kept.
    """
    count, kept = ids.shape
    query = xp.concatenate([xp.repeat(xp.arange(count), kept), query])
    row = xp.concatenate([ids.ravel(), row])
    score = xp.concatenate([scores.ravel(), score])
    # equal scores are in the order of their rows, and stay in it
    order = xp.argsort(-score, kind="stable")
    order = order[xp.argsort(query[order], kind="stable")]
    first = xp.searchsorted(query[order], xp.arange(count))
    chosen = order[first[:, None] + xp.arange(k)]
    return row[chosen], score[chosen]

"""Exact top-k: matrix products over blocks of rows, for any number of queries at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from w2v_spark.vectors.metrics import DISTANCES, Float32Array, Matrix, Scorer, between, norms, scorer, unit

__all__ = [
    "BLOCK_QUERIES",
    "BLOCK_ROWS",
    "Float32Array",
    "IntArray",
    "best",
    "norms",
    "scores",
    "top_k",
    "unit",
    "values",
]

IntArray = npt.NDArray[np.int64]

# a block of scores (queries x rows, float32) is 32 MB: large enough for the product to run at full speed
BLOCK_ROWS = 8192
BLOCK_QUERIES = 1024

# euclidean scores are rounded where a vector is long: so many more are kept until the distances themselves are known
SPARE = 16


def top_k(
    vectors: Matrix, lengths: Float32Array, queries: Float32Array, k: int, metric: str = "cosine"
) -> tuple[IntArray, Float32Array]:
    """The k rows nearest to each query, best first; equal ones go by row number.

    vectors (rows, size) float32 or float16, lengths (rows,) as `norms` gives them, queries (n, size) float32; all
    finite. Returns row numbers (n, k) int64 and the metric's values (n, k) float32; k is cut to the number of rows. A
    row or query of zeros has cosine 0 with everything. Beside the result it needs one block of scores, not a normalised
    copy of `vectors`.
    """
    k = min(k, len(vectors))
    ids = np.empty((len(queries), k), np.int64)
    found = np.empty((len(queries), k), np.float32)
    if k > 0:
        for start in range(0, len(queries), BLOCK_QUERIES):
            part = slice(start, start + BLOCK_QUERIES)
            ids[part], found[part] = _top_k(vectors, lengths, queries[part], k, metric)
    return ids, found


def values(vectors: Matrix, lengths: Float32Array, queries: Float32Array, metric: str = "cosine") -> Float32Array:
    """The metric's value of every query with every row, (n, rows) float32."""
    if metric == "euclidean":  # the distances themselves, not what has their order
        return np.stack([between(metric, vectors, query) for query in queries])
    found = scores(scorer(metric, vectors, lengths, queries), len(vectors), len(queries))
    return -found if metric in DISTANCES else found


def scores(score: Scorer, rows: int, count: int) -> Float32Array:
    """The scores of all rows for each of `count` queries, (count, rows) float32."""
    out = np.empty((count, rows), np.float32)
    for start in range(0, rows, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, rows)
        out[:, start:stop] = score(start, stop)
    return out


def best(score: Scorer, rows: int, count: int, k: int) -> tuple[IntArray, Float32Array]:
    """The k <= rows rows with the highest scores for each of `count` queries, and these scores."""
    ids = np.empty((count, 0), np.int64)
    found = np.empty((count, 0), np.float32)
    for start in range(0, rows, BLOCK_ROWS):
        block = score(start, min(start + BLOCK_ROWS, rows))
        if ids.shape[1] < k:  # not yet k rows seen: k more from this block, or all of it, are enough
            ids, found = _first_rows(ids, found, block, start, k)
            continue
        # a row that only equals the k-th best so far has a higher number and loses
        changed = np.flatnonzero(block.max(axis=1) > found[:, -1])
        if len(changed):
            block = block[changed]
            query, row = np.nonzero(block > found[changed, -1:])
            merged = _merge(ids[changed], found[changed], query, row + start, block[query, row], k)
            ids[changed], found[changed] = merged
    return ids, found


def _top_k(
    vectors: Matrix, lengths: Float32Array, queries: Float32Array, k: int, metric: str
) -> tuple[IntArray, Float32Array]:
    """`top_k` for one block of queries and 1 <= k <= rows."""
    score = scorer(metric, vectors, lengths, queries)
    if metric != "euclidean":
        ids, found = best(score, len(vectors), len(queries), k)
        return ids, -found if metric in DISTANCES else found
    ids, _ = best(score, len(vectors), len(queries), min(k + SPARE, len(vectors)))
    distances = np.stack([between(metric, vectors[own], query) for own, query in zip(ids, queries, strict=True)])
    order = np.lexsort((ids, distances), axis=1)[:, :k]
    return np.take_along_axis(ids, order, 1), np.take_along_axis(distances, order, 1)


def _first_rows(
    ids: IntArray, scores: Float32Array, block: Float32Array, start: int, k: int
) -> tuple[IntArray, Float32Array]:
    """The best of `block` joined to what is there while fewer than k rows are known."""
    take = min(k, block.shape[1])
    # every row that reaches the take-th best value, ties included, so that the choice among ties is by row number
    last = block.shape[1] - take
    floor = np.partition(block, last, axis=1)[:, last, None]
    query, row = np.nonzero(block >= floor)
    return _merge(ids, scores, query, row + start, block[query, row], min(k, ids.shape[1] + take))


def _merge(
    ids: IntArray, scores: Float32Array, query: IntArray, row: IntArray, score: Float32Array, k: int
) -> tuple[IntArray, Float32Array]:
    """The best k of the rows kept so far and of new candidates, given as (query, row, score) triples."""
    count, kept = ids.shape
    query = np.concatenate([np.repeat(np.arange(count), kept), query])
    row = np.concatenate([ids.ravel(), row])
    score = np.concatenate([scores.ravel(), score])
    order = np.lexsort((row, -score, query))
    first = np.searchsorted(query[order], np.arange(count))
    chosen = order[first[:, None] + np.arange(k)]
    return row[chosen], score[chosen]

"""Exact cosine top-k: matrix products over blocks of rows, for any number of queries at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

# a block of scores (queries x rows, float32) is 4 MB: it stays in the cache between the product and the selection
BLOCK_ROWS = 4096
BLOCK_QUERIES = 256


def norms(vectors: Float32Array) -> Float32Array:
    """Euclidean length of each row: (rows, size) float32 -> (rows,) float32."""
    lengths: Float32Array = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return lengths


def unit(vectors: Float32Array) -> Float32Array:
    """A copy with rows of length one; a row of zeros stays zeros."""
    units: Float32Array = vectors / _nonzero(norms(vectors))[:, None]
    return units


def top_k(vectors: Float32Array, lengths: Float32Array, queries: Float32Array, k: int) -> tuple[IntArray, Float32Array]:
    """The k rows with the highest cosine to each query, best first; equal cosines go by row number.

    vectors (rows, size), lengths (rows,) as `norms` gives them, queries (n, size) of any length; float32 and finite.
    Returns row numbers (n, k) int64 and cosines (n, k) float32; k is cut to the number of rows. A row or query of zeros
    has cosine 0 with everything. Beside the result it needs one block of scores, not a normalised copy of `vectors`.
    """
    k = min(k, len(vectors))
    ids = np.empty((len(queries), k), np.int64)
    scores = np.empty((len(queries), k), np.float32)
    if k > 0:
        for start in range(0, len(queries), BLOCK_QUERIES):
            part = slice(start, start + BLOCK_QUERIES)
            ids[part], scores[part] = _top_k(vectors, lengths, unit(queries[part]), k)
    return ids, scores


def _top_k(
    vectors: Float32Array, lengths: Float32Array, queries: Float32Array, k: int
) -> tuple[IntArray, Float32Array]:
    """`top_k` for one block of unit queries and 1 <= k <= rows."""
    ids = np.empty((len(queries), 0), np.int64)
    scores = np.empty((len(queries), 0), np.float32)
    for start in range(0, len(vectors), BLOCK_ROWS):
        block = queries @ vectors[start : start + BLOCK_ROWS].T
        block /= _nonzero(lengths[start : start + BLOCK_ROWS])
        if ids.shape[1] < k:  # not yet k rows seen: k more from this block, or all of it, are enough
            ids, scores = _first_rows(ids, scores, block, start, k)
        else:
            # a row that only equals the k-th best so far has a higher number and loses
            query, row = np.divmod(np.flatnonzero(block > scores[:, -1:]), block.shape[1])
            if len(query):
                ids, scores = _merge(ids, scores, query, row + start, block[query, row], k)
    return ids, scores


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


def _nonzero(lengths: Float32Array) -> Float32Array:
    """Lengths to divide by: 1 in place of 0."""
    return np.where(lengths > 0, lengths, np.float32(1))

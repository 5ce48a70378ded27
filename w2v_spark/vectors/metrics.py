"""What near means: cosine and dot, where higher is nearer, and three distances, where lower is nearer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from w2v_spark.errors import ParamError

Float32Array = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.floating]
# scores of all queries with the rows start..stop, (queries, stop - start) float32: higher is nearer
Scorer = Callable[[int, int], Float32Array]

METRICS = ("cosine", "dot", "euclidean", "manhattan", "chebyshev")
DISTANCES = ("euclidean", "manhattan", "chebyshev")

# what keeps 3CosMul from dividing by zero, as in gensim
EPSILON = np.float32(0.000001)


def checked(metric: str) -> str:
    """The metric, refused where it is none of ours."""
    if metric not in METRICS:
        raise ParamError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}")
    return metric


def float32(rows: Matrix) -> Float32Array:
    """Rows as float32: those that are come as they are.

    Finite float16 become what astype makes of them, in an eighth of its time: the bits move to their places, and a
    factor mends the exponent. Those that are not finite become numbers from 65536, which float16 has not.
    """
    if rows.dtype != np.float16:
        return rows.astype(np.float32, copy=False)
    bits = rows.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= np.int32(-0x70002000)  # all but the copies of the sign
    moved: Float32Array = bits.view(np.float32)
    moved *= np.float32(2.0**112)
    return moved


def norms(vectors: Matrix) -> Float32Array:
    """Euclidean length of each row: (rows, size) float32 or float16 -> (rows,) float32."""
    if vectors.dtype == np.float32:
        return np.sqrt(np.einsum("ij,ij->i", vectors, vectors))  # type: ignore[no-any-return]
    lengths = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), 4096):
        block = float32(vectors[start : start + 4096])
        found = np.sqrt(np.einsum("ij,ij->i", block, block))
        found[(found >= 65536) & (np.abs(block).max(axis=1, initial=0) >= 65536)] = np.inf
        lengths[start : start + len(block)] = found
    return lengths


def unit(vectors: Matrix) -> Float32Array:
    """A copy with rows of length one, float32; a row of zeros stays zeros."""
    rows = float32(vectors)
    units: Float32Array = rows / nonzero(norms(rows))[:, None]
    return units


def nonzero(lengths: Float32Array) -> Float32Array:
    """Lengths to divide by: 1 in place of 0."""
    return np.where(lengths > 0, lengths, np.float32(1))


def between(metric: str, a: Matrix, b: Matrix) -> Float32Array:
    """The metric's value for each pair of rows: two arrays of (..., size), broadcast -> (...) float32."""
    a, b = float32(a), float32(b)
    if metric in ("cosine", "dot"):
        value = np.einsum("...i,...i->...", a, b)
        if metric == "cosine":
            lengths = np.sqrt(np.einsum("...i,...i->...", a, a)) * np.sqrt(np.einsum("...i,...i->...", b, b))
            value = value / np.where(lengths > 0, lengths, np.float32(1))
        return np.asarray(value, np.float32)
    apart = np.abs(a - b)
    if metric == "euclidean":
        return np.asarray(np.sqrt(np.einsum("...i,...i->...", apart, apart)), np.float32)
    return np.asarray(apart.sum(-1) if metric == "manhattan" else apart.max(-1), np.float32)


def scorer(metric: str, vectors: Matrix, lengths: Float32Array, queries: Float32Array) -> Scorer:
    """Scores of queries (n, size) with rows of vectors (rows, size) whose lengths are known.

    The score of a distance is its negative; that of euclidean is q.v - |v|^2 / 2, which has the same order and is a
    matrix product: `between` gives the distance itself.
    """
    if metric == "cosine":
        return _cosine(vectors, lengths, unit(queries))

    def linear(start: int, stop: int) -> Float32Array:
        scores: Float32Array = queries @ _rows(vectors, start, stop).T
        if metric == "euclidean":
            scores -= np.square(lengths[start:stop]) / 2
        return scores

    def each(start: int, stop: int) -> Float32Array:
        rows = _rows(vectors, start, stop)
        return np.stack([-between(metric, rows, query) for query in queries])

    return linear if metric in ("dot", "euclidean") else each


def cosmul_scorer(
    vectors: Matrix, lengths: Float32Array, positive: Sequence[Float32Array], negative: Sequence[Float32Array]
) -> Scorer:
    """Scores of 3CosMul (Levy and Goldberg 2014, equation 4, cosines shifted to 0..1): each term holds one vector for
    each query, (n, size) float32, taken as it is.
    """
    positive_cosines = [_cosine(vectors, lengths, term) for term in positive]
    negative_cosines = [_cosine(vectors, lengths, term) for term in negative]

    def score(start: int, stop: int) -> Float32Array:
        scores: Float32Array = (1 + positive_cosines[0](start, stop)) / np.float32(2)
        for cosine in positive_cosines[1:]:
            scores *= (1 + cosine(start, stop)) / np.float32(2)
        below = np.ones_like(scores)
        for cosine in negative_cosines:
            below *= (1 + cosine(start, stop)) / np.float32(2)
        quotients: Float32Array = scores / (below + EPSILON)
        return quotients

    return score


def _cosine(vectors: Matrix, lengths: Float32Array, queries: Float32Array) -> Scorer:
    """Products of the queries, as they are, with rows of length one."""
    many = len(queries) > vectors.shape[1]

    def score(start: int, stop: int) -> Float32Array:
        rows, divisor = _rows(vectors, start, stop), nonzero(lengths[start:stop])
        if many:  # fewer numbers in the rows than in the scores
            many_scores: Float32Array = queries @ (rows / divisor[:, None]).T
            return many_scores
        scores: Float32Array = queries @ rows.T
        scores /= divisor
        return scores

    return score


def _rows(vectors: Matrix, start: int, stop: int) -> Float32Array:
    """A block of rows as float32: a view where they are."""
    return float32(vectors[start:stop])

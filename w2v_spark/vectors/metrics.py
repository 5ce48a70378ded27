"""What near means: cosine and dot, where higher is nearer, and three distances, where lower is nearer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from w2v_spark.array_types import Floats
from w2v_spark.errors import ParamError
from w2v_spark.kernels.arrays import HOST, Arrays

Matrix = npt.NDArray[np.floating]
# scores of all queries with the rows start..stop, (queries, stop - start) float32, where the rows lie: higher is nearer
Scorer = Callable[[int, int], Any]

METRICS = ("cosine", "dot", "euclidean", "manhattan", "chebyshev")
DISTANCES = ("euclidean", "manhattan", "chebyshev")

# what keeps 3CosMul from dividing by zero, as in gensim
EPSILON = 0.000001

# a squared length below it, as float32, has lost digits of the squares that it is the sum of
SHORTEST = 1e-30


def checked(metric: str) -> str:
    """The metric, refused where it is none of ours."""
    if metric not in METRICS:
        raise ParamError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}")
    return metric


def float32(rows: Any) -> Any:
    """Rows of numpy or CuPy as float32: those that are come as they are.

    Finite float16 become what astype makes of them, in an eighth of its time: the bits move to their places, and a
    factor mends the exponent. Those that are not finite become numbers from 65536, which float16 has not.
    """
    if rows.dtype != np.float16:
        return rows.astype(np.float32, copy=False)
    bits = rows.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= np.int32(-0x70002000)  # all but the copies of the sign
    moved = bits.view(np.float32)
    moved *= np.float32(2.0**112)
    return moved


def norms(vectors: Matrix) -> Floats:
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


def unit(vectors: Matrix) -> Floats:
    """A copy with rows of length one, float32; a row of zeros stays zeros."""
    rows = _measurable(float32(vectors), np)
    units: Floats = rows / nonzero(norms(rows))[:, None]
    return units


def _measurable(rows: Any, xp: Any) -> Any:
    """Rows with the directions of those given, and squared lengths that float32 holds: where it would not, the largest
    number becomes 1.
    """
    squares = xp.einsum("...i,...i->...", rows, rows)
    extreme = ~((squares > SHORTEST) & (squares < xp.inf))
    if not extreme.any():  # ordinary ones keep every bit
        return rows
    return xp.where(extreme[..., None], rows / nonzero(abs(rows).max(-1, keepdims=True)), rows)


def nonzero(lengths: Any) -> Any:
    """Lengths to divide by, an array of numpy or CuPy: 1 in place of 0."""
    return lengths + (lengths == 0)


def between(metric: str, a: Any, b: Any, xp: Any = np) -> Any:
    """The metric's value for each pair of rows: two arrays of (..., size), broadcast -> (...) float32; arrays of
    numpy, or of the module given.
    """
    a, b = float32(a), float32(b)
    if metric == "cosine":
        a, b = _measurable(a, xp), _measurable(b, xp)
    if metric in ("cosine", "dot"):
        value = xp.einsum("...i,...i->...", a, b)
        if metric == "cosine":
            lengths = xp.sqrt(xp.einsum("...i,...i->...", a, a)) * xp.sqrt(xp.einsum("...i,...i->...", b, b))
            value = value / nonzero(lengths)
        return xp.asarray(value, np.float32)
    apart = abs(a - b)
    if metric == "euclidean":
        return xp.asarray(xp.sqrt(xp.einsum("...i,...i->...", apart, apart)), np.float32)
    return xp.asarray(apart.sum(-1) if metric == "manhattan" else apart.max(-1), np.float32)


@dataclass(frozen=True)
class Rows:
    """The rows that are searched, where they lie: vectors (rows, size) float32 or float16, and their lengths (rows,)
    float32 as `norms` gives them.
    """

    vectors: Any
    lengths: Any
    arrays: Arrays = HOST

    @classmethod
    def of(cls, vectors: Matrix) -> Self:
        """Rows in memory."""
        return cls(vectors, norms(vectors))

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, part: slice) -> Rows:
        return Rows(self.vectors[part], self.lengths[part], self.arrays)


def scorer(metric: str, rows: Rows, queries: Floats) -> Scorer:
    """Scores of queries (n, size) that have the metric's order: its value, or the negative of a distance; of euclidean
    q.v - |v|^2 / 2, which is a matrix product.
    """
    if metric == "cosine":
        return _cosine(rows, unit(queries))
    if metric not in ("dot", "euclidean"):
        return distance_scorer(metric, rows, queries)
    asked = rows.arrays.put(queries)

    def score(start: int, stop: int) -> Any:
        scores = asked @ float32(rows.vectors[start:stop]).T
        if metric == "euclidean":
            lengths = rows.lengths[start:stop]
            scores -= lengths * lengths / 2
        return scores

    return score


def distance_scorer(metric: str, rows: Rows, queries: Floats) -> Scorer:
    """The negatives of the distances themselves."""
    xp, asked = rows.arrays.xp, rows.arrays.put(queries)

    def score(start: int, stop: int) -> Any:
        block = float32(rows.vectors[start:stop])
        return xp.stack([-between(metric, block, query, xp) for query in asked])

    return score


def cosmul_scorer(rows: Rows, positive: Sequence[Floats], negative: Sequence[Floats]) -> Scorer:
    """Scores of 3CosMul (Levy and Goldberg 2014, equation 4, cosines shifted to 0..1): each term holds one vector for
    each query, (n, size) float32, taken as it is.
    """
    positive_cosines = [_cosine(rows, term) for term in positive]
    negative_cosines = [_cosine(rows, term) for term in negative]

    def score(start: int, stop: int) -> Any:
        scores = (1 + positive_cosines[0](start, stop)) / 2
        for cosine in positive_cosines[1:]:
            scores *= (1 + cosine(start, stop)) / 2
        below = rows.arrays.xp.ones_like(scores)
        for cosine in negative_cosines:
            below *= (1 + cosine(start, stop)) / 2
        return scores / (below + EPSILON)

    return score


def _cosine(rows: Rows, queries: Floats) -> Scorer:
    """Products of the queries, as they are, with rows of length one."""
    many, asked = len(queries) > queries.shape[1], rows.arrays.put(queries)

    def score(start: int, stop: int) -> Any:
        block, divisor = float32(rows.vectors[start:stop]), nonzero(rows.lengths[start:stop])
        if many:  # fewer numbers in the rows than in the scores
            return asked @ (block / divisor[:, None]).T
        scores = asked @ block.T
        scores /= divisor
        return scores

    return score

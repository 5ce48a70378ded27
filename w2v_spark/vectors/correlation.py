"""Correlation of two lists of numbers, and how likely chance alone would give it; scipy's numbers without scipy."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Correlation(NamedTuple):
    """A coefficient and its two-tailed p-value, as scipy names them; nan where there is none."""

    statistic: float
    pvalue: float


def pearson(x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> float | None:
    """Pearson's correlation of two arrays; None where fewer than two different values are left to compare."""
    if len(x) < 2:
        return None
    a, b = x.astype(np.float64), y.astype(np.float64)
    a, b = a - a.mean(), b - b.mean()
    a, b = a / (np.abs(a).max() or 1), b / (np.abs(b).max() or 1)
    spread = math.sqrt(float(a @ a) * float(b @ b))
    return max(-1.0, min(1.0, float(a @ b) / spread)) if spread > 0 else None


def spearman(x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> float | None:
    """Spearman's rank correlation of two arrays, equal values sharing their average rank; None where there is none."""
    return pearson(_ranks(x), _ranks(y))


def with_pvalue(coefficient: float | None, pairs: int) -> Correlation:
    """A coefficient over so many pairs with its p-value by Student's t, which scipy gives for both of ours."""
    if coefficient is None:
        return Correlation(math.nan, math.nan)
    if pairs < 3:
        return Correlation(coefficient, 1.0)
    return Correlation(coefficient, _incomplete_beta(1 - coefficient * coefficient, (pairs - 2) / 2, 0.5))


def _ranks(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Ranks from 1, float64; equal values get the mean of the ranks they cover."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    mean_rank: npt.NDArray[np.float64] = np.cumsum(count) - (count - 1) / 2
    return mean_rank[place]


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, by Lentz's continued fraction (Numerical Recipes, 6.4)."""
    if x <= 0 or x >= 1:
        return min(max(x, 0.0), 1.0)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    tiny = 1e-300
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1) or tiny)
    value = d
    for m in range(1, 500):
        for term in (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                     -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))):  # fmt: skip
            d = 1 / (1 + term * d or tiny)
            c = 1 + term / c or tiny
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return front * value

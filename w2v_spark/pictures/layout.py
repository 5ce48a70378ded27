"""Vectors laid out in a plane: by their principal components, or by t-SNE, which keeps neighbours together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from w2v_spark.errors import MissingExtraError, ParamError
from w2v_spark.vectors.metrics import Matrix, unit

METHODS = ("pca", "tsne")

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Layout:
    """Points (n, 2) float64, and a label with the unit for each of the two axes."""

    points: Float64Array
    labels: tuple[str, str]


def lay_out(vectors: Matrix, method: str, seed: int = 1) -> Layout:
    """Places for vectors (n, D) at length one, so that distances in the plane stand for cosines; n is 3 at least.

    The same vectors and seed give the same places. MissingExtraError where t-SNE is asked for without scikit-learn.
    """
    if method not in METHODS:
        raise ParamError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if len(vectors) < 3:
        raise ParamError(f"a map needs at least 3 words, got {len(vectors)}")
    rows = unit(vectors).astype(np.float64)
    return _principal(rows) if method == "pca" else _neighbouring(rows, seed)


def _principal(rows: Float64Array) -> Layout:
    """The two directions in which the rows differ most."""
    centred = rows - rows.mean(axis=0)
    left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    points = np.zeros((len(rows), 2))
    many = min(2, len(sizes))
    # an axis may point either way: its largest number is made positive
    signs = np.sign(right[np.arange(many), np.abs(right[:many]).argmax(axis=1)])
    points[:, :many] = left[:, :many] * sizes[:many] * np.where(signs == 0, 1, signs)
    total = float(np.square(sizes).sum()) or 1.0
    shares = [*(np.square(sizes[:many]) / total), 0.0][:2]
    first, second = (
        f"principal component {i} ({100 * share:.0f} % of the variance)" for i, share in enumerate(shares, 1)
    )
    return Layout(points, (first, second))


def _neighbouring(rows: Float64Array, seed: int) -> Layout:
    try:
        from sklearn.manifold import TSNE
        from threadpoolctl import threadpool_limits
    except ImportError as e:
        if (e.name or "").partition(".")[0] != "sklearn":
            raise
        raise MissingExtraError("t-SNE", "tsne") from e
    # about as many neighbours are kept together; it must be less than there are rows
    perplexity = min(30.0, max(1.0, (len(rows) - 1) / 3))
    # begun from the principal components, which is repeatable and keeps the coarse order
    start = _principal(rows).points
    start *= 1e-4 / max(float(start[:, 0].std()), 1e-12)
    # its steps are short: on a busy machine several threads wait for each other a hundred times as long as they work
    with threadpool_limits(1):
        found = TSNE(2, perplexity=perplexity, init=start.astype(np.float32), random_state=seed).fit_transform(rows)
    return Layout(np.asarray(found, np.float64), ("t-SNE 1 (no unit)", "t-SNE 2 (no unit)"))

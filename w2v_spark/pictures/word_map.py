"""A map of words: points in a plane, coloured by how often the words were seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from w2v_spark.errors import ParamError
from w2v_spark.pictures.canvas import BLUE, SHADES, style, written
from w2v_spark.pictures.labels import label_points
from w2v_spark.pictures.layout import Float64Array, lay_out
from w2v_spark.vectors.vectors import Vectors

# labels of more would have no room
MOST_WORDS = 2000
_FEW = 60


def word_map(vectors: Vectors, words: Sequence[str], title: str, method: str = "pca", seed: int = 1) -> Figure:
    """A figure with a point for each word, and labels where there is room for them, the first words first.

    UnknownWordError with near spellings for a word that has no vector.
    """
    ids = list(dict.fromkeys(vectors.get_index(word) for word in words))
    if len(ids) > MOST_WORDS:
        raise ParamError(f"a map holds at most {MOST_WORDS:,} words, got {len(ids):,}")
    layout = lay_out(vectors.vectors[ids], method, seed)
    texts = [written(vectors.index_to_key[i]) for i in ids]
    with style([*texts, title]):
        figure = Figure(figsize=(9, 7), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(title, parse_math=False)
        axes.set_xlabel(layout.labels[0])
        axes.set_ylabel(layout.labels[1])
        axes.margins(0.08)
        axes.set_aspect("equal", adjustable="datalim")
        counts = None if vectors.counts is None else vectors.counts[ids]
        _draw_points(axes, layout.points, counts, 22 if len(ids) <= _FEW else 12)
        axes.grid(color="0.92", linewidth=0.8)
        axes.set_axisbelow(True)
        left = label_points(axes, layout.points, texts, 9.5 if len(ids) <= _FEW else 7.5)
        if left:
            note = f"{left:,} of {len(ids):,} words have no label: there is no room for it"
            axes.text(1, 1.01, note, transform=axes.transAxes, ha="right", va="bottom", color="0.4", fontsize=8)
    return figure


def _draw_points(axes: Axes, points: Float64Array, counts: npt.NDArray[np.int64] | None, size: float) -> None:
    """Points of so many square points of 1/72 inch, coloured by the words' counts where these differ."""
    x, y = points.T
    look: dict[str, Any] = {"s": size, "edgecolors": "0.3", "linewidths": 0.4}
    if counts is None or counts.min() == counts.max():
        axes.scatter(x, y, color=BLUE, **look)
        return
    drawn = axes.scatter(x, y, c=np.maximum(counts, 1), cmap=SHADES, norm=LogNorm(), **look)
    axes.figure.colorbar(drawn, ax=axes, label="times seen in the text", shrink=0.6)

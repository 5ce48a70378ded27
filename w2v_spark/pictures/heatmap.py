"""Words' vectors as rows of colours, and beside them the words' cosine similarities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from w2v_spark.array_types import Floats
from w2v_spark.errors import ParamError
from w2v_spark.pictures.canvas import SIGNED, style, written
from w2v_spark.vectors.metrics import float32, unit
from w2v_spark.vectors.vectors import Vectors

MOST_WORDS = 60
# of so many words the similarities are written into their squares
_WRITTEN = 14
# inches
_VECTORS_WIDTH, _SCALE_WIDTH = 6.5, 0.16


def heatmap(vectors: Vectors, words: Sequence[str], title: str) -> Figure:
    """A figure with the vectors of some words, as they are, and their cosines, side by side.

    UnknownWordError with near spellings for a word that has no vector.
    """
    ids = list(dict.fromkeys(vectors.get_index(word) for word in words))
    if not 2 <= len(ids) <= MOST_WORDS:
        raise ParamError(f"a heat map shows 2 to {MOST_WORDS} words, got {len(ids)}")
    texts = [written(vectors.index_to_key[i]) for i in ids]
    rows = float32(vectors.vectors[ids])
    with style([*texts, title]):
        # inches: a word takes a line of the square of similarities; around it stand words and scales
        side = max(3.2, 0.22 * len(ids))
        figure = Figure(figsize=(_VECTORS_WIDTH + side + 4.5, side + 1.8), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(_VECTORS_WIDTH, side))
        figure.suptitle(title, x=0.01, ha="left", parse_math=False)
        _draw_vectors(left, rows, texts, side)
        _draw_cosines(right, rows, texts, side)
    return figure


def _draw_vectors(axes: Axes, rows: Floats, words: Sequence[str], height: float) -> None:
    # a few numbers far out would leave the others without colour
    far = float(np.percentile(np.abs(rows), 99)) or 1.0
    drawn = axes.imshow(rows, cmap=SIGNED, vmin=-far, vmax=far, aspect="auto", interpolation="nearest")
    axes.set_title("vectors")
    axes.set_xlabel("component of the vector, from 0")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_yticks(range(len(words)), words, parse_math=False)
    scale = axes.figure.colorbar(drawn, ax=axes, extend="both", extendfrac=0.03, aspect=height / _SCALE_WIDTH, pad=0.02)
    scale.set_label("value (no unit)")


def _draw_cosines(axes: Axes, rows: Floats, words: Sequence[str], height: float) -> None:
    units = unit(rows)
    cosines = units @ units.T
    drawn = axes.imshow(cosines, cmap=SIGNED, vmin=-1, vmax=1)
    axes.set_title("similarities")
    axes.set_xticks(range(len(words)), words, rotation=90, parse_math=False)
    axes.set_yticks(range(len(words)), words, parse_math=False)
    axes.figure.colorbar(drawn, ax=axes, label="cosine (-1 to 1)", aspect=height / _SCALE_WIDTH, pad=0.03)
    if len(words) <= _WRITTEN:
        for (row, column), cosine in np.ndenumerate(cosines):
            color = "white" if abs(cosine) > 0.65 else "black"
            axes.text(
                column, row, f"{round(float(cosine), 2) + 0.0:.2f}", ha="center", va="center", color=color, fontsize=7.5
            )

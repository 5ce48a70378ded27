"""Labels beside points, placed so that they neither overlap nor, where there is room, cover points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

Float64Array = npt.NDArray[np.float64]

# how far from its point a label may stand, in points of 1/72 inch: beside it, and with a line to it
NEAR, FAR = (5.0,), (5.0, 14.0, 26.0, 40.0)
# of so many points each may have its line; more lines would be a thicket
MOST_LINES = 80
# right, left, above, below, then between
_DIRECTIONS = np.array([(1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.7), (-0.7, 0.7), (0.7, -0.7), (-0.7, -0.7)])
# how far a drawn point reaches, in points of 1/72 inch
_RADIUS = 2.5
# what a label that is farther away costs, counted in points covered
_FARTHER = 0.75


@dataclass(frozen=True)
class _Spot:
    """A place for a label: its middle's offset from the point in dots, and the box that it fills, (4,) x0 y0 x1 y1."""

    offset: tuple[float, float]
    box: Float64Array
    ring: int


def label_points(axes: Axes, points: Float64Array, words: Sequence[str], size: float) -> int:
    """Write each word beside its point, (n, 2) in data units, the first ones first; returns for how many there was
    no room. The figure's layout must be settled; letters have `size` points.
    """
    figure: Any = axes.figure
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    dots = axes.transData.transform(points)
    scale = figure.dpi / 72
    rings = FAR if len(points) <= MOST_LINES else NEAR
    frame = np.array(axes.get_window_extent(canvas.get_renderer()).extents)
    taken: list[Float64Array] = []
    for dot, point, word in zip(dots, points, words, strict=True):
        # no mathematics: a dollar is a dollar
        label = axes.annotate(
            word, (point[0], point[1]), (0, 0), textcoords="offset points", fontsize=size, ha="center", va="center"
        )
        label.set_parse_math(False)
        label.set_in_layout(False)
        label.set_path_effects([patheffects.withStroke(linewidth=2, foreground="white")])
        extent = label.get_window_extent(canvas.get_renderer())
        distances = [r * scale for r in rings]
        spot = _best_spot(dot, extent.width, extent.height, distances, dots, _RADIUS * scale, taken, frame)
        if spot is None:
            label.remove()
            continue
        taken.append(spot.box)
        offset = (spot.offset[0] / scale, spot.offset[1] / scale)
        label.set_position(offset)
        if spot.ring:
            _line(axes, point, offset)
    return len(words) - len(taken)


def _best_spot(
    dot: Float64Array,
    width: float,
    height: float,
    rings: Sequence[float],
    dots: Float64Array,
    radius: float,
    taken: Sequence[Float64Array],
    frame: Float64Array,
) -> _Spot | None:
    """The place that covers the fewest points and is nearest; None where labels or the frame leave none."""
    best, least = None, np.inf
    for ring, distance in enumerate(rings):
        if ring * _FARTHER >= least:
            break
        for across, up in _DIRECTIONS:
            offset = (across * (distance + width / 2), up * (distance + height / 2))
            x, y = dot[0] + offset[0], dot[1] + offset[1]
            box = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
            if (box[:2] < frame[:2]).any() or (box[2:] > frame[2:]).any() or _overlaps(box, taken):
                continue
            covered = ((dots > box[:2] - radius) & (dots < box[2:] + radius)).all(axis=1).sum()
            if covered + ring * _FARTHER < least:
                best, least = _Spot(offset, box, ring), covered + ring * _FARTHER
    return best


def _overlaps(box: Float64Array, taken: Sequence[Float64Array]) -> bool:
    if not taken:
        return False
    others = np.array(taken)
    return bool(((others[:, :2] < box[2:]) & (others[:, 2:] > box[:2])).all(axis=1).any())


def _line(axes: Axes, point: Float64Array, offset: tuple[float, float]) -> None:
    """A thin line from a point to its label."""
    arrow = {"arrowstyle": "-", "color": "0.6", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 2}
    line = axes.annotate("", (point[0], point[1]), offset, textcoords="offset points", arrowprops=arrow, zorder=1)
    line.set_in_layout(False)

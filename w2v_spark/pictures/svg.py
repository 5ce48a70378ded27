"""A line chart as inline SVG, without any package: for pages that must need none. The page's style sheet colours it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from w2v_spark.pictures.page import Markup, joined, markup

# in units of the drawing, which is scaled to the width that the page has: at 360 of a phone's pixels text is still read
WIDTH, HEIGHT = 440, 260
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 30, 48
# more rounds than these are a line without dots
MOST_DOTS = 60
TICKS = 5


@dataclass(frozen=True)
class Axis:
    """A range of values on a stretch of the drawing, and where its ticks stand."""

    low: float
    high: float
    first: float
    last: float
    step: float

    def at(self, value: float) -> float:
        """Where a value stands in the drawing."""
        return self.first + (value - self.low) / (self.high - self.low) * (self.last - self.first)

    def ticks(self) -> list[float]:
        """Round values within the range."""
        start, stop = math.ceil(self.low / self.step - 1e-9), math.floor(self.high / self.step + 1e-9)
        return [number * self.step for number in range(start, stop + 1)]

    def text(self, value: float) -> str:
        """A tick's value with as many decimals as the steps need."""
        return f"{value:,.{max(0, -math.floor(math.log10(self.step) + 1e-9))}f}"


def line_chart(
    title: str, x: Sequence[int], y: Sequence[float | None], *, x_label: str, y_label: str, from_zero: bool = False
) -> Markup:
    """A chart of y over x, whole numbers in rising order; where y is None the line is broken. Labels tell the units."""
    known = [value for value in y if value is not None and math.isfinite(value)]
    if not known:
        return markup('<p class="note">{}: nothing was measured.</p>', title)
    across = _axis(x[0], x[-1], LEFT, WIDTH - RIGHT, whole=True)
    low, high = (0.0 if from_zero else min(known)), max(known)
    up = _axis(low, high, HEIGHT - BOTTOM, TOP, whole=False)
    parts = [_grid(across, up), markup('<text x="0" y="14" class="label">{}</text>', y_label)]
    place = markup('<text x="{}" y="{}" class="label" text-anchor="end">{}</text>', WIDTH - RIGHT, HEIGHT - 6, x_label)
    parts.append(place)
    points = [
        (across.at(a), up.at(b), f"{x_label} {a:,}: {b:,.4g}") if b is not None and math.isfinite(b) else None
        for a, b in zip(x, y, strict=True)
    ]
    parts += _lines(points)
    if len(x) <= MOST_DOTS:
        dot = '<circle cx="{}" cy="{}" r="3.5"><title>{}</title></circle>'
        parts += [markup(dot, f"{p[0]:.1f}", f"{p[1]:.1f}", p[2]) for p in points if p]
    form = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{{}}">{{}}</svg>'
    return markup(form, title, joined(parts))


def _axis(low: float, high: float, first: float, last: float, *, whole: bool) -> Axis:
    """An axis that holds the values from low to high; that of whole numbers ends with them, another at a tick."""
    if whole:
        step = max(1.0, _step(high - low))
        room = 0.5 if low == high else 0.0
        return Axis(low - room, high + room, first, last, step)
    step = _step((high - low) or abs(high) or 1.0)
    low, high = step * math.floor(low / step + 1e-9), step * math.ceil(high / step - 1e-9)
    return Axis(low, high if high > low else low + step, first, last, step)


def _step(span: float) -> float:
    """A distance of ticks: 1, 2 or 5 times a power of ten, so that about `TICKS` fit."""
    if span <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(span / TICKS))
    return power * next(factor for factor in (1, 2, 5, 10) if factor * power * TICKS >= span * (1 - 1e-9))


def _grid(across: Axis, up: Axis) -> Markup:
    """Lines at the ticks of y, and the ticks' texts."""
    parts = []
    for value in up.ticks():
        at = f"{up.at(value):.1f}"
        parts.append(markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>', LEFT, WIDTH - RIGHT, at, at))
        text = '<text x="{}" y="{}" dy="0.35em" text-anchor="end">{}</text>'
        parts.append(markup(text, LEFT - 8, at, up.text(value)))
    for value in across.ticks():
        at = f"{across.at(value):.1f}"
        parts.append(
            markup('<text x="{}" y="{}" text-anchor="middle">{}</text>', at, HEIGHT - BOTTOM + 20, f"{value:,.0f}")
        )
    return joined(parts)


def _lines(points: Sequence[tuple[float, float, str] | None]) -> list[Markup]:
    """The points that follow each other without a gap, joined."""
    runs: list[list[str]] = [[]]
    for point in points:
        if point is None:
            runs.append([])
        else:
            runs[-1].append(f"{point[0]:.1f},{point[1]:.1f}")
    return [markup('<polyline class="line" points="{}"/>', " ".join(run)) for run in runs if len(run) > 1]

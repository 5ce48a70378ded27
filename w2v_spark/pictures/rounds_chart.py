"""Loss and speed over the rounds of a run."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from w2v_spark.pictures.canvas import BLUE, ORANGE, style
from w2v_spark.training.history import TrainedRound

_MOST_DOTS = 60


def rounds_chart(rounds: Sequence[TrainedRound], title: str) -> Figure:
    """A figure with the loss of each round above, and the words a second below."""
    with style([title]):
        figure = Figure(figsize=(9, 6.5), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True)
        above.set_title(title, parse_math=False)
        losses = [float("nan") if r.loss is None else r.loss for r in rounds]
        _draw(above, rounds, losses, BLUE, "loss of a pair (nats)")
        speeds = [r.words_per_second for r in rounds]
        _draw(below, rounds, speeds, ORANGE, "words a second")
        below.set_ylim(0, 1.05 * max(speeds) or 1)
        below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        below.xaxis.set_major_locator(MaxNLocator(integer=True))
        below.set_xlabel("round" if _is_by_epoch(rounds) else "round (dotted: the ends of epochs)")
    return figure


def _draw(axes: Axes, rounds: Sequence[TrainedRound], values: Sequence[float], color: str, label: str) -> None:
    dots = "o" if len(rounds) <= _MOST_DOTS else ""
    axes.plot([r.number for r in rounds], values, color=color, marker=dots, markersize=4)
    axes.set_ylabel(label)
    axes.grid(axis="y", color="0.9")
    if not _is_by_epoch(rounds):
        for number in _ends_of_epochs(rounds):
            axes.axvline(number, color="0.6", linewidth=0.8, linestyle=":")


def _is_by_epoch(rounds: Sequence[TrainedRound]) -> bool:
    """Whether each round is an epoch."""
    return len(rounds) <= round(rounds[-1].stop)


def _ends_of_epochs(rounds: Sequence[TrainedRound]) -> list[float]:
    """Where in the count of rounds an epoch ends, which may be within a round."""
    found, before = [], 0.0
    for r in rounds:
        for epoch in range(int(before + 1e-9) + 1, int(r.stop + 1e-9) + 1):
            found.append(r.number - 1 + (epoch - before) / (r.stop - before))
        before = r.stop
    return found

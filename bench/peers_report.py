"""What the runs of peers.py showed: tables in Markdown, JSON, and a picture."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import job
from peers_text import LONGEST_LINE
from peers_tools import OURS, TITLES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# how many times as fast training and the whole job are to be
BARS: dict[str, tuple[float | None, float | None]] = {
    "mllib": (60, 20),
    "gensim": (12, 5),
    "fasttext": (25, None),
    "pword2vec": (8, None),
}
SCORES = {"analogies": "analogies, %", "pairs": "word pairs, 100 rho", "topics": "neighbours of one topic, %"}


@dataclass(frozen=True)
class Run:
    """What one run showed: seconds, MB, and scores in per cent, None where nothing was asked."""

    tool: str
    version: str
    date: str
    epochs: int
    seconds_whole: float
    seconds_training: float
    memory: float
    vocabulary: int
    phases: dict[str, float]
    scores: dict[str, float | None]
    notes: list[str]

    def whole(self, epochs: int) -> float:
        """Seconds of the whole job with so many epochs; those that were not run take as long as those that were."""
        return self.seconds_whole + (epochs - self.epochs) * self.seconds_training / self.epochs

    def words_per_second(self, words: int) -> float:
        """Words of the vocabulary that training alone went through."""
        return self.epochs * words / self.seconds_training


@dataclass(frozen=True)
class Results:
    """All runs, and what they shared: `setting` has the text's figures, parameters, epochs, threads and machine."""

    setting: dict[str, Any]
    runs: Sequence[Run]

    @property
    def tools(self) -> list[str]:
        """The peers that have run, ours first, then the fastest."""
        found = dict.fromkeys(run.tool for run in self.runs)
        return sorted(found, key=lambda tool: (tool != OURS, -self.speed(tool)))

    def of(self, tool: str) -> list[Run]:
        return [run for run in self.runs if run.tool == tool]

    def median(self, tool: str, value: Callable[[Run], float | None]) -> float | None:
        found = [x for run in self.of(tool) if (x := value(run)) is not None]
        return statistics.median(found) if found else None

    def speed(self, tool: str) -> float:
        """Words a second of training."""
        return self.median(tool, lambda run: run.words_per_second(self.setting["known"])) or 0.0

    def whole(self, tool: str) -> float:
        """Seconds of the whole job at the epochs of the setting."""
        return self.median(tool, lambda run: run.whole(self.setting["epochs"])) or 0.0

    def score(self, tool: str, name: str) -> float | None:
        return self.median(tool, lambda run: run.scores.get(name))

    @property
    def scored(self) -> list[str]:
        """The scores that any peer has."""
        return [name for name in SCORES if any(self.score(tool, name) is not None for tool in self.tools)]

    def title(self, tool: str) -> str:
        """The peer's name, with its epochs where they are not those of the setting."""
        epochs = self.of(tool)[0].epochs
        return TITLES[tool] + ("" if epochs == self.setting["epochs"] else f" ({_epochs(epochs)})")

    def to_dict(self) -> dict[str, Any]:
        return {"setting": self.setting, "runs": [asdict(run) for run in self.runs]}


def markdown(results: Results) -> str:
    """Everything for a person."""
    setting, tools = results.setting, results.tools
    dates = sorted({run.date for run in results.runs})
    versions = ", ".join(f"{TITLES[tool]} {v}" for tool in tools if (v := results.of(tool)[0].version))
    parameters = ", ".join(f"{name} {value:g}" for name, value in setting["parameters"].items())
    repeats = max(len(results.of(tool)) for tool in tools)
    parts = [
        f"{setting['words']:,} words in {setting['lines']:,} lines, {setting['known']:,} of them in a vocabulary of "
        f"{setting['vocabulary']:,} (SHA-256 of the text: {setting['checksum']}); {_epochs(setting['epochs'])}, "
        f"{setting['threads']} threads of {setting['processor']}; {' and '.join(dates)}"
        + (f"; medians of up to {repeats} runs" if repeats > 1 else ""),
        f"{versions}; {parameters}",
        job.markdown([_head(results), *(_row(results, tool) for tool in tools)]),
    ]
    if OURS in tools and len(tools) > 1:
        parts.append(job.markdown(ratio_rows(results)))
    parts.append("\n".join(f"- {line}" for line in _phases(results) + _notes(results)))
    return "\n\n".join(parts) + "\n"


def _epochs(number: int) -> str:
    return f"{number} epoch{'s' * (number > 1)}"


def _head(results: Results) -> list[str]:
    scores = [SCORES[name] for name in results.scored]
    return ["", "training, M words/s", "whole job, s", "peak memory, MB", *scores]


def _row(results: Results, tool: str) -> list[str]:
    whole = results.median(tool, lambda run: run.seconds_whole)
    memory = results.median(tool, lambda run: run.memory)
    scores = [_number(results.score(tool, name)) for name in results.scored]
    return [results.title(tool), f"{results.speed(tool) / 1e6:.3f}", f"{whole:.1f}", f"{memory:,.0f}", *scores]


def _number(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.1f}"


def ratio_rows(results: Results) -> list[list[str]]:
    """How many times as fast as each peer ours is, the bars, and by how many points its scores are higher."""
    named = [f"{SCORES[name]}: more by" for name in results.scored]
    rows = [[f"{OURS} against", "training", "bar", "whole job", "bar", *named]]
    for tool in results.tools[1:]:
        fewer = results.of(tool)[0].epochs != results.setting["epochs"]
        ratios = (results.speed(OURS) / results.speed(tool), results.whole(tool) / results.whole(OURS))
        cells = []
        for ratio, bar, guessed in zip(ratios, BARS.get(tool, (None, None)), (False, fewer), strict=True):
            verdict = "" if bar is None else f">= {bar:g}: {'met' if ratio >= bar else 'missed'}"
            cells += [f"{'about ' * guessed}{ratio:.1f} x", verdict]
        both = [(results.score(OURS, name), results.score(tool, name)) for name in results.scored]
        cells += ["-" if a is None or b is None else _number(a - b, "+") for a, b in both]
        rows.append([results.title(tool), *cells])
    return rows


def _phases(results: Results) -> list[str]:
    """Seconds of each phase of the whole job."""
    lines = []
    for tool in results.tools:
        names = results.of(tool)[0].phases
        seconds = {name: results.median(tool, lambda run, n=name: run.phases.get(n)) for name in names}  # type: ignore[misc]
        told = ", ".join(f"{name} {value:.1f}" for name, value in seconds.items())
        lines.append(f"{results.title(tool)}, s: {told or 'its log does not tell its phases'}")
    return lines


def _notes(results: Results) -> list[str]:
    """What a reader must know to trust the figures."""
    setting = results.setting
    lines = [
        "Words are those of the vocabulary. Training is that alone: of ours the slowest replica of each round. The "
        "whole job is all from the start of a process to its saved vectors, of ours to its end.",
        "The peers' text was tokenised beforehand, which is not timed; ours read the text as it is. Its kernels were "
        "compiled before: they are kept on disk.",
        "Memory is that of a process and all that it started, looked at every second (PSS).",
        f"Scores by the {setting['restrict_vocab']:,} most frequent words.",
    ]
    if any(run.epochs != setting["epochs"] for run in results.runs):
        lines.append(
            f"'about': where a peer ran fewer epochs, its whole job is reckoned at {setting['epochs']}, each as long "
            "as those that it ran; its scores are those of the epochs that it ran."
        )
    if setting["cut"]:
        lines.append(f"{setting['cut']:,} documents were cut at {LONGEST_LINE:,} words for the peers.")
    others = {run.tool: run.vocabulary for run in results.runs if run.vocabulary != setting["vocabulary"]}
    lines += [f"{TITLES[tool]} HAS ANOTHER VOCABULARY, of {words:,} words" for tool, words in others.items()]
    return lines + list(dict.fromkeys(note for run in results.runs for note in run.notes))


def picture(results: Results) -> Figure:
    """Bars for speed, time, memory and scores, ours in another colour."""
    from matplotlib.figure import Figure

    from w2v_spark.pictures.canvas import BLUE, ORANGE, style

    tools = results.tools[::-1]
    panels: list[tuple[str, str, list[float | None]]] = [
        ("training, million words a second", "{:.2f}", [results.speed(tool) / 1e6 for tool in tools]),
        ("whole job, seconds", "{:.0f}", [results.whole(tool) for tool in tools]),
        ("peak memory, MB", "{:,.0f}", [results.median(tool, lambda run: run.memory) for tool in tools]),
        *((SCORES[name], "{:.1f}", [results.score(tool, name) for tool in tools]) for name in results.scored),
    ]
    names, columns = [results.title(tool) for tool in tools], 3
    lines = -(-len(panels) // columns)
    with style(names):
        figure = Figure(figsize=(4 * columns, (0.9 + 0.3 * len(tools)) * lines), layout="constrained")
        grid = figure.subplots(lines, columns, squeeze=False).flat
        for axes, (title, shown, values) in zip(grid, panels, strict=False):
            colors = [ORANGE if tool == OURS else BLUE for tool in tools]
            bars = axes.barh(names, [value or 0.0 for value in values], color=colors)
            axes.bar_label(bars, ["-" if v is None else shown.format(v) for v in values], padding=3)
            axes.set_title(title, fontsize=10)
            axes.margins(x=0.2)
            axes.xaxis.set_visible(False)
            axes.spines["bottom"].set_visible(False)
        for axes in list(figure.axes)[len(panels) :]:
            axes.remove()
    return figure

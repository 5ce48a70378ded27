"""Answers and reports as lines of aligned text for a terminal."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from w2v_spark.vectors.evaluate import AnalogyReport, OddReport, PairReport, Score

NUMBERS_A_LINE = 8


def query_lines(answer: Mapping[str, Any]) -> list[str]:
    """An answer of `query`, which is the object that --json prints."""
    match answer["command"]:
        case "similar":
            queries = answer["queries"]
            if len(queries) == 1:
                return _neighbour_lines(queries[0]["neighbours"])
            blocks = [[shown(q["word"]), *_neighbour_lines(q["neighbours"], "  "), ""] for q in queries]
            return [line for block in blocks for line in block][:-1]
        case "analogy":
            return _neighbour_lines(answer["answers"])
        case "similarity":
            return [f"{_value(answer):.4f}"]
        case _:
            found = answer["vectors"]
            if len(found) > 1:
                return [" ".join([shown(v["word"]), *map(str, v["vector"])]) for v in found]
            numbers = [f"{x:10.6f}" for x in found[0]["vector"]]
            return [" ".join(numbers[i : i + NUMBERS_A_LINE]) for i in range(0, len(numbers), NUMBERS_A_LINE)]


def analogy_lines(report: AnalogyReport) -> list[str]:
    """A table of sections and totals, and the share of skipped questions."""
    header = ["section", "correct", "asked", "skipped", "accuracy"]
    sections = [_score_cells(score) for score in report.sections]
    totals = [_score_cells(score) for score in (report.semantic, report.syntactic, report.total)]
    lines = table([header, *sections, *totals])
    rule = "-" * max(map(width, lines))
    lines = [*lines[: 1 + len(sections)], rule, *lines[1 + len(sections) :]]
    total = report.total
    questions = total.asked + total.skipped
    skipped = f"{total.skipped:,} of {questions:,} questions skipped ({_percent(total.skipped / questions)})"
    return [shown(report.file), *lines, f"{skipped}: a word is not among the {report.vocabulary:,} most frequent"]


def pair_lines(reports: Sequence[PairReport]) -> list[str]:
    """A table with one line for each file of word pairs."""
    rows = [["word pairs", "pairs", "skipped", "share", "rho", "r"]]
    for r in reports:
        rho, linear = ("-" if value is None else f"{value:.4f}" for value in (r.spearman, r.pearson))
        rows.append(
            [shown(os.path.basename(r.file)), f"{r.pairs:,}", f"{r.skipped:,}", _percent(r.unknown), rho, linear]
        )
    return table(rows)


def odd_lines(report: OddReport) -> list[str]:
    """A table of sections and their total."""
    scores = report.sections if len(report.sections) == 1 else (*report.sections, report.total)
    rows = [_score_cells(score) for score in scores]
    return [shown(report.file), *table([["odd one out", "correct", "asked", "skipped", "accuracy"], *rows])]


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with the first column flush left and the others flush right."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first + " " * (widths[0] - width(first))]
        cells += [" " * (w - width(cell)) + cell for w, cell in zip(widths[1:], others, strict=True)]
        lines.append("  ".join(cells))
    return lines


def width(text: str) -> int:
    """Columns that a text takes in a terminal: ideographs take two, combining marks none."""
    return sum(
        0 if unicodedata.category(c) in ("Mn", "Me", "Cf") else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def shown(word: str) -> str:
    """A word with what a terminal would obey or not show, line ends above all, as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in word)


def _neighbour_lines(neighbours: Sequence[Mapping[str, Any]], indent: str = "") -> list[str]:
    return table([[indent + shown(n["word"]), f"{_value(n):.4f}"] for n in neighbours])


def _value(answer: Mapping[str, Any]) -> float:
    """The number of an answer, which stands last, under its metric's name."""
    return float(list(answer.values())[-1])


def _score_cells(score: Score) -> list[str]:
    accuracy = "-" if score.accuracy is None else _percent(score.accuracy)
    return [shown(score.name), f"{score.correct:,}", f"{score.asked:,}", f"{score.skipped:,}", accuracy]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"

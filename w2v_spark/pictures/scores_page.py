"""What `evaluate` found, as a page: analogies by section, word pairs, odd ones out, and what the model is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from w2v_spark.params import spelt
from w2v_spark.pictures.page import Markup, bar, facts, note, page, percent, section, table
from w2v_spark.vectors.evaluate import AnalogyReport, OddReport, PairReport, Score
from w2v_spark.vectors.vectors import Vectors

_METHODS = {"add": "3CosAdd", "mul": "3CosMul"}


@dataclass(frozen=True)
class Scores:
    """What the tests gave: reports of each kind, and how analogies were answered."""

    analogies: Sequence[AnalogyReport]
    pairs: Sequence[PairReport]
    odd: Sequence[OddReport]
    method: str


def scores_page(address: str, vectors: Vectors, manifest: Mapping[str, Any] | None, scores: Scores) -> str:
    """The page as HTML; `manifest` is None for vectors that are no output of a run."""
    parts = [_analogies(report, scores.method) for report in scores.analogies]
    if scores.pairs:
        parts.append(_pairs(scores.pairs))
    parts += [_odd(report) for report in scores.odd]
    return page(f"Test scores: {address}", [*parts, _model(vectors, manifest)])


def _analogies(report: AnalogyReport, method: str) -> Markup:
    totals = (report.semantic, report.syntactic, report.total)
    told = f"Answered by {_METHODS[method]} among the {report.vocabulary:,} most frequent words."
    return section(
        f"Analogies: {report.file}",
        note(f"{told} {_skipped(report.total)}"),
        _scores("section", report.sections, totals),
    )


def _odd(report: OddReport) -> Markup:
    totals = (report.total,) if len(report.sections) > 1 else ()
    told = f"The word farthest from the mean of all is taken for the odd one. {_skipped(report.total)}"
    return section(f"Odd one out: {report.file}", note(told), _scores("section", report.sections, totals))


def _scores(name: str, sections: Iterable[Score], totals: Sequence[Score]) -> Markup:
    """A table of scores; totals stand last."""
    rows = [
        (
            score.name,
            percent(score.accuracy),
            "" if score.accuracy is None else bar(score.accuracy),
            f"{score.correct:,}",
            f"{score.asked:,}",
            f"{score.skipped:,}",
        )
        for score in (*sections, *totals)
    ]
    return table((name, "accuracy", "", "correct", "asked", "skipped"), rows, "lrlrrr", totals=len(totals))


def _pairs(reports: Sequence[PairReport]) -> Markup:
    rows = [
        (
            r.file,
            _correlation(r.spearman),
            "" if r.spearman is None else bar(r.spearman),
            _correlation(r.pearson),
            f"{r.pairs:,}",
            f"{r.skipped:,}",
            percent(r.unknown),
        )
        for r in reports
    ]
    told = "Correlation of cosines with the ratings of people; a pair with a word outside the vocabulary is left out."
    header = ("file", "Spearman's rho", "", "Pearson's r", "pairs", "skipped", "share skipped")
    return section("Word pairs", note(told), table(header, rows, "lrlrrrr"))


def _skipped(total: Score) -> str:
    questions = total.asked + total.skipped
    return f"{total.skipped:,} of {questions:,} skipped ({percent(total.skipped / questions)}): a word is unknown."


def _correlation(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _model(vectors: Vectors, manifest: Mapping[str, Any] | None) -> Markup:
    told: list[tuple[str, object]] = [("words", f"{len(vectors):,}"), ("numbers in each vector", vectors.vector_size)]
    manifest = manifest or {}
    if "vocabulary" in manifest:
        told.append(("words of text trained on", f"{manifest['vocabulary']['total_count']:,}"))
    # what a model was trained with; one that was converted has two parameters, told already
    params = {k: v for k, v in manifest.get("params", {}).items() if k not in ("vector_size", "lowercase")}
    told += [(name, spelt(name, value)) for name, value in params.items()]
    told += [(name, version) for name, version in manifest.get("versions", {}).items()]
    return section("The model", facts(told))

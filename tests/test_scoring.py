"""Scores while training: in the log, the metrics and the report, and as a reason to stop."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

import w2v_spark
from w2v_spark import cli
from w2v_spark.cli import main
from w2v_spark.errors import ParamError
from w2v_spark.spark.scoring import Scoring, going_on, settings
from w2v_spark.vectors.evaluate import evaluate_analogies, evaluate_pairs

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SMALL: dict[str, Any] = {"vector_size": 12, "min_count": 2, "max_iter": 5, "sample": 0.0, "threads_per_replica": 1}


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "questions.txt"
    path.write_text(": same\n" + "".join(f"sea{i} sea{i + 1} hill{i} hill{i + 1}\n" for i in range(20)))
    return path


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.txt"
    path.write_text("".join(f"sea{i} {'sea' if i % 2 else 'town'}{i + 1} {i % 2}\n" for i in range(20)))
    return path


def test_scores_are_those_of_evaluate(
    spark: SparkSession,
    small_text: Path,
    questions: Path,
    pairs: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    scoring = Scoring.of_files(2, questions, pairs, restrict_vocab=100)
    with caplog.at_level(logging.INFO, "w2v_spark"):
        trained = w2v_spark.train(small_text, tmp_path / "out", **SMALL, vectors="output", scoring=scoring)
    rows = sorted(pq.read_table(tmp_path / "out" / "metrics").to_pylist(), key=lambda row: row["round"])
    assert [row["analogies"] is not None for row in rows] == [False, True, False, True, True]
    assert rows[-1]["analogies"] == evaluate_analogies(trained.wv, questions, 100).total.accuracy
    assert rows[-1]["word_pairs"] == pytest.approx(evaluate_pairs(trained.wv, pairs, 100).spearman)
    assert f"scores after round 5: {100 * rows[-1]['analogies']:.1f} % of analogies, " in caplog.text
    assert "Scores while training" in (tmp_path / "out" / "report.html").read_text()


def test_training_ends_when_the_scores_no_longer_rise(
    spark: SparkSession, small_text: Path, pairs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scoring = Scoring.of_files(1, pairs=pairs, patience=1)
    with caplog.at_level(logging.INFO, "w2v_spark"):
        w2v_spark.train(small_text, tmp_path / "out", **{**SMALL, "max_iter": 60}, scoring=scoring)
    scores = {row["round"]: row["word_pairs"] for row in pq.read_table(tmp_path / "out" / "metrics").to_pylist()}
    assert len(scores) < 60 and scores[len(scores)] <= max(scores[n] for n in scores if n < len(scores))
    assert "the last 1 scores were no better than one before: training ends here" in caplog.text


def test_patience() -> None:
    def is_over(patience: int | None, *scores: float | None) -> bool:
        rows = [
            {"round": round, "shard": shard, "analogies": s, "word_pairs": None}
            for round, s in enumerate(scores, 1)
            for shard in (0, 1)
        ]
        return Scoring(1, None, None, patience=patience, since=since).is_over(rows)

    since = 0
    assert not is_over(None, 3.0, 2.0, 1.0)
    assert not is_over(2, 3.0, 2.0) and is_over(2, 3.0, 2.0, None, 3.0) and not is_over(2, 3.0, 2.0, 4.0)
    since = 2  # by another measure up to there
    assert not is_over(1, 9.0, 8.0, 2.0) and is_over(1, 9.0, 8.0, 2.0, 1.0)


def test_what_a_run_that_goes_on_may_change(pairs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "w2v_spark")
    often, seldom = Scoring.of_files(2, pairs=pairs, patience=3), Scoring.of_files(5, pairs=pairs)
    scoring, noted = going_on(often, settings(often), 4)
    assert scoring == often and noted == settings(often) and not caplog.messages
    scoring, noted = going_on(seldom, noted, 4)
    assert scoring == seldom
    assert caplog.messages == ["evaluate_every was 2, from here on 5", "patience was 3, from here on none"]
    scoring, noted = going_on(None, noted, 6)
    assert scoring is None
    (tmp_path / "others.txt").write_text("sea1 sea2 1\nsea1 town2 0\n")
    others = Scoring.of_files(5, pairs=tmp_path / "others.txt")
    scoring, noted = going_on(others, noted, 8)
    assert scoring is not None and scoring.since == 8
    assert caplog.messages[-1].startswith("scores are by other test files or words than before")
    scoring, noted = going_on(others, noted, 9)
    assert scoring is not None and scoring.since == 8 == noted["since"]


@pytest.mark.parametrize(("options", "words"), [([], 30_000), (["--restrict-vocab", "9"], 9)])
def test_words_that_are_scored_by(pairs: Path, options: list[str], words: int) -> None:
    parser = argparse.ArgumentParser()
    cli.add_train_arguments(parser)
    given = ["--input", "x", "--output", "y", "--evaluate-every", "2", "--pairs", str(pairs), *options]
    assert cli._scoring(parser.parse_args(given)) == Scoring.of_files(2, pairs=pairs, restrict_vocab=words)


def test_what_is_refused(tmp_path: Path, pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        ParamError, match=r"evaluate_every needs something to score with: give --analogies, --pairs or both"
    ):
        Scoring.of_files(1)
    with pytest.raises(ParamError, match="patience given invalid value 0: must be an integer of at least 1"):
        Scoring.of_files(1, pairs=pairs, patience=0)
    assert main(["train", "--input", "x", "--output", str(tmp_path / "out"), "--pairs", str(pairs)]) == 2
    assert "error: --pairs needs --evaluate-every N: every how many rounds to score" in capsys.readouterr().err
    assert main(["train", "--input", "x", "--output", str(tmp_path / "out"), "--restrict-vocab", "9"]) == 2
    assert "error: --restrict-vocab needs --evaluate-every N: every how many rounds" in capsys.readouterr().err
    none = ["--evaluate-every", "1", "--pairs", str(pairs), "--restrict-vocab", "0"]
    assert main(["train", "--input", "x", "--output", str(tmp_path / "out"), *none]) == 2
    assert "error: restrict_vocab given invalid value 0: must be an integer of at least 1" in capsys.readouterr().err
    missing = ["--evaluate-every", "1", "--analogies", "nowhere.txt"]
    assert main(["train", "--input", "x", "--output", str(tmp_path / "out"), *missing]) == 2
    assert "error: cannot read nowhere.txt" in capsys.readouterr().err
    assert not json.dumps(list(tmp_path.glob("out")))[1:-1]

"""The train command: arguments, exit status, and what a person reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from w2v_spark import cli
from w2v_spark.params import option_name, specs

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SMALL = ["--vector-size", "10", "--min-count", "2", "--max-iter", "1"]


def test_help_lists_every_parameter(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.train_main(["--help"])
    shown = capsys.readouterr().out
    assert all(option_name(name) in shown for name in specs())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "x", "--vector-size", "0"], "error: parameter vector_size given invalid value '0': must be"),
        ([], "error: give exactly one of --input, --table and --sql; given: none"),
        (["--input", "x", "--sql", "SELECT 1"], "error: give exactly one of --input, --table and --sql"),
        (["--input", "x", "--config", "missing.toml"], "error: cannot read the configuration missing.toml"),
        (["--input", "missing.txt"], "missing.txt does not exist"),
    ],
)
def test_a_mistake_is_a_sentence_and_status_2(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert cli.train_main([*arguments, "--output", str(tmp_path / "out")]) == 2
    shown = capsys.readouterr().err
    assert message in shown and "Traceback" not in shown
    assert not (tmp_path / "out").exists()


def test_options_win_over_the_file(
    spark: SparkSession, small_text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.toml").write_text("vector_size = 7\nlowercase = false\n")
    arguments = ["--config", str(tmp_path / "train.toml"), *SMALL, "--lowercase", "--log-level", "ERROR"]
    output = tmp_path / "out"
    assert cli.main(["train", "--input", str(small_text), "--output", str(output), *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["output"] == output.as_uri().replace("file:///", "file:/")
    stored = json.loads((output / "model.json").read_text())["params"]
    assert stored["vector_size"] == 10 and stored["lowercase"] is True


def test_plan_prints_and_stops(
    spark: SparkSession, small_text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    assert cli.train_main(["--input", str(small_text), "--output", str(output), *SMALL, "--plan"]) == 0
    shown = capsys.readouterr().out
    assert "num_replicas = 1" in shown and "spark.executor.memoryOverhead" in shown and "through the shuffle" in shown
    assert not (output / "model.json").exists()

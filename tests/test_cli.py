"""The train command: arguments, exit status, and what a person reads."""

from __future__ import annotations

import gzip
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import w2v_spark
from w2v_spark import cli
from w2v_spark.errors import InputError, ParamError
from w2v_spark.params import option_name, specs
from w2v_spark.spark.progress import LogHandler

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ONE_SOURCE = "give exactly one of paths (--input), table (--table), sql (--sql) and dataframe"
SMALL = ["--vector-size", "10", "--min-count", "2", "--max-iter", "1"]


def test_help_lists_every_parameter(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.train_main(["--help"])
    shown = capsys.readouterr().out
    assert all(option_name(name) in shown for name in specs())
    groups = shown.split("\ninput and output:\n")[1].split("\nthe run:\n")
    assert all(option not in groups[0] and option in groups[1] for option in ("--log-level", "--config", "--plan"))
    with pytest.raises(SystemExit, match="0"):
        cli.main(["train", "--help"])
    command = capsys.readouterr().out
    assert command[command.index("\n\n") :] == shown[shown.index("\n\n") :] and "\nexamples:\n" in command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "x", "--vector-size", "0"], "error: parameter vector_size given invalid value '0': must be"),
        ([], f"error: {ONE_SOURCE}; given: none\n"),
        (["--input", "x", "--sql", "SELECT 1"], f"error: {ONE_SOURCE}; given: paths, sql\n"),
        (
            ["--table", "t", "--format", "csv"],
            "error: input format 'csv' is for files alone: leave it out",
        ),
        (
            ["--sql", "SELECT 1", "--format", "text"],
            "error: input format 'text' is for files alone: leave it",
        ),
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
    (tmp_path / "train.toml").write_text(
        'vector_size = 7\nlowercase = false\nmin_step_size = 0.06\nloss = "hierarchical_softmax"\nvectors = "output"\n'
    )
    arguments = ["--config", str(tmp_path / "train.toml"), *SMALL, "--lowercase", "--log-level", "ERROR"]
    arguments += ["--step-size", "0.1", "--loss", "negative_sampling"]
    output = tmp_path / "out"
    assert cli.main(["train", "--input", str(small_text), "--output", str(output), *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["output"] == output.as_uri().replace("file:///", "file:/")
    stored = json.loads((output / "model.json").read_text())["params"]
    assert stored["vector_size"] == 10 and stored["lowercase"] is True
    assert (stored["loss"], stored["vectors"]) == ("negative_sampling", "output")


def test_plan_prints_and_stops(
    spark: SparkSession, small_text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    assert cli.train_main(["--input", str(small_text), "--output", str(output), *SMALL, "--plan"]) == 0
    shown = capsys.readouterr().out
    assert "num_replicas = 1" in shown and "through the shuffle" in shown
    assert not (output / "model.json").exists()


@pytest.mark.parametrize("tokenizer", ["words", "whitespace"])
def test_a_damaged_file_is_a_sentence(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str], tokenizer: str
) -> None:
    file, output = tmp_path / "cut.txt.gz", tmp_path / "out"
    file.write_bytes(gzip.compress(b"some words in a line\n" * 100_000)[:200])
    arguments = ["--input", str(file), "--output", str(output), "--tokenizer", tokenizer]
    assert cli.train_main(arguments) == 2
    assert capsys.readouterr().err.endswith(
        "error: Spark cannot read the input: [FAILED_READ_FILE.NO_HINT] Encountered error while reading file "
        f"file://{file}. SQLSTATE: KD001 (Unexpected end of input stream)\n"
    )
    assert not (output / "model.json").exists()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELEC 1", "[PARSE_SYNTAX_ERROR] Syntax error at or near 'SELEC'. SQLSTATE: 42601 (line 1, pos 0)"),
        ("", "[PARSE_EMPTY_STATEMENT] Syntax error, unexpected empty statement. SQLSTATE: 42617 (line 1, pos 0)"),
        (
            "SELECT text FROM (SELECT 'a' AS word)",
            "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column, variable, or function parameter with name `text` cannot be "
            "resolved. Did you mean one of the following? [`word`]. SQLSTATE: 42703; line 1 pos 7",
        ),
        ("SELECT no_such_function('a')", "[UNRESOLVED_ROUTINE] Cannot resolve routine `no_such_function` on search"),
        ("SELECT 'a' + array(1)", '[DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES] Cannot resolve "(a + array(1))"'),
        ("SELECT string(int(id || 'x')) FROM range(1)", "[CAST_INVALID_INPUT] The value '0x' of the type"),
    ],
)
def test_a_query_that_fails_is_a_sentence(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str], query: str, message: str
) -> None:
    assert cli.train_main(["--sql", query, "--output", str(tmp_path / "out")]) == 2
    shown = capsys.readouterr().err
    assert f"error: Spark cannot read the input: {message}" in shown
    assert "Traceback" not in shown and '"level"' not in shown


def test_a_vocabulary_file_is_looked_at_first(spark: SparkSession, tmp_path: Path) -> None:
    from w2v_spark.spark.word_list import WordList

    missing = tmp_path / "missing.txt"
    with pytest.raises(InputError, match=f"^vocabulary file {missing} does not exist$"):
        WordList.open(spark, str(missing), "vocabulary file")
    spark.range(3).write.parquet(str(tmp_path / "ids.parquet"))
    with pytest.raises(InputError, match=r"ids\.parquet has no column 'word'; it has: id$"):
        WordList.open(spark, str(tmp_path / "ids.parquet"), "vocabulary file")
    (tmp_path / "words.txt").write_text("one 1\n")
    WordList.open(spark, str(tmp_path / "words.txt"), "vocabulary file")


def test_progress_for_a_notebook() -> None:
    logger, theirs = logging.getLogger("w2v_spark"), logging.NullHandler()
    before, level = list(logger.handlers), logger.level
    try:
        logger.addHandler(theirs)
        for _ in range(2):
            w2v_spark.show_progress()
        assert theirs in logger.handlers and sum(isinstance(h, LogHandler) for h in logger.handlers) == 1
        with pytest.raises(ParamError, match="^level must be one of CRITICAL, .*, got 'info'$"):
            w2v_spark.show_progress("info")
    finally:
        logger.handlers[:] = before
        logger.setLevel(level)


def test_an_older_spark_is_a_sentence() -> None:
    older = "import pyspark.sql; del pyspark.sql.is_remote; from w2v_spark.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", older, "train", "--input", "x", "--output", "y"]
    done = subprocess.run(command, text=True, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr.startswith("error: training needs Spark 4.0 or newer (cannot import name 'is_remote' from ")
    assert done.stderr.endswith("): give its folder in SPARK_HOME\n")

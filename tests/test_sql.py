"""Every example in docs/queries.md, run: Python, shell and SQL; and the SQL of the README. Answers of DuckDB and Spark
stand beside our own.
"""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import device_arrays
import duckdb
import numpy as np
import pytest
from conftest import ROOT
from make_model_v1 import write_model

from w2v_spark.cli_convert import convert_main
from w2v_spark.cli_evaluate import evaluate_main
from w2v_spark.cli_query import query_main
from w2v_spark.vectors.vectors import Vectors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PAGE = ROOT / "docs" / "queries.md"
README = ROOT / "README.md"
WORDS = ["the", "maximum", "king", "queen", "man", "woman", "paris", "london", "berlin", "year", "city"]
JOBS: dict[str, Callable[[list[str]], int]] = {
    "jobs/query.py": query_main,
    "jobs/convert.py": convert_main,
    "jobs/evaluate.py": evaluate_main,
}


def blocks(language: str, page: Path = PAGE) -> list[str]:
    """The examples of a language, in the page's order."""
    found = re.findall(r"^```(.+?)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [text for kind, text in found if kind == language]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vectors:
    """A model at out/en, and the test files that the page speaks of, in a working directory of their own."""
    monkeypatch.chdir(tmp_path)
    numbers = np.random.default_rng(0).normal(size=(len(WORDS), 12)).astype(np.float32)
    write_model(tmp_path / "out" / "en", WORDS, numbers)
    (tmp_path / "questions.txt").write_text(": family\nman woman king queen\n")
    (tmp_path / "pairs.txt").write_text("king queen 9\nking paris 1\nman woman 8\n")
    (tmp_path / "odd.txt").write_text(blocks("text")[0])
    return Vectors.open("out/en")


def near(rows: list[tuple[str, float]], expected: list[tuple[str, float]]) -> None:
    assert [word for word, _ in rows] == [word for word, _ in expected]
    assert [cosine for _, cosine in rows] == pytest.approx([cosine for _, cosine in expected], abs=1e-6)


def test_duckdb(model: Vectors) -> None:
    (query,) = blocks("sql duckdb", README)
    near(duckdb.sql(query.replace("out/demo", "out/en")).fetchall(), model.most_similar("maximum", topn=5))


def test_duckdb_analogy(model: Vectors) -> None:
    near(duckdb.sql(blocks("sql duckdb analogy")[0]).fetchall(), model.most_similar(["king", "woman"], ["man"], 5))


def test_spark_sql(spark: SparkSession, model: Vectors, tmp_path: Path) -> None:
    # Spark's working directory was fixed when its JVM started
    (query,) = (text.replace("`out/demo/", f"`{tmp_path}/out/en/") for text in blocks("sql spark", README))
    near([tuple(row) for row in spark.sql(query).collect()], model.most_similar("maximum", topn=5))


def run_shell(capsys: pytest.CaptureFixture[str]) -> None:
    for line in "".join(blocks("sh")).splitlines():
        program, job, *arguments = shlex.split(line)
        assert program == ".venv/bin/python"
        assert JOBS[job](arguments) == 0, line
        out, err = capsys.readouterr()
        assert out and not err, line


def run_python(kinds: list[str], **scope: object) -> None:
    Path("example.py").write_text("\n".join(text for kind in kinds for text in blocks(kind)))
    runpy.run_path("example.py", scope)


def test_shell_and_python(model: Vectors, capsys: pytest.CaptureFixture[str]) -> None:
    run_shell(capsys)
    run_python(["python", "python gensim"])
    assert Vectors.open("out/from-text").index_to_key == WORDS


def test_python_with_an_index(model: Vectors) -> None:
    pytest.importorskip("usearch", reason="needs extra ann")
    run_python(["python ann"], vectors=model)


def test_python_with_a_gpu(model: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    with device_arrays.in_place_of_cupy(monkeypatch):
        run_python(["python cuda"], Vectors=Vectors)


def test_every_example_is_of_a_kind_that_is_run() -> None:
    kinds = set(re.findall(r"^```(.+)$", PAGE.read_text(), re.MULTILINE))
    run = {
        "python",
        "python ann",
        "python cuda",
        "python gensim",
        "sh",
        "sql duckdb analogy",
        "text",
    }
    assert kinds == run

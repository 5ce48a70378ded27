"""The README's examples in Python, run as they stand but for their paths and words."""

from __future__ import annotations

import gzip
import re
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import ROOT

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def example(beginning: str, **replaced: str) -> str:
    """The one example that begins so, with other paths and words."""
    found = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    (text,) = (text for text in found if text.startswith(beginning))
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    return text


def run(text: str, folder: Path, **names: Any) -> dict[str, Any]:
    """What is defined after the example."""
    script = folder / "example.py"
    script.write_text(text)
    return runpy.run_path(str(script), names)


def test_training_from_a_notebook(spark: SparkSession, small_text: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.gz").write_bytes(gzip.compress((small_text / "lines.txt").read_bytes()))
    paths = {"texts/*.gz": f"{tmp_path}/*.gz", "out/texts": f"{tmp_path}/out", "king": "sea3"}
    trained = run(example("import w2v_spark", **paths), tmp_path)["trained"]
    assert trained.wv.vector_size == 300 and len(trained.wv) == 120


def test_a_stage_of_a_pipeline(spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sentences = spark.createDataFrame([(["king", "queen", "paris"] * 4,)] * 20, "words array<string>")
    names = run(example("from w2v_spark import Word2Vec", **{'"out/': f'"{tmp_path}/'}), tmp_path, sentences=sentences)
    assert set(names["model"].getVectors().toPandas()["word"]) == {"king", "queen", "paris"}
    assert "queen" in capsys.readouterr().out

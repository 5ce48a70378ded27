"""What a new session has of ours: nothing that was given to spark-submit is taken for unset."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import pytest

from w2v_spark.spark.builder import new_builder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture
def named(spark: SparkSession) -> Any:
    """Sets the name of the application as spark-submit does: as a property of Java's."""
    java = cast(Any, spark.sparkContext._jvm).java.lang.System
    before = java.getProperty("spark.app.name")
    yield lambda name: java.setProperty("spark.app.name", name)
    java.setProperty("spark.app.name", before) if before else java.clearProperty("spark.app.name")


def test_what_spark_submit_was_given_wins(named: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["jobs/train.py"])
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    assert options() == {"spark.app.name": "w2v_spark", "spark.ui.showConsoleProgress": "false"}
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    named("train.py")
    assert options() == {"spark.app.name": "w2v_spark"}, "as spark-submit names it where it is given no name"
    named("mine")
    assert options() == {}


def options() -> dict[str, str]:
    return dict(new_builder()._options)

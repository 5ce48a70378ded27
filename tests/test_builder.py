"""What a new session has of ours: nothing that was given to spark-submit is taken for unset."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from w2v_spark.spark.builder import new_builder, quiet_java

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


def options_of_java() -> str:
    with quiet_java():
        return os.environ.get("SPARK_SUBMIT_OPTS", "")


def test_java_logs_quietly_where_the_user_has_not_told_how(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SPARK_CONF_DIR", "SPARK_HOME", "PYSPARK_SUBMIT_ARGS", "JAVA_TOOL_OPTIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SPARK_SUBMIT_OPTS", "-Da=b")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "log4j2.xml").touch()  # not Spark's: there is no SPARK_HOME
    quiet = options_of_java()
    assert quiet.startswith("-Da=b -Dlog4j2.configurationFile=file:///") and "w2v_spark/spark/log4j2.prop" in quiet
    assert os.environ["SPARK_SUBMIT_OPTS"] == "-Da=b"
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    assert options_of_java() == "-Da=b"
    (tmp_path / "conf" / "log4j2.xml").rename(tmp_path / "conf" / "log4j2.xml.template")
    assert options_of_java() == quiet
    (tmp_path / "conf" / "spark-defaults.conf").write_text("spark.driver.extraJavaOptions -Dlog4j2.x=y\n")
    assert options_of_java() == "-Da=b"
    (tmp_path / "conf" / "spark-defaults.conf").unlink()
    for name in ("JAVA_TOOL_OPTIONS", "PYSPARK_SUBMIT_ARGS"):
        monkeypatch.setenv(name, "-Dlog4j2.level=info pyspark-shell")
        assert options_of_java() == "-Da=b"
        monkeypatch.delenv(name)

"""What several tests share: one local Spark session, and where the corpora lie that are not in the repository."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from java_classes import COMPILING_LESS, own_spark, sharing_options

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytest_plugins = ["checkouts", "interrupted_runs"]

ROOT = Path(__file__).resolve().parents[1]
# Most of a JVM's start is to load Spark's classes, which are recorded by when a whole run of the tests begins.
RECORDED_CLASSES = sharing_options(own_spark(), dict(os.environ), record=False)
LIGHT_JAVA = f"{COMPILING_LESS} {RECORDED_CLASSES}".strip()
# Settings of every Spark that a test starts; a folder for SPARK_CONF_DIR would keep JVMs from sharing recorded classes.
SPARK_SETTINGS = {
    # texts of tests are small, and most of Spark's 200 partitions would be empty
    "spark.sql.shuffle.partitions": "4",
    # larger sorts spill, as they do where there is more to sort than memory
    "spark.shuffle.spill.numElementsForceSpillThreshold": "20000",
    "spark.ui.enabled": "false",
    "spark.executor.extraJavaOptions": LIGHT_JAVA,
}
os.environ["SPARK_SUBMIT_OPTS"] = " ".join(shlex.quote(f"-D{name}={value}") for name, value in SPARK_SETTINGS.items())
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def event_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the session logs what it runs."""
    return tmp_path_factory.mktemp("events")


@pytest.fixture(scope="session")
def spark(event_log: Path) -> Iterator[SparkSession]:
    """A local session with two cores."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.memory", "2g")
        .config("spark.driver.extraJavaOptions", f"{LIGHT_JAVA} -XX:+UseSerialGC")
        .config("spark.eventLog.enabled", "true")
        .config("spark.eventLog.compress", "false")
        .config("spark.eventLog.dir", event_log.as_uri())
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with corpora and test sets, beside the repository; tests that need it are skipped where it is
    missing.
    """
    if not (SHARED / "data").is_dir():
        pytest.skip(f"needs the corpora in {SHARED.name}/data beside the repository")
    return SHARED


def write_small_text(folder: Path) -> Path:
    """A new folder with a file of 3,000 lines in which words of the same topic keep company, with many duplicate
    lines.
    """
    import numpy as np

    draw = np.random.default_rng(5)
    topics = [[f"{name}{i}" for i in range(30)] for name in ("sea", "hill", "town", "star")]
    lines = [" ".join(draw.choice(topics[i % 4], size=draw.integers(3, 25))) for i in range(1500)]
    folder.mkdir()
    (folder / "lines.txt").write_text("\n".join(lines + lines[:500] * 2 + [lines[0]] * 500) + "\n")
    return folder


@pytest.fixture
def small_text(tmp_path: Path) -> Path:
    """A folder with the small text."""
    return write_small_text(tmp_path / "text")

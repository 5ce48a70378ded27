"""What a new Spark session has that no user has set."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from w2v_spark.spark.java import find_java


def new_builder() -> SparkSession.Builder:
    """A builder of a session: of what spark-submit has begun, or else of one that Python starts on this machine."""
    ours = SparkSession.builder.appName("w2v_spark")
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        # its workers need this Python's packages
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        find_java()
        return ours.config("spark.ui.showConsoleProgress", "false")
    SparkContext._ensure_initialized()
    # without --name it is the script's; one that a user gave, a builder's would override
    unnamed = SparkConf().get("spark.app.name") == os.path.basename(sys.argv[0])
    return ours if unnamed else SparkSession.builder


# where options of the Java that is about to start may stand
_JAVA_OPTIONS = ("SPARK_SUBMIT_OPTS", "PYSPARK_SUBMIT_ARGS", "JDK_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS")


@contextmanager
def quiet_java() -> Iterator[None]:
    """The Java that starts in the block logs warnings and errors alone, unless the user has a logging configuration;
    what conf/submit.py does for spark-submit.
    """
    before = os.environ.get("SPARK_SUBMIT_OPTS")
    if not _logging_is_configured():
        quiet = f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties').as_uri()}"
        os.environ["SPARK_SUBMIT_OPTS"] = f"{before or ''} {quiet}".strip()
    try:
        yield
    finally:
        os.environ.pop("SPARK_SUBMIT_OPTS", None)
        if before is not None:
            os.environ["SPARK_SUBMIT_OPTS"] = before


def _logging_is_configured() -> bool:
    """Whether the user has told Spark how to log: by options of Java, or by a file where Spark looks for one."""
    own = os.environ.get("SPARK_CONF_DIR") or (os.environ.get("SPARK_HOME") and f"{os.environ['SPARK_HOME']}/conf")
    folder = Path(own) if own else None
    texts = [os.environ.get(name, "") for name in _JAVA_OPTIONS]
    if folder and (defaults := folder / "spark-defaults.conf").is_file():
        texts.append(defaults.read_text(errors="replace"))
    files = folder.glob("log4j2*") if folder else []
    return any("log4j" in text for text in texts) or any(file.suffix != ".template" for file in files)

"""What a new Spark session has that no user has set."""

from __future__ import annotations

import os
import sys
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
        _log_quietly()
        return ours.config("spark.ui.showConsoleProgress", "false")
    SparkContext._ensure_initialized()
    # without --name it is the script's; one that a user gave, a builder's would override
    unnamed = SparkConf().get("spark.app.name") == os.path.basename(sys.argv[0])
    return ours if unnamed else SparkSession.builder


def _log_quietly() -> None:
    """Have the Java that is about to start log warnings and errors alone, where the user has no logging configuration;
    what conf/submit.py does for spark-submit.
    """
    options = os.environ.get("SPARK_SUBMIT_OPTS", "")
    folder = Path(os.environ.get("SPARK_CONF_DIR") or Path(os.environ.get("SPARK_HOME", ""), "conf"))
    if "log4j" in options or any(path.suffix != ".template" for path in folder.glob("log4j2*")):
        return
    quiet = f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties').as_uri()}"
    os.environ["SPARK_SUBMIT_OPTS"] = f"{options} {quiet}".strip()

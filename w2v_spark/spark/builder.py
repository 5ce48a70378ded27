"""What a new Spark session has that no user has set."""

from __future__ import annotations

import os
import sys

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

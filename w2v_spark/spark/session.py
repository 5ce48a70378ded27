"""The Spark session: making one, settings that a job needs for a while, paths as Spark resolves them, job
descriptions, and Spark's errors
turned into sentences.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from w2v_spark import errors
from w2v_spark.errors import InputError, W2VError

# rows of the model are 1 MB blocks: what Spark reads, sends and writes in one go must be counted in few of them
_BLOCK_SETTINGS = {
    "spark.sql.execution.arrow.maxRecordsPerBatch": "8",
    "spark.sql.parquet.columnarReaderBatchSize": "8",
    "spark.sql.maxConcurrentOutputFileWriters": "3",
    "spark.sql.files.maxRecordsPerFile": "0",
    "spark.sql.files.maxPartitionBytes": str(64 << 20),
}
_TEXT_SETTINGS = {
    "spark.sql.execution.arrow.maxRecordsPerBatch": "20000",
    "spark.sql.files.maxRecordsPerFile": "0",
}


def get_session() -> SparkSession:
    """The session that spark-submit or a notebook has, else a new one on this machine."""
    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        # no spark-submit in front, so Spark starts here, and its workers need this Python's packages
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    return SparkSession.builder.appName("w2v_spark").config("spark.ui.showConsoleProgress", "false").getOrCreate()


@contextmanager
def own_session() -> Iterator[SparkSession]:
    """The session that is there, or a new one that ends with the block."""
    ours = SparkSession.getActiveSession() is None
    session = get_session()
    try:
        yield session
    finally:
        if ours:
            session.stop()


def is_local(spark: SparkSession) -> bool:
    """Whether tasks run in the driver's own process tree (local[N])."""
    return str(spark.sparkContext.master).startswith("local[") or spark.sparkContext.master == "local"


@contextmanager
def text_settings(spark: SparkSession) -> Iterator[None]:
    """SQL settings for stages whose rows are lines or words."""
    extra = (
        {} if not is_local(spark) else {"spark.sql.shuffle.partitions": str(2 * spark.sparkContext.defaultParallelism)}
    )
    with _settings(spark, _TEXT_SETTINGS | extra):
        yield


@contextmanager
def block_settings(spark: SparkSession) -> Iterator[None]:
    """SQL settings for stages whose rows are blocks of the model."""
    with _settings(spark, _BLOCK_SETTINGS):
        yield


@contextmanager
def _settings(spark: SparkSession, values: dict[str, str]) -> Iterator[None]:
    """Set for the block, then put back: the session may be a user's own."""
    before = {name: spark.conf.get(name, None) for name in values}
    for name, value in values.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, old in before.items():
            spark.conf.unset(name) if old is None else spark.conf.set(name, old)


def qualify(spark: SparkSession, path: str | os.PathLike[str]) -> str:
    """The path as a URI, resolved against Spark's default file system and, where that is local, the working
    directory.
    """
    text = os.fspath(path)
    jvm: Any = spark.sparkContext._jvm
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    try:
        hadoop_path = jvm.org.apache.hadoop.fs.Path(
            text if text.startswith("/") or ":/" in text else _from_working_directory(hadoop, text)
        )
        return str(hadoop_path.getFileSystem(hadoop).makeQualified(hadoop_path).toString())
    except Py4JJavaError as e:
        raise InputError(f"cannot open {text}: {_first_line(e.java_exception.getMessage())}") from e


def _from_working_directory(hadoop: object, path: str) -> str:
    default = str(hadoop.get("fs.defaultFS", "file:///"))  # type: ignore[attr-defined]
    return os.path.abspath(path) if default.startswith("file:") else path


@contextmanager
def described(spark: SparkSession, text: str) -> Iterator[None]:
    """Jobs started in the block carry this description in the Spark UI."""
    spark.sparkContext.setJobDescription(f"w2v_spark: {text}")
    try:
        yield
    finally:
        spark.sparkContext.setJobDescription(None)  # type: ignore[arg-type]


_OURS = re.compile(r"w2v_spark\.errors\.(\w+): (.+)")


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turns an error of ours that a task raised, and Spark's own about the input, back into one sentence."""
    try:
        yield
    except (PySparkException, Py4JJavaError) as e:
        text = str(e)
        ours = _OURS.search(text)
        if ours and hasattr(errors, ours[1]):
            kind = getattr(errors, ours[1])
            raise (kind(ours[2]) if not issubclass(kind, errors.MissingExtraError) else W2VError(ours[2])) from e
        condition = e.getCondition() if isinstance(e, PySparkException) else None
        if condition is not None and condition in _INPUT_CONDITIONS:
            raise InputError(f"Spark cannot read the input: {_first_line(text)}") from e
        raise


_INPUT_CONDITIONS = frozenset(
    {
        "PATH_NOT_FOUND",
        "TABLE_OR_VIEW_NOT_FOUND",
        "PARSE_SYNTAX_ERROR",
        "UNABLE_TO_INFER_SCHEMA",
        "FAILED_READ_FILE.NO_HINT",
        "UNRESOLVED_COLUMN.WITH_SUGGESTION",
    }
)


def _first_line(text: str | None) -> str:
    return (text or "unknown reason").strip().splitlines()[0]

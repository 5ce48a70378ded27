"""Where a fit works: a directory for its rounds, and a session whose settings no other fit changes."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from w2v_spark.errors import DivergenceError, ParamError
from w2v_spark.place import Place
from w2v_spark.spark.session import is_local, qualify


@contextmanager
def fresh_directory(spark: SparkSession, work_dir: str | None) -> Iterator[str]:
    """The URI of a new directory below `work_dir`, else the checkpoint directory, else with a local master one that
    goes when Python ends. What a block that fails has left there is removed, unless training diverged.
    """
    base = work_dir or spark.sparkContext.getCheckpointDir()
    if base is None:
        if not is_local(spark):
            raise ParamError(
                "Word2Vec needs a directory that driver and executors share (hdfs://, s3a://, a network mount): set "
                "workDir, or a checkpoint directory by spark.checkpoint.dir or spark.sparkContext.setCheckpointDir"
            )
        base = tempfile.mkdtemp(prefix="w2v_spark-")
        atexit.register(shutil.rmtree, base, ignore_errors=True)
    directory = qualify(spark, f"{base.rstrip('/')}/word2vec-{uuid.uuid4().hex[:12]}")
    try:
        yield directory
    except DivergenceError:  # it names the last good model, which is there
        raise
    except BaseException:
        Place.open(directory).delete()
        raise


@contextmanager
def session_of_its_own(spark: SparkSession) -> Iterator[SparkSession]:
    """A session with the same settings in the same application. Training changes settings for a while, and fits in
    threads at once would take each other's for the user's.
    """
    session = spark.newSession()
    for name, value in spark.conf.getAll.items():
        # others that begin so belong to the application, and cannot be set
        if session.conf.get(name, None) != value and (spark.conf.isModifiable(name) or not name.startswith("spark.")):
            session.conf.set(name, value)
    try:
        yield session
    finally:
        # createDataFrame makes its session the thread's active one
        jvm: Any = spark._jvm
        jvm.org.apache.spark.sql.classic.SparkSession.setActiveSession(spark._jsparkSession)
        SparkSession._activeSession = spark


def in_session(frame: DataFrame, session: SparkSession) -> DataFrame:
    """The same rows, computed with the settings of another session of the application."""
    jvm: Any = session._jvm
    plan = frame._jdf.queryExecution().analyzed()
    return DataFrame(jvm.org.apache.spark.sql.classic.Dataset.ofRows(session._jsparkSession, plan), session)

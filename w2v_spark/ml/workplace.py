"""Where a fit works: a directory for its rounds."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession

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

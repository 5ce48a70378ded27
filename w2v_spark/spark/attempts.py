"""Doing a step of a run once more where a lost executor, worker or disk made it fail."""

from __future__ import annotations

import itertools
import logging
import re
import time
from collections.abc import Callable
from typing import TypeVar

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.errors.exceptions.captured import CapturedException
from pyspark.sql import SparkSession

from w2v_spark.errors import ExchangeError, StorageError, W2VError
from w2v_spark.spark.failures import job_failure

log = logging.getLogger(__name__)

# a name node that fails over, or a network, is back within a minute
STORAGE_SECONDS = (2, 10, 30)
MOST_REDONE = len(STORAGE_SECONDS)
_Result = TypeVar("_Result")


def redo(spark: SparkSession, what: str, step: Callable[[int], _Result]) -> _Result:
    """What `step(attempt)` gives, attempts counted from 1. A Spark job that aborted is tried MOST_REDONE times more:
    Spark itself gives up a round when an executor is lost while its replicas' changes are merged, and in local mode any
    job whose worker dies. So is, after a while, what the storage did not give, and a round whose replicas lost one of
    theirs. An error that would come again is not: ours, or one of Python code in a worker.
    """
    for attempt in itertools.count(1):
        try:
            return step(attempt)
        except (PySparkException, Py4JJavaError, ExchangeError, StorageError) as e:
            reason = job_failure(e)
            if comes_again(e) or _has_stopped(spark):
                raise W2VError(f"{what} failed: {reason}") from e
            if attempt > MOST_REDONE:
                raise W2VError(
                    f"{what} failed {attempt} times, the last time with: {reason}; what was done before is kept, and "
                    "the same command goes on from there"
                ) from e
            log.warning("%s failed: %s; once more (%d of %d)", what, reason, attempt, MOST_REDONE)
            if isinstance(e, StorageError):
                time.sleep(STORAGE_SECONDS[attempt - 1])
    raise AssertionError("unreachable")


def comes_again(error: PySparkException | Py4JJavaError | ExchangeError | StorageError) -> bool:
    """Whether Python code here or in a worker, or Spark's analysis of a query, raised it."""
    if isinstance(error, (ExchangeError, StorageError)):
        return False
    if isinstance(error, AnalysisException) or not isinstance(error, (CapturedException, Py4JJavaError)):
        return True
    return bool(re.search(r"^Traceback \(most recent call last\)", str(error), re.M))


def _has_stopped(spark: SparkSession) -> bool:
    try:
        return bool(spark.sparkContext._jsc.sc().isStopped())
    except (Py4JError, OSError, AttributeError):
        return True

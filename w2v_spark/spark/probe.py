"""Whether the executors can open the output and have the packages that training needs, asked before anything long
begins.
"""

from __future__ import annotations

import logging
import socket
import time
import uuid
from typing import Any

from pyspark.sql import SparkSession

from w2v_spark import store
from w2v_spark.errors import OutputError, W2VError, one_line
from w2v_spark.place import Place
from w2v_spark.spark.cluster import cores_of_a_task, promised, registered, wait_for_executors
from w2v_spark.spark.failures import LOST, task_failure, worker_problem
from w2v_spark.spark.session import described, is_local
from w2v_spark.spark.tasks import ask, this_task

log = logging.getLogger(__name__)

_PROBES = 3
_STATUS_SECONDS = 5


def probe(spark: SparkSession, output: Place) -> int:
    """Executors open the output and load what training needs before anything long begins; what one cannot do comes
    back as a W2VError. How many executors there are, 0 in local mode.

    Asked are all executors that the configuration promises, once they have registered, or those that have within
    spark.scheduler.maxRegisteredResourcesWaitingTime (30 s). A standalone master promises no number without
    spark.cores.max: there it is all that come until none has come for some seconds. One whose cores other jobs keep
    busy is named in a warning and not asked. Nothing is said of executors that come later: with dynamic allocation, in
    place of a lost one, or too late. In local mode the driver has opened the output already.
    """
    if is_local(spark):
        return 0
    wait_for_executors(spark, *promised(spark))
    work, name = output.child(store.WORK), f".probe.{uuid.uuid4().hex}"
    work.write_json(name, {})
    asked, most = set[str](), 0
    try:
        for i in range(_PROBES):
            time.sleep(min(i, 1))
            # one that answered before may be busy by now
            asked |= _look_everywhere(spark, output.uri, name)
            there = registered(spark)
            left, most = [executor for executor in there if executor.id not in asked], max(most, len(there))
            if not left:
                break
    finally:
        work.delete(name)
    if left:
        log.warning(
            "busy with other jobs, so not asked whether they open the output: %s",
            ", ".join(f"executor {executor.id} ({executor.address})" for executor in left),
        )
    # one that is gone is replaced by another, which is no more
    return most


def _look_everywhere(spark: SparkSession, where: str, name: str) -> set[str]:
    """Open the output on every free core; the executors that did it. What one cannot do is raised."""

    def look() -> dict[str, Any]:
        from w2v_spark.kernels import cpu_sgns  # noqa: F401  # needs packages that a worker may lack

        problem = _output_problem(where, name)
        return {"host": socket.gethostname(), "problem": problem, "stage": this_task().stageId()}

    cpus = cores_of_a_task(spark)
    # Spark offers all tasks to all executors at once, so with one for each core no free executor is left out
    tasks = max(1, sum(executor.cores // cpus for executor in registered(spark)))
    with described(spark, "look whether executors open the output"):
        rows = ask(spark, tasks, look, "host string, problem string, stage long")
    for row in rows:
        if row.problem:
            raise OutputError(f"the executor on {row.host} cannot open the output {where}: {row.problem}")
    return _succeeded(spark, rows[0].stage, tasks)


def _output_problem(where: str, name: str) -> str:
    """Why this process cannot open the output, or does not see there what the driver wrote; nothing where it does."""
    try:
        if Place.open(where).child(store.WORK).exists(name):
            return ""
    except (W2VError, OSError) as e:
        return one_line(e).removeprefix(f"cannot open {where}: ")
    return (
        "it does not see the files that the driver wrote there; --output must be on storage that driver and executors "
        "share (hdfs://, s3a://, a network mount)"
    )


def _succeeded(spark: SparkSession, stage: int, tasks: int) -> set[str]:
    """The executors where tasks of a stage succeeded. One where a task failed is raised, though a second try elsewhere
    may have saved the job.
    """
    statuses, end = spark.sparkContext._jsc.sc().statusStore(), time.monotonic() + _STATUS_SECONDS
    while True:
        found = statuses.taskList(stage, 0, 8 * tasks)
        tries = [found.apply(i) for i in range(found.size())]
        for task in tries:
            if task.status() == "FAILED":
                _raise_failure(str(task.executorId()), str(task.errorMessage().getOrElse(None)))
        succeeded = [str(task.executorId()) for task in tries if task.status() == "SUCCESS"]
        # Spark notes what tasks did a moment after the job has ended
        if len(succeeded) >= tasks or time.monotonic() >= end:
            return set(succeeded)
        time.sleep(0.1)


def _raise_failure(executor: str, error: str) -> None:
    problem = worker_problem(error)
    if problem is None and LOST.search(error):  # an executor or a worker is gone, and Spark starts another
        return
    raise W2VError(problem or f"executor {executor} cannot run a task: {task_failure(error)}")

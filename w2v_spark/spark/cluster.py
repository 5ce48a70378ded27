"""What the cluster is: executors and cores, whether they can open the output, and how replicas are laid out on them."""

from __future__ import annotations

import logging
import socket
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
from pyspark.resource import ResourceProfile, ResourceProfileBuilder, TaskResourceRequests
from pyspark.sql import SparkSession

from w2v_spark import store
from w2v_spark.errors import OutputError, W2VError
from w2v_spark.params import Params
from w2v_spark.place import Place
from w2v_spark.spark.session import described, is_local, plain_errors
from w2v_spark.training.schedule import auto_rounds_per_epoch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Layout:
    """How a run uses the cluster: executors, cores of each, tasks of a merge, and the profile that gives a replica its
    cores.
    """

    executors: int
    executor_cores: int
    merge_tasks: int
    profile: ResourceProfile | None


def probe(spark: SparkSession, output: Place) -> None:
    """Every executor opens the output before anything long begins; what one cannot do comes back as an OutputError.

    In local mode the driver has done it already.
    """
    if is_local(spark):
        return
    work, where, name = output.child(store.WORK), output.uri, f".probe-{uuid.uuid4().hex}"
    work.write_json(name, {})

    def look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        problem = ""
        for _ in batches:
            pass
        try:
            if not Place.open(where).child(store.WORK).exists(name):
                problem = "it does not see the files that the driver wrote there"
        except (W2VError, OSError) as e:
            problem = str(e)
        yield pa.RecordBatch.from_pydict({"host": [socket.gethostname()], "problem": [problem]})

    tasks = spark.sparkContext.defaultParallelism
    try:
        with described(spark, "look whether executors open the output"), plain_errors():
            rows = (
                spark.range(0, tasks, 1, tasks)
                .mapInArrow(look, "host string, problem string")
                .where("problem != ''")
                .limit(1)
                .collect()
            )
    finally:
        work.delete(name)
    if rows:
        raise OutputError(
            f"the executor on {rows[0]['host']} cannot open the output {where}: {rows[0]['problem']}; "
            "--output must be on storage that driver and executors share (hdfs://, s3a://, a network mount)"
        )


def resolve(spark: SparkSession, params: Params) -> tuple[Params, Layout]:
    """Fill in what is auto, now that the executors are known: replicas, threads of each, rounds in an epoch."""
    executors, cores = _executors(spark)
    replicas = params.num_replicas or executors
    side_by_side = min(-(-replicas // executors), cores)
    threads = params.threads_per_replica or max(1, cores // side_by_side)
    rounds = params.rounds_per_epoch or auto_rounds_per_epoch(replicas)
    resolved = params.replace(num_replicas=replicas, threads_per_replica=threads, rounds_per_epoch=rounds)
    return resolved, Layout(executors, cores, executors * cores, _profile(spark, threads, cores))


def _executors(spark: SparkSession) -> tuple[int, int]:
    """Number of executors and cores of one."""
    context = spark.sparkContext
    total = max(1, context.defaultParallelism)
    if is_local(spark):
        return 1, total
    # the driver's own block manager is counted, too
    executors = max(1, int(context._jsc.sc().getExecutorMemoryStatus().size()) - 1)
    configured = context.getConf().get("spark.executor.cores", None)
    return executors, int(configured) if configured else max(1, total // executors)


def _profile(spark: SparkSession, threads: int, executor_cores: int) -> ResourceProfile | None:
    """Asks Spark for a replica's threads as cores of its task; None where that is so already or Spark cannot."""
    context = spark.sparkContext
    wanted = min(threads, executor_cores)
    have = int(context.getConf().get("spark.task.cpus", "1") or 1)
    if wanted == have or is_local(spark):
        return None
    if (context.getConf().get("spark.dynamicAllocation.enabled", "false") or "").lower() == "true":
        log.warning(
            "with dynamic allocation a replica gets spark.task.cpus cores, now %d: set spark.task.cpus = "
            "spark.executor.cores (%d)",
            have,
            wanted,
        )
        return None
    return ResourceProfileBuilder().require(TaskResourceRequests().cpus(wanted)).build

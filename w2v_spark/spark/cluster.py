"""The executors that a cluster has: those that registered, those that its configuration promises, and their cores."""

from __future__ import annotations

import logging
import re
import sys
import time
from dataclasses import dataclass
from typing import Literal

from pyspark.sql import SparkSession

from w2v_spark.spark.session import is_local, local_cores

log = logging.getLogger(__name__)

# executors of one application start together: when none has come for so long, none is expected
_SETTLED_SECONDS = 3
Unit = Literal["cores", "executors", "executors or more"]
_OR_MORE: Unit = "executors or more"


@dataclass(frozen=True)
class Executor:
    """An executor that has registered; `since`: when, in seconds as time.time() has them."""

    id: str
    address: str
    cores: int
    since: float


def registered(spark: SparkSession) -> list[Executor]:
    """The executors that are there now."""
    found = spark.sparkContext._jsc.sc().statusStore().executorList(True)
    return [
        Executor(str(e.id()), str(e.hostPort()), int(e.totalCores()), e.addTime().getTime() / 1000)
        for e in (found.apply(i) for i in range(found.size()))
        if e.id() != "driver"
    ]


def promised(spark: SparkSession) -> tuple[int, Unit]:
    """What the configuration says will come: a number of executors or cores, or as many executors as come."""
    conf, master = spark.sparkContext.getConf(), str(spark.sparkContext.master)
    if is_dynamic(spark):
        return 0, "executors"  # they come with the tasks
    if master == "yarn" or master.startswith("k8s"):
        return int(conf.get("spark.executor.instances", "2") or 2), "executors"
    most, each = int(conf.get("spark.cores.max", "0") or 0), int(conf.get("spark.executor.cores", "1") or 1)
    if local_cluster := re.match(r"local-cluster\[\s*(\d+)\s*,\s*(\d+)", master):
        workers, cores = int(local_cluster[1]), int(local_cluster[2])
        return min(workers * (cores // each), most // each if most else sys.maxsize) * each, "cores"
    return (most // each * each, "cores") if most else (1, _OR_MORE)


def wait_for_executors(spark: SparkSession, wanted: int, unit: Unit, at_a_time: int = 1) -> None:
    """Wait until so many executors or cores have registered, no longer than Spark itself would; of an executor's cores
    those count that tasks of so many `at_a_time` can have.
    """
    jvm_conf = spark.sparkContext._jsc.sc().conf()
    limit = jvm_conf.getTimeAsSeconds("spark.scheduler.maxRegisteredResourcesWaitingTime", "30s")
    begun, told = time.monotonic(), False
    while True:
        executors, waited = registered(spark), time.monotonic() - begun
        cores = sum(executor.cores // at_a_time * at_a_time for executor in executors)
        have = cores if unit == "cores" else len(executors)
        newest = max((executor.since for executor in executors), default=0.0)
        if have >= wanted and (unit != _OR_MORE or time.time() - newest >= _SETTLED_SECONDS):
            return
        if waited >= limit:
            log.warning("after %d s there are %d of %d %s: going on without the rest", limit, have, wanted, unit)
            return
        if not told and waited >= 1:
            log.info("waiting at most %d s for executors: there are %d of %d %s", limit, have, wanted, unit)
            told = True
        time.sleep(0.2)


def cores_of_each(spark: SparkSession) -> list[int]:
    """Cores of each executor; where none has registered, of the one that the configuration describes."""
    if is_local(spark):
        return [local_cores(spark)]
    configured = int(spark.sparkContext.getConf().get("spark.executor.cores", "1") or 1)
    return [max(1, executor.cores) for executor in registered(spark)] or [configured]


def is_dynamic(spark: SparkSession) -> bool:
    """Whether executors come and go as tasks do; in local mode there are none that could, whatever is set."""
    asked = spark.sparkContext.getConf().get("spark.dynamicAllocation.enabled", "false") or ""
    return asked.lower() == "true" and not is_local(spark)


def most_executors(spark: SparkSession) -> int:
    """How many executors dynamic allocation has at most."""
    most = spark.sparkContext.getConf().get("spark.dynamicAllocation.maxExecutors", "") or ""
    return int(most) if most.isdigit() else sys.maxsize


def cores_of_a_task(spark: SparkSession) -> int:
    """The cores that Spark takes from an executor for a task without a profile of its own."""
    return int(spark.sparkContext.getConf().get("spark.task.cpus", "1") or 1)

"""Whether replicas fit into memory: held against what executors' machines have, and what their containers are to have,
before anything long begins. The kernel of a machine whose memory ends kills what it likes, which tells nobody why.
"""

from __future__ import annotations

import contextlib
import logging
import os
import resource
from collections import Counter
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from w2v_spark.errors import ParamError
from w2v_spark.spark.cluster import registered
from w2v_spark.spark.plan import Plan, counted, size_in_words
from w2v_spark.spark.session import described
from w2v_spark.spark.tasks import ask

log = logging.getLogger(__name__)

_WORKERS = "spark.executor.pyspark.memory"
# of a container: cgroup versions 2 and 1
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def check_memory(spark: SparkSession, plan: Plan) -> None:
    """Refuse a run whose replicas need more than a machine has, and warn of one that a cluster manager may end."""
    conf, together = spark.sparkContext._jsc.sc().conf(), _replicas_of_a_machine(spark, plan)
    if problem := _too_small_a_container(conf, plan):
        log.warning("%s", problem)
    memory = machine_memory(together) if plan.local else _least_memory(spark, together)
    if together * plan.replica_bytes <= memory:
        return
    where, several = "this machine" if plan.local else "the executors' machines", together > 1
    fitting = plan.words_that_fit(memory)
    cures = [
        *([f"--max-vocab {fitting:,} or less"] if fitting > 1 else []),
        "a smaller --vector-size",
        *(["fewer --num-replicas"] if several else []),
        *([f"no {_WORKERS}, of which each worker has one core's share"] if conf.contains(_WORKERS) else []),
        "machines with more memory",
    ]
    replicas = f"{counted(together, 'replica')} of {size_in_words(plan.replica_bytes)}"
    raise ParamError(
        f"{plan.vocabulary:,} words x {plan.params.vector_size} do not fit into the memory of {where}: {replicas} "
        f"{'train' if several else 'trains'} there at a time, and it has {size_in_words(memory)}; give "
        f"{', '.join(cures[:-1])}, or {cures[-1]}"
    )


def _replicas_of_a_machine(spark: SparkSession, plan: Plan) -> int:
    """The most replicas that a machine trains at once, on all executors that it has."""
    hosts = Counter(executor.address.rpartition(":")[0] for executor in registered(spark))
    return min(plan.replicas, plan.side_by_side * max(hosts.values(), default=1))


def _too_small_a_container(conf: Any, plan: Plan) -> str:
    """What is wrong where YARN or Kubernetes gives an executor less beside its heap than it needs, by the configuration
    as Java has it; nothing elsewhere.
    """
    master = str(conf.get("spark.master"))
    if master != "yarn" and not master.startswith("k8s"):
        return ""
    # as Spark works it out; on Kubernetes it tells its drivers by the older name that a job is Python's
    older = 0.1 if master == "yarn" else conf.getDouble("spark.kubernetes.memoryOverheadFactor", 0.1)
    share = conf.getDouble("spark.executor.memoryOverheadFactor", older)
    least = conf.getSizeAsMb("spark.executor.minMemoryOverhead", "384m")
    default = max(least, int(share * conf.getSizeAsMb("spark.executor.memory", "1g")))
    overhead = conf.getSizeAsMb("spark.executor.memoryOverhead", f"{default}m")
    needed = plan.overhead_megabytes - conf.getSizeAsMb(_WORKERS, "0m")
    if overhead >= needed:
        return ""
    return (
        f"spark.executor.memoryOverhead is {overhead}m, and an executor may need {needed}m beside its heap, for Python "
        "and Java: YARN and Kubernetes kill one that takes more than it was given; set "
        f"spark.executor.memoryOverhead={needed}m"
    )


def machine_memory(processes: int) -> int:
    """Bytes that so many processes here may have: the machine's memory, or less where a container or each process is
    limited.
    """
    sizes = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    each, _ = resource.getrlimit(resource.RLIMIT_AS)
    if each != resource.RLIM_INFINITY:
        sizes.append(processes * each)
    for file in _LIMITS:
        with contextlib.suppress(OSError, ValueError):  # not there, or "max"
            sizes.append(int(Path(file).read_text()))
    return min(sizes)


def _least_memory(spark: SparkSession, processes: int) -> int:
    """That of the executor with the least, of those with a free core."""
    tasks = spark.sparkContext.defaultParallelism
    with described(spark, "look how much memory executors have"):
        rows = ask(spark, tasks, lambda: {"bytes": machine_memory(processes)}, "bytes long")
    return min(int(row.bytes) for row in rows)

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
    conf = spark.sparkContext._jsc.sc().conf()
    if problem := _too_small_a_container(conf, plan):
        log.warning("%s", problem)
    if plan.local:
        _check_fit(conf, plan, "this machine", plan.side_by_side, memory_here(plan.side_by_side))
        return
    of_an_executor, of_a_machine = _least_memory(spark, plan.side_by_side)
    _check_fit(conf, plan, "an executor", plan.side_by_side, of_an_executor)
    _check_fit(conf, plan, "an executor's machine", _replicas_of_a_machine(spark, plan), of_a_machine)


def _check_fit(conf: Any, plan: Plan, where: str, together: int, memory: int) -> None:
    """Refuse a run of which so many replicas train together and need more than so many bytes."""
    if together * plan.replica_bytes <= memory:
        return
    several, fitting = together > 1, plan.words_that_fit(memory, together)
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
    rooms = Counter[str]()
    for executor in registered(spark):
        rooms[executor.address.rpartition(":")[0]] += plan.room(executor.cores)
    return min(plan.replicas, max(rooms.values(), default=plan.side_by_side))


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


def machine_memory() -> int:
    """Bytes of this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def memory_here(processes: int) -> int:
    """Bytes that so many processes here may have: the machine's memory, or less where a container, which may be that of
    one executor, or each process is limited.
    """
    sizes = [machine_memory()]
    each, _ = resource.getrlimit(resource.RLIMIT_AS)
    if each != resource.RLIM_INFINITY:
        sizes.append(processes * each)
    for file in _LIMITS:
        with contextlib.suppress(OSError, ValueError):  # not there, or "max"
            sizes.append(int(Path(file).read_text()))
    return min(sizes)


def _least_memory(spark: SparkSession, processes: int) -> tuple[int, int]:
    """What so many processes of one executor may have, and what its machine has: the least of both, of the executors
    with a free core.
    """
    tasks = spark.sparkContext.defaultParallelism
    with described(spark, "look how much memory executors have"):
        rows = ask(spark, tasks, lambda: {"own": memory_here(processes), "all": machine_memory()}, "own long, all long")
    return min(int(row.own) for row in rows), min(int(row["all"]) for row in rows)

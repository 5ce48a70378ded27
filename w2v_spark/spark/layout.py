"""How replicas are laid out on a cluster: how many, on which device, with how many threads, and how they merge."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from pyspark.resource import ResourceProfile, ResourceProfileBuilder, TaskResourceRequests
from pyspark.sql import SparkSession

from w2v_spark.errors import ParamError
from w2v_spark.params import Params
from w2v_spark.spark.cluster import cores_of_a_task, cores_of_each, is_dynamic, most_executors, wait_for_executors
from w2v_spark.spark.devices import choose_gpus, gpu_profile, gpus_of_an_executor
from w2v_spark.spark.session import is_local
from w2v_spark.training.schedule import auto_rounds_per_epoch, merges_in_a_round

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Layout:
    """How a run uses the cluster: executors, cores of the largest, tasks of a merge (fixed when the run begins, as each
    writes a part of every model), GPUs of an executor that train (0: its CPU does), the profile that gives a replica
    its cores or its GPU, the cores that Spark takes for it, and how often replicas merge in a round.
    """

    executors: int
    cores: int
    merge_tasks: int
    gpus: int
    profile: ResourceProfile | None
    task_cores: int
    merges_in_a_round: int


def resolve(spark: SparkSession, params: Params, words: int, expected: int = 0) -> tuple[Params, Layout]:
    """Fill in what is auto, now that the executors and the corpus' `words` are known: device, replicas, threads of
    each, rounds in an epoch. One of the `expected` executors that was lost is waited for, as Spark starts another.
    """
    if expected and not is_dynamic(spark):
        wait_for_executors(spark, expected, "executors")
    if params.exchange == "direct" and params.num_replicas:
        _wait_for_room(spark, params, params.num_replicas)
    all_cores = cores_of_each(spark)
    # a replica may come to any executor, so none asks for more than the smallest has
    executors, cores = len(all_cores), min(all_cores)
    gpus = choose_gpus(spark, params, executors, cores)
    replicas = params.num_replicas or executors * max(1, gpus)
    if not params.num_replicas and is_dynamic(spark):
        log.warning(
            "with dynamic allocation num_replicas=auto follows the executors that are there now, and is %d to the end "
            "of this run: give --num-replicas, or set spark.dynamicAllocation.enabled=false",
            replicas,
        )
    threads, profile = _threads(spark, params, -(-replicas // executors), cores, gpus)
    task_cores = int(profile.taskResources["cpus"].amount) if profile else cores_of_a_task(spark)
    room = [n // task_cores for n in all_cores]
    slots = sum(min(n, gpus) if gpus else n for n in room)
    exchange = _exchange(spark, params, replicas, slots)
    rounds = params.rounds_per_epoch or auto_rounds_per_epoch(replicas, words, params.merge_rule, exchange)
    resolved = params.replace(
        device="cuda" if gpus else "cpu",
        num_replicas=replicas,
        threads_per_replica=threads,
        rounds_per_epoch=rounds,
        exchange=exchange,
    )
    merges = merges_in_a_round(replicas, words, params.merge_rule, rounds) if exchange == "direct" else 1
    merge_tasks = sum(all_cores)
    if is_dynamic(spark):  # executors that are still to come merge as well
        merge_tasks = max(merge_tasks, min(replicas * task_cores, most_executors(spark) * max(all_cores)))
    return resolved, Layout(executors, max(all_cores), merge_tasks, gpus, profile, task_cores, merges)


def _wait_for_room(spark: SparkSession, params: Params, replicas: int) -> None:
    """Wait for what replicas that merge directly train on at once, as a run that goes on had it when it began."""
    if is_local(spark) or is_dynamic(spark):
        return
    if params.device == "cuda":
        wait_for_executors(spark, -(-replicas // max(1, gpus_of_an_executor(spark))), "executors")
    else:
        threads = min(params.threads, *cores_of_each(spark))
        wait_for_executors(spark, replicas * threads, "cores", at_a_time=threads)


def _threads(
    spark: SparkSession, params: Params, side_by_side: int, cores: int, gpus: int
) -> tuple[int, ResourceProfile | None]:
    """The threads of a replica, `side_by_side` of which share an executor's cores, and the profile that asks Spark for
    them.
    """
    if gpus:
        # one thread feeds the GPU
        return 1, gpu_profile(spark, cores // gpus)
    if is_dynamic(spark):
        return _threads_of_a_task(spark, params.threads_per_replica, cores), None
    threads = params.threads_per_replica or max(1, cores // min(side_by_side, cores))
    return threads, _profile(spark, threads, cores)


def _threads_of_a_task(spark: SparkSession, wanted: int | None, cores: int) -> int:
    """The threads of a replica where Spark can give it no more cores than any task: executors come and go, so their
    number now says nothing of how many replicas one will have.
    """
    have, best = cores_of_a_task(spark), min(wanted or cores, cores)
    if have != best:
        what = "its threads" if best == wanted else "spark.executor.cores"
        told = "with dynamic allocation a replica gets spark.task.cpus cores, now %d: set spark.task.cpus = %s (%d)"
        log.warning(told, have, what, best)
    return wanted or min(have, cores)


def _profile(spark: SparkSession, threads: int, executor_cores: int) -> ResourceProfile | None:
    """Asks Spark for a replica's threads as cores of its task; None where that is so already or Spark cannot."""
    wanted, have = min(threads, executor_cores), cores_of_a_task(spark)
    if wanted == have or is_local(spark):
        return None
    return ResourceProfileBuilder().require(TaskResourceRequests().cpus(wanted)).build


def _exchange(spark: SparkSession, params: Params, replicas: int, slots: int) -> str:
    """How replicas merge. What keeps exchange=direct from it is a ParamError, what keeps auto from it is logged."""
    if replicas == 1 or params.exchange == "storage":
        return "storage"
    if is_dynamic(spark):
        problem = "with dynamic allocation Spark does not start them so: set spark.dynamicAllocation.enabled=false"
    elif replicas > slots:
        problem = f"the executors have room for {slots}: lower --num-replicas, or give more executors or cores"
    else:
        return "direct"
    if params.exchange == "direct":
        raise ParamError(
            f"exchange=direct needs all {replicas} replicas to run at once; {problem}; a run that began so goes on "
            f"with room for {replicas} as before, or begins anew with --overwrite"
        )
    log.info("replicas merge through storage: merging directly needs all %d to run at once; %s", replicas, problem)
    return "storage"

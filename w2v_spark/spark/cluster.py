"""What the cluster is: executors and cores, whether they can open the output, and how replicas are laid out on them."""

from __future__ import annotations

import logging
import re
import socket
import sys
import time
import uuid
from dataclasses import dataclass
from typing import Any

from pyspark.resource import ResourceProfile, ResourceProfileBuilder, TaskResourceRequests
from pyspark.sql import SparkSession

from w2v_spark import store
from w2v_spark.errors import OutputError, ParamError, W2VError, one_line
from w2v_spark.params import Params
from w2v_spark.place import Place
from w2v_spark.spark.devices import choose_gpus, gpu_profile, gpus_of_an_executor
from w2v_spark.spark.failures import task_failure, worker_problem
from w2v_spark.spark.session import described, is_local, local_cores
from w2v_spark.spark.tasks import ask, this_task
from w2v_spark.training.schedule import auto_rounds_per_epoch, merges_in_a_round

log = logging.getLogger(__name__)

_PROBES = 3
# executors of one application start together: when none has come for so long, none is expected
_SETTLED_SECONDS = 3
_OR_MORE = "executors or more"
_STATUS_SECONDS = 5


@dataclass(frozen=True)
class Layout:
    """How a run uses the cluster: executors, cores of the largest, tasks of a merge (those of the run's begin, as each
    writes a part of the model), GPUs of an executor that train (0: its CPU does), the profile that gives a replica its
    cores or its GPU, and how often replicas merge in a round.
    """

    executors: int
    cores: int
    merge_tasks: int
    gpus: int
    profile: ResourceProfile | None
    merges_in_a_round: int


@dataclass(frozen=True)
class Executor:
    """An executor that has registered; `since`: when, in seconds as time.time() has them."""

    id: str
    address: str
    cores: int
    since: float


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
    _wait_for_executors(spark, *_promised(spark))
    work, name = output.child(store.WORK), f".probe.{uuid.uuid4().hex}"
    work.write_json(name, {})
    asked = set[str]()
    try:
        for i in range(_PROBES):
            time.sleep(min(i, 1))
            # one that answered before may be busy by now
            asked |= _look_everywhere(spark, output.uri, name)
            left = [executor for executor in _registered(spark) if executor.id not in asked]
            if not left:
                break
    finally:
        work.delete(name)
    if left:
        log.warning(
            "busy with other jobs, so not asked whether they open the output: %s",
            ", ".join(f"executor {executor.id} ({executor.address})" for executor in left),
        )
    return len(asked) + len(left)


def _look_everywhere(spark: SparkSession, where: str, name: str) -> set[str]:
    """Open the output on every free core; the executors that did it. What one cannot do is raised."""

    def look() -> dict[str, Any]:
        from w2v_spark.kernels import cpu_sgns  # noqa: F401  # needs packages that a worker may lack

        problem = _output_problem(where, name)
        return {"host": socket.gethostname(), "problem": problem, "stage": this_task().stageId()}

    cpus = int(spark.sparkContext.getConf().get("spark.task.cpus", "1") or 1)
    # Spark offers all tasks to all executors at once, so with one for each core no free executor is left out
    tasks = max(1, sum(executor.cores // cpus for executor in _registered(spark)))
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
    if error.startswith("ExecutorLostFailure"):  # it is gone, and Spark starts another
        return
    raise W2VError(worker_problem(error) or f"executor {executor} cannot run a task: {task_failure(error)}")


def _registered(spark: SparkSession) -> list[Executor]:
    """The executors that are there now."""
    found = spark.sparkContext._jsc.sc().statusStore().executorList(True)
    return [
        Executor(str(e.id()), str(e.hostPort()), int(e.totalCores()), e.addTime().getTime() / 1000)
        for e in (found.apply(i) for i in range(found.size()))
        if e.id() != "driver"
    ]


def _wait_for_executors(spark: SparkSession, wanted: int, unit: str) -> None:
    """Wait until so many executors or cores have registered, no longer than Spark itself would."""
    jvm_conf = spark.sparkContext._jsc.sc().conf()
    limit = jvm_conf.getTimeAsSeconds("spark.scheduler.maxRegisteredResourcesWaitingTime", "30s")
    begun, told = time.monotonic(), False
    while True:
        executors, waited = _registered(spark), time.monotonic() - begun
        have = sum(executor.cores for executor in executors) if unit == "cores" else len(executors)
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


def _promised(spark: SparkSession) -> tuple[int, str]:
    """What the configuration says will come: a number of executors or cores."""
    conf, master = spark.sparkContext.getConf(), str(spark.sparkContext.master)
    if _is_dynamic(spark):
        return 0, "executors"  # they come with the tasks
    if master == "yarn" or master.startswith("k8s"):
        return int(conf.get("spark.executor.instances", "2") or 2), "executors"
    most, each = int(conf.get("spark.cores.max", "0") or 0), int(conf.get("spark.executor.cores", "1") or 1)
    if local_cluster := re.match(r"local-cluster\[\s*(\d+)\s*,\s*(\d+)", master):
        workers, cores = int(local_cluster[1]), int(local_cluster[2])
        return min(workers * (cores // each), most // each if most else sys.maxsize) * each, "cores"
    return (most // each * each, "cores") if most else (1, _OR_MORE)


def resolve(spark: SparkSession, params: Params, words: int, expected: int = 0) -> tuple[Params, Layout]:
    """Fill in what is auto, now that the executors and the corpus' `words` are known: device, replicas, threads of
    each, rounds in an epoch. One of the `expected` executors that was lost is waited for, as Spark starts another.
    """
    if expected and not _is_dynamic(spark):
        _wait_for_executors(spark, expected, "executors")
    if params.exchange == "direct" and params.num_replicas:
        _wait_for_room(spark, params, params.num_replicas)
    all_cores = _cores(spark)
    # a replica may come to any executor, so none asks for more than the smallest has
    executors, cores = len(all_cores), min(all_cores)
    gpus = choose_gpus(spark, params, executors, cores)
    replicas = params.num_replicas or executors * max(1, gpus)
    if not params.num_replicas and _is_dynamic(spark):
        log.warning(
            "with dynamic allocation num_replicas=auto follows the executors that are there now, and is %d to the end "
            "of this run: give --num-replicas, or set spark.dynamicAllocation.enabled=false",
            replicas,
        )
    if gpus:
        # one thread feeds the GPU
        threads, profile = 1, gpu_profile(spark, cores // gpus)
    else:
        side_by_side = min(-(-replicas // executors), cores)
        threads = params.threads_per_replica or max(1, cores // side_by_side)
        profile = _profile(spark, threads, cores)
    cores_of_a_task = _cores_of_a_task(spark, profile)
    room = [n // cores_of_a_task for n in all_cores]
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
    return resolved, Layout(executors, max(all_cores), sum(all_cores), gpus, profile, merges)


def _wait_for_room(spark: SparkSession, params: Params, replicas: int) -> None:
    """Wait for what replicas that merge directly train on at once, as a run that goes on had it when it began."""
    if is_local(spark) or _is_dynamic(spark):
        return
    if params.device == "cuda":
        _wait_for_executors(spark, -(-replicas // max(1, gpus_of_an_executor(spark))), "executors")
    else:
        _wait_for_executors(spark, replicas * min(params.threads_per_replica or 1, *_cores(spark)), "cores")


def _exchange(spark: SparkSession, params: Params, replicas: int, slots: int) -> str:
    """How replicas merge. What keeps exchange=direct from it is a ParamError, what keeps auto from it is logged."""
    if replicas == 1 or params.exchange == "storage":
        return "storage"
    if _is_dynamic(spark):
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


def _cores_of_a_task(spark: SparkSession, profile: ResourceProfile | None) -> int:
    """The cores that Spark takes from an executor for a replica."""
    if profile:
        return int(profile.taskResources["cpus"].amount)
    return int(spark.sparkContext.getConf().get("spark.task.cpus", "1") or 1)


def _cores(spark: SparkSession) -> list[int]:
    """Cores of each executor; where none has registered, of the one that the configuration describes."""
    if is_local(spark):
        return [local_cores(spark)]
    configured = int(spark.sparkContext.getConf().get("spark.executor.cores", "1") or 1)
    return [max(1, executor.cores) for executor in _registered(spark)] or [configured]


def _profile(spark: SparkSession, threads: int, executor_cores: int) -> ResourceProfile | None:
    """Asks Spark for a replica's threads as cores of its task; None where that is so already or Spark cannot."""
    context = spark.sparkContext
    wanted = min(threads, executor_cores)
    have = int(context.getConf().get("spark.task.cpus", "1") or 1)
    if wanted == have or is_local(spark):
        return None
    if _is_dynamic(spark):
        log.warning(
            "with dynamic allocation a replica gets spark.task.cpus cores, now %d: set spark.task.cpus = "
            "spark.executor.cores (%d)",
            have,
            wanted,
        )
        return None
    return ResourceProfileBuilder().require(TaskResourceRequests().cpus(wanted)).build


def _is_dynamic(spark: SparkSession) -> bool:
    """Whether executors come and go as tasks do."""
    return (spark.sparkContext.getConf().get("spark.dynamicAllocation.enabled", "false") or "").lower() == "true"

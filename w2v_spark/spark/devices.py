"""Which device trains a replica: what Spark's configuration promises, what tasks find, and which GPU a task owns.

The driver never touches CUDA: tasks look.
"""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import dataclass
from typing import Any

from pyspark.resource import ResourceProfile, ResourceProfileBuilder, TaskResourceRequests
from pyspark.sql import SparkSession

from w2v_spark.errors import DeviceError, ParamError, W2VError
from w2v_spark.params import Params
from w2v_spark.spark.attempts import redo
from w2v_spark.spark.session import described, is_local
from w2v_spark.spark.tasks import ask, this_task

log = logging.getLogger(__name__)

_AMOUNT = "spark.executor.resource.gpu.amount"
# what NVIDIA's driver puts there, on Linux and in Windows' subsystem for it; to look costs no Spark job
_DRIVER_FILES = ("/dev/nvidiactl", "/dev/dxg")


@dataclass(frozen=True)
class Look:
    """What a task found of the GPUs that it may use: their number and the name of its own, or the problem."""

    host: str
    number: int
    gpus: int
    name: str
    problem: str


def gpus_of_an_executor(spark: SparkSession) -> int:
    """As many as the configuration gives to each."""
    return int(spark.sparkContext.getConf().get(_AMOUNT, "0") or 0)


def choose_gpus(spark: SparkSession, params: Params, executors: int, cores: int) -> int:
    """How many GPUs of each executor train replicas, 0 for the CPU. What device=cuda lacks is a DeviceError, what auto
    lacks is logged.
    """
    if params.device == "cpu":
        return 0
    if params.loss == "softmax":
        if params.device == "cuda":
            from w2v_spark.kernels.cuda_plan import NO_SOFTMAX

            raise ParamError(NO_SOFTMAX)
        return 0
    if params.device == "auto" and is_local(spark) and not any(map(os.path.exists, _DRIVER_FILES)):
        log.info("replicas train on the CPU (device=auto): this machine has no NVIDIA driver")
        return 0
    gpus = 1 if is_local(spark) else gpus_of_an_executor(spark)
    if gpus:
        tasks, profile = executors * gpus, gpu_profile(spark, cores // gpus)
        looks = redo(spark, "looking for GPUs", lambda _: look_at_gpus(spark, tasks, profile))
        problem = next((f"on {look.host}, {look.problem}" for look in looks if look.problem), "")
        if is_local(spark):
            gpus = looks[0].gpus
    else:
        problem = (
            "Spark gives its executors none: submit with --load-spark-defaults --properties-file "
            f"conf/gpu-cluster.conf, or set {_AMOUNT}"
        )
    if problem and params.device == "cuda":
        raise DeviceError(f"device=cuda needs a GPU: {problem}")
    if problem:
        log.info("replicas train on the CPU (device=auto): %s", problem)
        return 0
    log.info("replicas train on GPUs: %s", ", ".join(sorted({f"{look.name} of {look.host}" for look in looks})))
    return gpus


def look_at_gpus(spark: SparkSession, tasks: int, profile: ResourceProfile | None) -> list[Look]:
    """What so many tasks find, each on the GPU that a training task in its place would own."""

    def look() -> dict[str, Any]:
        number, gpus, name, problem = 0, 0, "", ""
        try:
            from w2v_spark.kernels.cuda_device import count_devices, open_card

            number = own_gpu(1)
            gpus = count_devices()
            name = open_card(number).name
        except W2VError as e:
            problem = str(e)
        return {"host": socket.gethostname(), "number": number, "gpus": gpus, "name": name, "problem": problem}

    columns = "host string, number long, gpus long, name string, problem string"
    with described(spark, "look for GPUs"):
        rows = ask(spark, tasks, look, columns, profile)
    return [Look(**row.asDict()) for row in rows]


def gpu_profile(spark: SparkSession, cores: int) -> ResourceProfile | None:
    """Asks Spark for a GPU and its share of the executor's cores for each task; None in local mode, which has no
    profiles, and where the configuration asks for a GPU already.
    """
    conf = spark.sparkContext.getConf()
    if is_local(spark) or float(conf.get("spark.task.resource.gpu.amount", "0") or 0) > 0:
        return None
    return ResourceProfileBuilder().require(TaskResourceRequests().cpus(max(1, cores)).resource("gpu", 1)).build


def own_gpu(gpus: int) -> int:
    """The number of the GPU that this task owns: the one that Spark gave it; in local mode, where Spark gives none, the
    `gpus` are dealt out by partition.
    """
    context = this_task()
    given = context.resources().get("gpu")
    if given is None:
        return context.partitionId() % gpus
    if not given.addresses[0].isdecimal():
        raise DeviceError(
            f"Spark gave the GPU address {given.addresses[0]!r}: must be the number that CUDA gives it, as "
            "conf/gpu-discovery.sh prints it"
        )
    return int(given.addresses[0])

"""Models that do not fit into memory are refused before anything long begins."""

from __future__ import annotations

import resource
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import w2v_spark
from w2v_spark.errors import ParamError
from w2v_spark.params import Params
from w2v_spark.spark import memory
from w2v_spark.spark.cluster import Executor
from w2v_spark.spark.plan import Plan

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

GB = 1 << 30


def test_what_does_not_fit_is_refused_before_encoding(
    spark: SparkSession, small_text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "memory_here", lambda processes: 700 << 20)
    with pytest.raises(ParamError) as error:
        w2v_spark.train(small_text, tmp_path / "out", min_count=2, num_replicas=2, threads_per_replica=1)
    assert str(error.value) == (
        "120 words x 100 do not fit into the memory of this machine: 2 replicas of 600 MB train there at a time, and "
        "it has 700 MB; give a smaller --vector-size, fewer --num-replicas, or machines with more memory"
    )
    assert not list((tmp_path / "out" / "work").glob("*/corpus"))


def test_fifty_million_words(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "memory_here", lambda processes: 64 * GB)
    plan = Plan(Params(vector_size=300, num_replicas=1), 50_000_000, 10**11, executors=1, cores=2, local=True)
    with pytest.raises(ParamError) as error:
        memory.check_memory(spark, plan)
    assert str(error.value) == (
        "50,000,000 words x 300 do not fit into the memory of this machine: 1 replica of 115 GB trains there at a "
        "time, and it has 64 GB; give --max-vocab 27,650,142 or less, a smaller --vector-size, or machines with "
        "more memory"
    )
    fitting = Plan(plan.params, plan.words_that_fit(64 * GB, 1), plan.words, executors=1, cores=2, local=True)
    memory.check_memory(spark, fitting)
    assert fitting.replica_bytes <= 64 * GB < fitting.replica_bytes + 10_000


def test_executors_with_a_gpu_train_one_replica_each(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_least_memory", lambda spark, processes: (64 * GB, 64 * GB))
    params = Params(vector_size=300, num_replicas=8, threads_per_replica=1, device="cuda", exchange="direct")
    plan = Plan(params, 20_000_000, 10**11, executors=8, cores=16, local=False)
    memory.check_memory(spark, plan)
    # where every core trained one, they would not fit
    with pytest.raises(ParamError, match=r"8 replicas of \d+ GB train there at a time, and it has 64 GB"):
        memory.check_memory(spark, replace(plan, gpus=8))


def test_executors_of_one_machine_share_its_memory(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    # a container's limit is for each executor, the machine's for all
    monkeypatch.setattr(memory, "_least_memory", lambda spark, processes: (6 * GB, 11 * GB))
    params = Params(num_replicas=8, vector_size=300, threads_per_replica=1)
    plan = Plan(params, 10**6, 10**9, executors=4, cores=2, local=False)
    executors = [Executor(str(i), f"{host}:{4000 + i}", 1 + (host == "b"), 0.0) for i, host in enumerate("aaabba")]
    monkeypatch.setattr(memory, "registered", lambda spark: executors[:4])
    memory.check_memory(spark, plan)
    monkeypatch.setattr(memory, "registered", lambda spark: executors)
    with pytest.raises(ParamError) as error:
        memory.check_memory(spark, plan)
    fitting = plan.words_that_fit(11 * GB, 4)
    assert str(error.value) == (
        "1,000,000 words x 300 do not fit into the memory of an executor's machine: 4 replicas of 2.9 GB train there "
        f"at a time, and it has 11 GB; give --max-vocab {fitting:,} or less, a smaller --vector-size, fewer "
        "--num-replicas, or machines with more memory"
    )
    assert 900_000 < fitting < 1_000_000


def test_memory_is_that_of_the_machine_or_of_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = memory.memory_here(1)
    assert whole > 1 << 28
    for text, expected in (("max\n", whole), ("123456789\n", 123456789)):
        (tmp_path / "limit").write_text(text)
        monkeypatch.setattr(memory, "_LIMITS", (str(tmp_path / "limit"), str(tmp_path / "none")))
        assert memory.memory_here(1) == expected


def test_memory_is_no_more_than_each_process_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda what: (1 << 20, resource.RLIM_INFINITY))
    assert [memory.memory_here(processes) for processes in (1, 4)] == [1 << 20, 4 << 20]


NEEDED = 1300  # of a replica and of Java


@pytest.mark.parametrize(
    ("master", "settings", "has", "to_give"),
    [
        ("yarn", {}, 384, NEEDED),
        ("yarn", {"executor.memory": "8g", "kubernetes.memoryOverheadFactor": "0.4"}, 819, NEEDED),
        ("yarn", {"executor.memory": "16g"}, None, None),
        ("yarn", {"executor.memoryOverhead": "1299"}, 1299, NEEDED),
        ("yarn", {"executor.memoryOverhead": "1300m"}, None, None),
        ("yarn", {"executor.pyspark.memory": "500m"}, 384, NEEDED - 500),
        ("yarn", {"executor.minMemoryOverhead": "2g"}, None, None),
        ("k8s://https://host", {"executor.memory": "2g", "kubernetes.memoryOverheadFactor": "0.4"}, 819, NEEDED),
        ("k8s://https://host", {"executor.memory": "2g", "executor.memoryOverheadFactor": "0.8"}, None, None),
        ("spark://host:7077", {}, None, None),
    ],
)
def test_a_container_that_is_too_small_is_told(
    spark: SparkSession, master: str, settings: dict[str, str], has: int | None, to_give: int | None
) -> None:
    jvm: Any = spark.sparkContext._jvm
    conf = jvm.org.apache.spark.SparkConf(False).set("spark.master", master)
    for name, value in settings.items():
        conf.set(f"spark.{name}", value)
    plan = Plan(Params(num_replicas=1), 0, 10, executors=1, cores=1, local=False)
    assert plan.overhead_megabytes == NEEDED
    assert memory._too_small_a_container(conf, plan) == (
        f"spark.executor.memoryOverhead is {has}m, and an executor may need {to_give}m beside its heap, for Python and "
        "Java: YARN and Kubernetes kill one that takes more than it was given; set "
        f"spark.executor.memoryOverhead={to_give}m"
        if has
        else ""
    )

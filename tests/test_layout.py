"""What the driver makes of a cluster: why an executor cannot use the output, and where replicas have room."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from w2v_spark.params import Params
from w2v_spark.place import Place
from w2v_spark.spark import cluster, layout, probe
from w2v_spark.spark.cluster import Executor

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_only_an_output_that_is_not_shared_is_to_be_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "probe").touch()
    assert probe._output_problem(str(tmp_path), "probe") == ""
    assert probe._output_problem(str(tmp_path), "other") == (
        "it does not see the files that the driver wrote there; --output must be on storage that driver and executors "
        "share (hdfs://, s3a://, a network mount)"
    )
    # as of an executor without Java for hdfs
    assert probe._output_problem("ofs://host/out", "probe").startswith("must be a local path or start with one of")


def test_an_executor_that_answered_once_was_asked(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "work").mkdir()
    answers = iter([{"1"}, {"2"}])
    monkeypatch.setattr(probe, "is_local", lambda spark: False)
    monkeypatch.setattr(probe, "_PROBES", 2)
    monkeypatch.setattr(probe, "_look_everywhere", lambda *_: next(answers))
    for module in (cluster, probe):
        monkeypatch.setattr(module, "registered", lambda spark: [Executor(n, f"host{n}", 2, 0.0) for n in "123"])
    with caplog.at_level(logging.WARNING, "w2v_spark"):
        assert probe.probe(spark, Place.open(str(tmp_path))) == 3
    assert caplog.messages == ["busy with other jobs, so not asked whether they open the output: executor 3 (host3)"]


@pytest.mark.parametrize("task_cpus", ["1", "2"])
def test_with_dynamic_allocation_the_number_of_replicas_is_one_of_chance(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, task_cpus: str
) -> None:
    conf = spark.sparkContext.getConf()
    conf.set("spark.dynamicAllocation.enabled", "true").set("spark.task.cpus", task_cpus)
    monkeypatch.setattr(spark.sparkContext, "getConf", lambda: conf)
    told = (
        "with dynamic allocation num_replicas=auto follows the executors that are there now, and is 1 to the end of "
        "this run: give --num-replicas, or set spark.dynamicAllocation.enabled=false"
    )
    with caplog.at_level(logging.WARNING, "w2v_spark"):
        layout.resolve(spark, Params(device="cpu"), 100)
        assert not caplog.text  # local mode has no executors that could come and go
        monkeypatch.setattr(cluster, "is_local", lambda spark: False)
        _, found = layout.resolve(spark, Params(device="cpu", num_replicas=2), 100)
        assert told not in caplog.text and found.task_cores == int(task_cpus)
        layout.resolve(spark, Params(device="cpu"), 100)
        assert told in caplog.text


@pytest.mark.parametrize(
    ("task_cpus", "threads", "trained", "told"),
    [
        ("8", None, 8, None),
        ("1", None, 1, "now 1: set spark.task.cpus = spark.executor.cores (8)"),
        ("4", None, 4, "now 4: set spark.task.cpus = spark.executor.cores (8)"),
        ("8", 2, 2, "now 8: set spark.task.cpus = its threads (2)"),
        ("2", 2, 2, None),
        ("8", 16, 16, None),
        ("1", 16, 16, "now 1: set spark.task.cpus = spark.executor.cores (8)"),
    ],
)
def test_with_dynamic_allocation_a_replica_has_the_cores_of_a_task(
    spark: SparkSession,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    task_cpus: str,
    threads: int | None,
    trained: int,
    told: str | None,
) -> None:
    """One executor of those that will come is there."""
    conf = spark.sparkContext.getConf()
    conf.set("spark.dynamicAllocation.enabled", "true").set("spark.task.cpus", task_cpus)
    monkeypatch.setattr(spark.sparkContext, "getConf", lambda: conf)
    for module in (cluster, layout):
        monkeypatch.setattr(module, "is_local", lambda spark: False)
    monkeypatch.setattr(cluster, "registered", lambda spark: [Executor("0", "host", 8, 0.0)])
    given = Params(device="cpu", num_replicas=6, threads_per_replica=threads, exchange="storage")
    with caplog.at_level(logging.WARNING, "w2v_spark"):
        resolved, found = layout.resolve(spark, given, 100)
    assert resolved.threads_per_replica == trained
    assert (found.task_cores, found.profile, found.merge_tasks) == (int(task_cpus), None, max(8, 6 * int(task_cpus)))
    conf.set("spark.dynamicAllocation.maxExecutors", "2")
    assert layout.resolve(spark, given, 100)[1].merge_tasks == min(max(8, 6 * int(task_cpus)), 16)
    whole = f"with dynamic allocation a replica gets spark.task.cpus cores, {told}"
    assert caplog.messages[:1] == ([whole] if told else [])


def test_cores_that_no_replica_fits_into_are_not_waited_for(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = [[Executor(str(i), "host", 3, 0.0) for i in range(executors)] for executors in (4, 3)]
    monkeypatch.setattr(cluster, "registered", lambda spark: there.pop())
    cluster.wait_for_executors(spark, 8, "cores", at_a_time=2)
    assert not there  # three executors have nine cores, and room for three replicas of two


@pytest.mark.parametrize(("device", "wanted"), [("cpu", (8, "cores")), ("cuda", (4, "executors"))], ids=["cpu", "cuda"])
def test_replicas_that_merge_directly_are_waited_for(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, device: str, wanted: tuple[int, str]
) -> None:
    waited = list[tuple[int, str]]()
    for module in (cluster, layout):
        monkeypatch.setattr(module, "is_local", lambda spark: False)
    monkeypatch.setattr(layout, "wait_for_executors", lambda spark, number, unit, **_: waited.append((number, unit)))
    monkeypatch.setattr(cluster, "registered", lambda spark: [Executor(str(i), "host", 2, 0.0) for i in range(4)])
    monkeypatch.setattr(layout, "choose_gpus", lambda *_: int(device == "cuda"))
    monkeypatch.setattr(layout, "gpu_profile", lambda *_: None)
    begun = Params(num_replicas=4, threads_per_replica=2, rounds_per_epoch=1, exchange="direct", device=device)
    assert layout.resolve(spark, begun, 100)[0].exchange == "direct"
    assert waited == [wanted]

"""The rounds on Spark: the same bytes as the simulation of `bench/`, one job each, and replicas of every size."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from encoded import EncodedRun
from simulate import simulate

import w2v_spark
from w2v_spark import store
from w2v_spark.errors import ParamError
from w2v_spark.place import Place
from w2v_spark.spark import loop, rounds
from w2v_spark.spark.claim import claim_output
from w2v_spark.spark.session import block_session
from w2v_spark.spark.tables import columns_of
from w2v_spark.spark.tasks import ask
from w2v_spark.training import schedule
from w2v_spark.training.merge import RULES
from w2v_spark.vectors.load import read_model
from w2v_spark.workdir.blocks import BASE, BLOCK_SCHEMA, MATRICES, ROUND_METRICS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SMALL: dict[str, Any] = {"vector_size": 12, "min_count": 2, "sample": 0.0, "max_iter": 2, "threads_per_replica": 1}


# the others differ in a function of arrays, which test_merge.py has
@pytest.mark.parametrize(
    "rule", [rule if rule in ("sequential", "adasum") else pytest.param(rule, marks=pytest.mark.slow) for rule in RULES]
)
def test_spark_gives_the_bytes_of_the_simulation(
    spark: SparkSession, small_text: Path, tmp_path: Path, rule: str
) -> None:
    options = {**SMALL, "num_replicas": 3, "rounds_per_epoch": 2, "merge_rule": rule}
    trained = w2v_spark.train(small_text, tmp_path / "out", keep_work=True, **options)
    _, _, vectors = read_model(store.open_model(str(tmp_path / "out")))
    simulated = simulate(EncodedRun.open(str(tmp_path / "out")), trained.params)
    np.testing.assert_array_equal(np.stack(list(vectors)), simulated)


def test_replicas_that_merge_directly_give_the_bytes_of_those_that_merge_through_storage(
    spark: SparkSession, small_text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four merges: as four rounds, and in one."""
    words = len((small_text / "lines.txt").read_text().split())
    monkeypatch.setattr(schedule, "_WORDS_PER_REPLICA_AND_ROUND", 2 * words // 3)
    options, found = {**SMALL, "max_iter": 1, "num_replicas": 2}, []
    for exchange, rounds_per_epoch in (("storage", None), ("direct", 1)):
        own = {"exchange": exchange, "rounds_per_epoch": rounds_per_epoch}
        trained = w2v_spark.train(small_text, tmp_path / exchange, **options, **own)
        assert trained.params.rounds_per_epoch == (rounds_per_epoch or 4)
        found.append(trained.wv.vectors)
    np.testing.assert_array_equal(*found)


def test_more_replicas_than_run_at_once_merge_through_storage(
    spark: SparkSession, small_text: Path, tmp_path: Path
) -> None:
    options = {**SMALL, "num_replicas": 3, "max_iter": 1}
    with pytest.raises(ParamError) as info:
        w2v_spark.train(small_text, tmp_path / "out", **options, exchange="direct")
    assert str(info.value) == (
        "exchange=direct needs all 3 replicas to run at once; the executors have room for 2: lower --num-replicas, or "
        "give more executors or cores; a run that began so goes on with room for 3 as before, or begins anew with "
        "--overwrite"
    )
    assert w2v_spark.train(small_text, tmp_path / "out", **options, exchange="auto").params.exchange == "storage"


def test_blocks_lie_on_disk_in_the_order_that_a_merge_expects(spark: SparkSession, tmp_path: Path) -> None:
    """However many they are: a sort by matrix alone, as Spark's writer may add one, shuffles them where it spills."""
    order = [(ROUND_METRICS, 0), *((m, number) for m in MATRICES for number in range(30_000)), (ROUND_METRICS, 1)]

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        matrices, numbers = zip(*order, strict=True)
        columns = {"matrix": matrices, "block": numbers, "shard": [BASE] * len(order), "values": [b""] * len(order)}
        yield pa.RecordBatch.from_pydict(columns, BLOCK_SCHEMA)

    run = claim_output(Place.open(str(tmp_path / "out")), "an application", overwrite=False)
    try:
        own = block_session(spark)
        pointer = rounds._commit(own, own.range(0, 1, 1, 1).mapInArrow(write, columns_of(BLOCK_SCHEMA)), run, 1)
        found = [(matrix, number) for matrix, number, _ in pointer.blocks_of_partition(run.work, 0)]
    finally:
        run.release()
    assert found == order[1:-1]


def test_a_round_is_one_job_with_a_task_for_each_replica(
    spark: SparkSession, event_log: Path, small_text: Path, tmp_path: Path
) -> None:
    w2v_spark.train(small_text, tmp_path / "out", **SMALL, num_replicas=3, rounds_per_epoch=2)
    log = (log for log in event_log.rglob("events_*"))
    events = [json.loads(line) for file in log for line in file.read_text().splitlines()]
    jobs = [e for e in events if e["Event"] == "SparkListenerJobStart"]
    rounds = [e for e in jobs if "w2v_spark: round" in (e["Properties"].get("spark.job.description") or "")][-4:]
    names = [e["Properties"]["spark.job.description"].partition(" (")[0] for e in rounds]
    assert names == [f"w2v_spark: round {number}/4" for number in (1, 2, 3, 4)]
    for event in rounds:
        # what makes the numbers of the replicas is in the stage that trains
        found = [r for s in event["Stage Infos"] for r in s["RDD Info"] if r["Name"] == "ParallelCollectionRDD"]
        assert [r["Number of Partitions"] for r in found] == [3]
    frozen = ask(spark, 8, lambda: {"objects": gc.get_freeze_count()}, "objects long")
    assert any(answer.objects for answer in frozen), "workers' garbage is looked for among a compiler's objects"


def test_replicas_without_text_and_more_replicas_than_cores(spark: SparkSession, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("one two three\nthree two one\none three two\n")
    options = {**SMALL, "min_count": 1, "num_replicas": 9, "rounds_per_epoch": 2}
    trained = w2v_spark.train(text, tmp_path / "out", **options)
    assert np.isfinite(trained.wv.vectors).all() and len(trained.wv.vectors) == 3


def test_a_driver_that_replicas_cannot_write_to_keeps_no_file_for_their_progress(
    spark: SparkSession, small_text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "is_local", lambda spark: False)
    monkeypatch.setattr(loop, "ReplicaProgress", None)
    w2v_spark.train(small_text, tmp_path / "out", **{**SMALL, "max_iter": 1}, num_replicas=1)

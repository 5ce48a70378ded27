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
from pyspark.sql import functions as F
from simulate import simulate

import w2v_spark
from w2v_spark import store
from w2v_spark.errors import FormatError, ParamError
from w2v_spark.params import Params
from w2v_spark.place import Place
from w2v_spark.spark import loop, rounds
from w2v_spark.spark.claim import claim_output
from w2v_spark.spark.placement import in_partitions
from w2v_spark.spark.session import block_session
from w2v_spark.spark.tables import columns_of
from w2v_spark.spark.tasks import ask
from w2v_spark.training import schedule
from w2v_spark.training.merge import RULES
from w2v_spark.vectors.load import read_model
from w2v_spark.workdir.blocks import BASE, BLOCK_SCHEMA, MATRICES, ROUND_METRICS, SYN0, SYN1, rows_per_block

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SMALL: dict[str, Any] = {"vector_size": 12, "min_count": 2, "sample": 0.0, "max_iter": 2, "threads_per_replica": 1}


@pytest.fixture
def text_of_many_words(tmp_path: Path) -> Path:
    """A file with so many words that each matrix has five blocks."""
    draw = np.random.default_rng(7)
    words = draw.permutation(np.repeat(np.arange(4 * rows_per_block(SMALL["vector_size"]) + 100), 2))
    path = tmp_path / "many.txt"
    path.write_text("\n".join(" ".join(f"w{word}" for word in line) for line in np.array_split(words, len(words) // 9)))
    return path


# the others differ in a function of arrays, which test_merge.py has
@pytest.mark.parametrize(
    "rule", [rule if rule in ("sequential", "adasum") else pytest.param(rule, marks=pytest.mark.slow) for rule in RULES]
)
def test_spark_gives_the_bytes_of_the_simulation(
    spark: SparkSession, text_of_many_words: Path, tmp_path: Path, rule: str
) -> None:
    options = {**SMALL, "num_replicas": 3, "rounds_per_epoch": 2, "merge_rule": rule}
    trained = w2v_spark.train(text_of_many_words, tmp_path / "out", keep_work=True, **options)
    _, _, vectors = read_model(store.open_model(str(tmp_path / "out")))
    simulated = simulate(EncodedRun.open(str(tmp_path / "out")), trained.params)
    np.testing.assert_array_equal(np.stack(list(vectors)), simulated)


def test_replicas_that_merge_directly_give_the_bytes_of_those_that_merge_through_storage(
    spark: SparkSession, text_of_many_words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four merges: as four rounds, and in one."""
    words = len(text_of_many_words.read_text().split())
    monkeypatch.setattr(schedule, "_WORDS_PER_REPLICA_AND_ROUND", 2 * words // 3)
    options, found = {**SMALL, "max_iter": 1, "num_replicas": 2}, []
    for exchange, rounds_per_epoch in (("storage", None), ("direct", 1)):
        own = {"exchange": exchange, "rounds_per_epoch": rounds_per_epoch}
        trained = w2v_spark.train(text_of_many_words, tmp_path / exchange, **options, **own)
        assert trained.params.rounds_per_epoch == (rounds_per_epoch or 4)
        found.append(trained.wv.vectors)
    np.testing.assert_array_equal(*found)


def test_changes_are_folded_into_the_blocks_that_they_are_of(spark: SparkSession) -> None:
    """Spark brings metrics first, and then the changes by matrix, block and shard; some blocks have none."""
    model = [(m, block, pa.py_buffer(np.full(4, block, "<f4"))) for m in MATRICES for block in (1, 3, 5)]
    change = np.array([2, 4], "<f2").tobytes(), np.array([1], "<i4").tobytes(), None
    rows = [rounds._Row(ROUND_METRICS, 0, 1, b"{}", None, None)]
    rows += [rounds._Row(m, block, shard, *change) for m, block in ((SYN0, 3), (SYN1, 1)) for shard in (0, 2)]
    params = Params(vector_size=2, num_replicas=4, merge_rule="mean")
    merged = list(rounds.merge_blocks(rows, iter(model), params))
    assert merged[0] == (ROUND_METRICS, 0, 1, b"{}")
    found = {(m, block): np.frombuffer(values, "<f4").tolist() for m, block, _, values in merged[1:]}
    # half of the replicas made the same change
    expected = {(m, block): [block] * 4 for m, block, _ in model}
    expected[SYN0, 3] = [3, 3, 4, 5]
    expected[SYN1, 1] = [1, 1, 2, 3]
    assert found == expected
    with pytest.raises(FormatError, match="lacks block 3 of syn0 where its changes were brought together"):
        list(rounds.merge_blocks(rows, iter(model[:1]), params))


@pytest.mark.parametrize("partitions", [1, 2, 7, 64])
def test_each_number_has_a_partition_of_its_own(spark: SparkSession, partitions: int) -> None:
    frame = block_session(spark).range(0, 3 * partitions, 1, 2).select(F.col("id").cast("int").alias("number"))
    placed = in_partitions(frame, F.pmod("number", F.lit(partitions)), partitions)
    found = placed.select("number", F.spark_partition_id().alias("partition")).collect()
    assert len(found) == 3 * partitions
    assert all(row.partition == row.number % partitions for row in found)


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
        pointer = rounds._commit(own, own.range(0, 1, 1, 1).mapInArrow(write, columns_of(BLOCK_SCHEMA)), run, 1, 1)
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

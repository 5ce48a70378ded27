"""Sessions of a run's own: they have what is set in the user's, and leave it and its threads as they were."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyspark
import pytest
from pyspark.sql import DataFrame, SparkSession

import w2v_spark
from w2v_spark import store
from w2v_spark.errors import FormatError, InputError
from w2v_spark.place import Place
from w2v_spark.spark.read import Source
from w2v_spark.spark.session import (
    block_session,
    frame_of,
    get_session,
    in_session,
    qualify,
    session_of_its_own,
    text_session,
    word_session,
)
from w2v_spark.spark.tasks import ask
from w2v_spark.vectors.load import read_model
from w2v_spark.vectors.vectors import Vectors
from w2v_spark.workdir.pointer import Pointer

SMALL: dict[str, Any] = {"vector_size": 12, "min_count": 2, "sample": 0.0, "max_iter": 2, "threads_per_replica": 1}


def vectors_of(output: str) -> dict[str, bytes]:
    words, _, vectors = read_model(store.open_model(output))
    return {w: v.tobytes() for w, v in zip(words.to_pylist(), vectors, strict=True)}


def test_it_has_all_that_is_set_and_sets_nothing(spark: SparkSession) -> None:
    spark.conf.set("spark.sql.shuffle.partitions", "7")
    spark.conf.set("fs.imagined.key", "secret")
    try:
        own = session_of_its_own(spark, {"spark.sql.shuffle.partitions": "9"})
        assert own.conf.getAll == spark.conf.getAll | {"spark.sql.shuffle.partitions": "9"}
        assert spark.conf.get("spark.sql.shuffle.partitions") == "7"
    finally:
        spark.conf.unset("spark.sql.shuffle.partitions")
        spark.conf.unset("fs.imagined.key")


def test_a_frame_is_computed_with_its_settings(spark: SparkSession) -> None:
    lists = spark.createDataFrame([(["a", "b"],), (["c"],)], "words array<string>")
    lists.createOrReplaceTempView("lists_of_words")
    frame = spark.sql("SELECT words FROM lists_of_words").persist()
    own = session_of_its_own(spark, {"spark.sql.adaptive.enabled": "false", "spark.sql.shuffle.partitions": "9"})
    moved = in_session(frame, own)
    assert moved.sparkSession is own
    counted = moved.groupBy("words").count()
    assert counted.rdd.getNumPartitions() == 9
    assert sorted(row.words for row in counted.collect()) == [["a", "b"], ["c"]]
    assert "InMemoryTableScan" in moved._jdf.queryExecution().executedPlan().toString(), "it stays persisted"
    frame.unpersist()


def test_the_active_session_stays(spark: SparkSession) -> None:
    own = session_of_its_own(spark, {})

    def make() -> tuple[DataFrame, SparkSession | None, SparkSession]:
        return frame_of(own, pa.table({"n": [1, 2]})), SparkSession.getActiveSession(), get_session()

    frame, active, found = make()
    assert frame.sparkSession is own and frame.count() == 2
    assert active is found is spark
    with ThreadPoolExecutor(1) as thread:
        frame, active, found = thread.submit(make).result()
    assert frame.sparkSession is own
    assert active is None and found is spark, "a thread that has none takes the application's"
    assert spark.sparkContext.parallelize([(1,)]).toDF(["n"]).sparkSession is spark


def test_our_own_tables_are_not_broadcast(spark: SparkSession) -> None:
    prefix = "spark.sql.adaptive"
    users = {f"{prefix}.enabled": "true", f"{prefix}.autoBroadcastJoinThreshold": "1g"}
    session = session_of_its_own(spark, users | {"spark.sql.autoBroadcastJoinThreshold": "1g"})

    def plan_of(own: SparkSession) -> str:
        joined = own.range(9).join(own.range(5).groupBy("id").count(), "id", "left")
        assert joined.count() == 9
        joined.collect()
        return str(joined._jdf.queryExecution().executedPlan().toString())

    assert "Broadcast" in plan_of(text_session(session)), "a user's query is as the user has it"
    assert "Broadcast" not in plan_of(word_session(session)) + plan_of(block_session(session))


IDLE = "spark.sql.execution.pyspark.udf.idleTimeoutSeconds"
# as some sites set them for all sessions
SITE = {
    "parquet.page.write-checksum.enabled": "false",
    "parquet.column.statistics.enabled": "false",
    "spark.sql.execution.arrow.useLargeVarTypes": "true",
    IDLE: "1",
    "spark.sql.execution.pyspark.udf.killOnIdleTimeout": "true",
    "spark.sql.files.ignoreCorruptFiles": "true",
    "spark.sql.files.ignoreMissingFiles": "true",
    "spark.sql.files.maxRecordsPerFile": "7",
}


def test_settings_of_a_site_change_nothing(spark: SparkSession, small_text: Path, tmp_path: Path) -> None:
    """Vectors, started from earlier ones, and checksums are the same."""
    earlier = w2v_spark.train(small_text, tmp_path / "earlier", spark=spark, **SMALL)
    for name, session in (("plain", spark), ("site", session_of_its_own(spark, SITE))):
        start = {"start_from": earlier.output, "keep_work": True}
        w2v_spark.train(small_text, tmp_path / name, spark=session, **start, **SMALL)
    work = Place.open(tmp_path / "site" / "work")
    pointer = Pointer.read(work)[0]
    for entry in pointer.files["syn0"]:
        columns = pq.read_metadata(work.child(pointer.directory).file(entry.name)).row_group(0)
        told = {columns.column(i).path_in_schema: columns.column(i).is_stats_set for i in range(columns.num_columns)}
        assert not told["values"], "their content is looked through for statistics that nobody asks for"
    assert vectors_of(str(tmp_path / "site")) == vectors_of(str(tmp_path / "plain"))
    (file,) = (tmp_path / "site" / "vectors").glob("part-00000-*.parquet")
    data, footer = bytearray(file.read_bytes()), pq.read_metadata(file)
    data[footer.row_group(0).column(footer.num_columns - 1).data_page_offset + 100] ^= 1
    file.write_bytes(data)
    with pytest.raises(FormatError, match="cannot be read as Parquet: .*CRC checksum"):
        Vectors.open(tmp_path / "site")


def test_a_worker_that_is_silent_is_not_hung(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "slowly.py").write_text(
        "import time\n\ndef cut(text):\n    time.sleep(2.5 * ('slow' in text))\n    return text.split()\n"
    )
    (tmp_path / "text.txt").write_text("slow words\n" + "words of a text\n" * 5)
    spark.sparkContext.addPyFile(str(tmp_path / "slowly.py"))
    model = w2v_spark.train(
        tmp_path / "text.txt",
        tmp_path / "out",
        tokenizer="slowly:cut",
        spark=session_of_its_own(spark, SITE),
        **SMALL | {"max_iter": 1, "min_count": 1},
    )
    assert set(vectors_of(model.output)) == {"slow", "words", "of", "a", "text"}
    assert block_session(session_of_its_own(spark, SITE)).conf.get(IDLE) == "0", "replicas are silent, too"


@pytest.mark.skipif(pyspark.__version__.startswith("4.0."), reason="Spark 4.0 has no setting that removes shuffles")
def test_shuffles_go_with_what_they_were_for(spark: SparkSession, tmp_path: Path) -> None:
    """A round's changes would fill the executors' disks."""

    def write(session: SparkSession) -> None:
        shuffled = session.range(1000).repartition(3, "id").sortWithinPartitions("id")
        shuffled.write.mode("overwrite").parquet(str(tmp_path / "out"))

    def stay() -> bool:
        before = shuffle_files(spark)
        write(spark)
        return bool(shuffle_files(spark) - before)

    assert any(stay() for _ in range(5)), "here they stay until Java collects its garbage"
    before = shuffle_files(spark)
    for own in (text_session(spark), block_session(spark)):
        write(own)
    end = time.monotonic() + 20
    while left := shuffle_files(spark) - before:  # Spark removes them in the background
        assert time.monotonic() < end, left


def shuffle_files(spark: SparkSession) -> set[str]:
    """Files of shuffles on the disks of this session's executor."""
    ((folders,),) = ask(spark, 1, lambda: {"folders": os.environ["SPARK_LOCAL_DIRS"]}, "folders string")
    return {path.name for folder in folders.split(",") for path in Path(folder).rglob("shuffle_*")}


def test_what_is_set_in_a_session_holds_for_its_storage(spark: SparkSession, tmp_path: Path) -> None:
    """As keys of a cloud's storage often are."""
    own = session_of_its_own(spark, {"fs.defaultFS": "viewfs://imagined"})
    with pytest.raises(InputError, match=r"^cannot open text\.txt: .*viewfs.*imagined"):
        qualify(own, "text.txt")
    assert qualify(spark, "text.txt").startswith("file:")


def test_two_runs_in_threads_of_one_session(spark: SparkSession, small_text: Path, tmp_path: Path) -> None:
    alone = w2v_spark.train(small_text, tmp_path / "alone", **SMALL)
    spark.sql("SELECT explode(array_repeat('Äpfel und Birnen', 900)) AS fruit").createOrReplaceTempView("fruits")
    before = spark.conf.getAll

    def train(source: Any, name: str, session: SparkSession | None) -> dict[str, bytes]:
        return vectors_of(w2v_spark.train(source, tmp_path / name, spark=session, **SMALL).output)

    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(train, small_text, "one", spark)
        other = threads.submit(train, Source(sql="SELECT * FROM fruits"), "other", None)
    assert one.result() == vectors_of(alone.output)
    assert set(other.result()) == {"äpfel", "und", "birnen"}
    assert spark.conf.getAll == before
    assert SparkSession.active() is spark

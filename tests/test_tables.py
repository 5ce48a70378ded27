"""Tables of ours as Spark reads them back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from w2v_spark import store
from w2v_spark.errors import FormatError, W2VError
from w2v_spark.place import FileEntry, Place
from w2v_spark.spark import count, encode
from w2v_spark.spark.failures import plain_errors
from w2v_spark.spark.session import session_of_its_own
from w2v_spark.spark.tables import columns_of, look_into, read_table
from w2v_spark.spark.word_list import WordList
from w2v_spark.workdir.blocks import CHANGE_SCHEMA

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_a_damaged_file_is_not_passed_over(spark: SparkSession, tmp_path: Path) -> None:
    directory = tmp_path / "table"
    spark.range(0, 1000, 1, 2).write.parquet(str(directory))
    files = Place.open(directory).files()
    damaged = directory / files[1].name
    damaged.write_bytes(damaged.read_bytes()[:-100])
    (directory / f".{damaged.name}.crc").unlink()
    lax = {f"spark.sql.files.{name}": "true" for name in ("ignoreCorruptFiles", "ignoreMissingFiles")}
    told = pytest.raises(FormatError, match=f"{damaged.name} cannot be read by Spark")
    with told, plain_errors():
        read_table(session_of_its_own(spark, lax), str(directory), files, "id long").count()


def test_a_damaged_list_of_words_is_not_passed_over(spark: SparkSession, tmp_path: Path) -> None:
    for i, words in enumerate((["one", "two"], ["three"])):
        pq.write_table(pa.table({"word": words}), tmp_path / f"part-{i}.parquet")
    lax = session_of_its_own(spark, {"spark.sql.files.ignoreCorruptFiles": "true"})
    assert WordList.open(lax, str(tmp_path), "vocabulary file").words(lax).count() == 3
    damaged = tmp_path / "part-1.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-20])
    with pytest.raises(W2VError, match=damaged.name):
        WordList.open(lax, str(tmp_path), "vocabulary file")


def test_columns_of_arrow_as_spark_spells_them() -> None:
    assert columns_of(store.VECTORS_SCHEMA).simpleString() == (
        "struct<id:int,word:string,count:bigint,vector:array<float>>"
    )
    assert columns_of(store.VECTORS_SCHEMA, "word", "id").simpleString() == "struct<word:string,id:int>"
    assert columns_of(CHANGE_SCHEMA).simpleString() == (
        "struct<matrix:string,block:int,shard:int,values:binary,rows:binary,counts:binary>"
    )


def test_each_file_is_looked_into_by_a_task(spark: SparkSession, tmp_path: Path) -> None:
    place = written(tmp_path, [{"n": [1, 2]}, {"n": []}, {"n": [5]}])

    def look(number: int, file: pq.ParquetFile) -> pa.RecordBatch:
        return pa.RecordBatch.from_pydict({"file": [number], "sum": [pc.sum(file.read()["n"], min_count=0).as_py()]})

    with plain_errors():
        rows = look_into(spark, place, place.files(), look, "file long, sum long")
        assert sorted(map(tuple, rows)) == [(0, 3), (1, 0), (2, 5)]
        assert look_into(spark, place, [], look, "file long, sum long") == []
    path = tmp_path / place.files()[2].name
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    with pytest.raises(FormatError, match=rf"{path.name} has {len(data) - 1} bytes"), plain_errors():
        look_into(spark, place, [FileEntry(path.name, len(data))], look, "file long, sum long")


def test_totals_of_counts() -> None:
    assert totals_of(count._totals, {"word": ["a", "", "b", None], "count": [3, 5, 2, 1]}) == [(5, 5, 1)]
    assert totals_of(count._totals, {"word": pa.array([], pa.string()), "count": pa.array([], pa.int64())}) == [
        (0, 0, 0)
    ]


def test_totals_of_a_vocabulary() -> None:
    words = {"id": range(5), "word": list("abcde"), "count": [9, 5, 4, 2, 2]}
    assert totals_of(count._vocabulary_totals, words) == [(5, 22, 0)]
    assert totals_of(count._vocabulary_totals, words | {"frozen": [True, False, True, True, False]}) == [(5, 22, 3)]
    assert totals_of(count._vocabulary_totals, {name: [] for name in words}) == [(0, 0, 0)]


def test_buckets_of_a_file() -> None:
    rows = {"bucket": pa.array([3, 3, 9], pa.int32()), "words": pa.array([2, 5, 1], pa.int32()), "ids": ["", "", ""]}
    assert totals_of(encode._buckets, rows) == [(3, 7, 2, 7), (9, 7, 1, 1)]
    assert totals_of(encode._buckets, {name: column[:0] for name, column in rows.items()}) == []


def totals_of(look: Callable[[int, pq.ParquetFile], pa.RecordBatch], columns: dict[str, Any]) -> list[tuple[Any, ...]]:
    """What it finds in a file, the seventh, of these columns, in row groups of two rows."""
    data = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), data, row_group_size=2)
    return [tuple(row.values()) for row in look(7, pq.ParquetFile(data.getvalue())).to_pylist()]


def written(folder: Path, tables: list[dict[str, list[int]]]) -> Place:
    """A file for each table."""
    for i, columns in enumerate(tables):
        pq.write_table(pa.table(columns, pa.schema([("n", pa.int64())])), folder / f"part-{i}.parquet")
    return Place.open(folder)

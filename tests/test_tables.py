"""Tables of ours as Spark reads them back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from w2v_spark import store
from w2v_spark.errors import FormatError
from w2v_spark.place import Place
from w2v_spark.spark.failures import plain_errors
from w2v_spark.spark.session import session_of_its_own
from w2v_spark.spark.tables import columns_of, read_table
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


def test_columns_of_arrow_as_spark_spells_them() -> None:
    assert columns_of(store.VECTORS_SCHEMA).simpleString() == (
        "struct<id:int,word:string,count:bigint,vector:array<float>>"
    )
    assert columns_of(store.VECTORS_SCHEMA, "word", "id").simpleString() == "struct<word:string,id:int>"
    assert columns_of(CHANGE_SCHEMA).simpleString() == (
        "struct<matrix:string,block:int,shard:int,values:binary,rows:binary,counts:binary>"
    )

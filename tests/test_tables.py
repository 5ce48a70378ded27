"""Tables of ours as Spark reads them back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from w2v_spark.errors import FormatError
from w2v_spark.place import Place
from w2v_spark.spark.failures import plain_errors
from w2v_spark.spark.session import session_of_its_own
from w2v_spark.spark.tables import read_table

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

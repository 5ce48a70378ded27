"""Copying a trained model by the executors, from any file system to any other."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from pyarrow import fs
from pyspark.sql import SparkSession

from w2v_spark import store
from w2v_spark.place import Place
from w2v_spark.spark.session import plain_errors

# files hold up to 256 MB, and most models are one
_COPIES_AT_ONCE = 8


def copy_model(spark: SparkSession, source: str, target: str) -> None:
    """Copy the files that a model's manifest names, then the manifest, which makes them a model."""

    def names(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:  # one, of one row
            files = store.open_model(source).manifest["files"]
            yield _names([f"{folder}/{entry['name']}" for folder, entries in files.items() for entry in entries])

    def copy(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for name in batch["name"].to_pylist():
                _copy_file(Place.open(source), Place.open(target), name)
            yield batch

    one = spark.range(0, 1, 1, 1)
    with plain_errors():
        files = one.mapInArrow(names, "name string").repartition(_COPIES_AT_ONCE)
        files.mapInArrow(copy, "name string").collect()
        one.selectExpr(f"'{store.MANIFEST}' AS name").mapInArrow(copy, "name string").collect()


def _names(names: list[str]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(names, pa.string())], names=["name"])


def _copy_file(source: Place, target: Place, name: str) -> None:
    path = target.file(name)
    target.filesystem.create_dir(path.rpartition("/")[0], recursive=True)
    fs.copy_files(
        source.file(name), path, source_filesystem=source.filesystem, destination_filesystem=target.filesystem
    )

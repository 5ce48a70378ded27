"""Copying a trained model by the executors, from any file system to any other."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pyarrow as pa
from pyarrow import fs
from pyspark.sql import SparkSession

from w2v_spark import store
from w2v_spark.errors import OutputError
from w2v_spark.ml.files import found_by
from w2v_spark.place import RENAMING, Place
from w2v_spark.spark.failures import plain_errors

# files hold up to 256 MB, and most models are one
_COPIES_AT_ONCE = 8


def copy_model(spark: SparkSession, source: str, target: str) -> None:
    """Copy the files that a model's manifest names, then the manifest, which makes them a model."""
    drafts = f".{uuid.uuid4().hex}"

    def names(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:  # one, of one row
            model = store.open_model(source)
            yield _names(
                [f"{folder}/{file.name}" for folder in model.manifest["files"] for file in model.files(folder)]
            )

    def copy(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for name in batch["name"].to_pylist():
                copy_file(Place.open(source), Place.open(target), name, drafts)
            yield batch

    with plain_errors():
        files = spark.range(0, 1, 1, 1).mapInArrow(names, "name string").repartition(_COPIES_AT_ONCE)
        files.mapInArrow(copy, "name string").collect()
    found_by(spark, lambda: _finish(source, target, drafts))


def _names(names: list[str]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(names, pa.string())], names=["name"])


def copy_file(source: Place, target: Place, name: str, drafts: str) -> None:
    """Copy a file. Where another attempt at it has copied it before, or is about to, the file stays whole: it is
    written in the directory `drafts` of the target.
    """
    path, draft = target.file(name), target.file(f"{drafts}/{uuid.uuid4().hex}")
    renames = target.filesystem.type_name in RENAMING
    for file in (path, draft) if renames else (path,):
        target.filesystem.create_dir(file.rpartition("/")[0], recursive=True)
    fs.copy_files(
        source.file(name),
        draft if renames else path,
        source_filesystem=source.filesystem,
        destination_filesystem=target.filesystem,
    )
    if renames:
        target.filesystem.move(draft, path)


def _finish(source: str, target: str, drafts: str) -> None:
    """Write the manifest, unless the copy lacks something; OutputError where it does."""
    place, model = Place.open(target), store.open_model(source)
    # an attempt that Spark has given up finds its draft gone and changes nothing any more
    place.delete(drafts)
    for folder in model.manifest["files"]:
        if wrong := store.lacking(place.child(folder), model.files(folder)):
            raise OutputError(f"{wrong}: the model was not copied whole; save it again, to a new directory")
    place.write_json(store.MANIFEST, dict(model.manifest))

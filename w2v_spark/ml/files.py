"""A model's directory as Spark reads it: the Parquet files that its manifest names, and no others."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from w2v_spark import errors, store
from w2v_spark.errors import InputError, W2VError
from w2v_spark.place import FileEntry
from w2v_spark.spark.session import is_connect
from w2v_spark.spark.tables import columns_of, read_table
from w2v_spark.spark.tasks import ask


def read_vectors(spark: SparkSession, directory: str) -> DataFrame:
    """id, word, count, vector: every word once."""
    files = _named(spark, directory, store.VECTORS)
    return read_table(spark, f"{directory}/{store.VECTORS}", files, columns_of(store.VECTORS_SCHEMA))


def read_metrics(spark: SparkSession, directory: str) -> DataFrame:
    """The metrics of training, a row for each round and replica; InputError where the model was converted."""
    files = _named(spark, directory, store.METRICS)
    if not files:
        raise InputError(f"{directory} has no metrics of rounds: it was converted, not trained")
    return read_table(spark, f"{directory}/{store.METRICS}", files)


def found_by(spark: SparkSession, look: Callable[[], Any]) -> Any:
    """What a function finds on storage, as JSON carries it: called here or, for Spark Connect, on an executor."""
    if not is_connect(spark):
        return look()

    def answer() -> dict[str, str]:
        try:
            found = {"found": look()}
        except W2VError as e:  # raised there, it would be tried again and logged with its stack
            found = {"kind": type(e).__name__, "sentence": str(e)}
        return {"found": json.dumps(found)}

    (row,) = ask(spark, 1, answer, "found string")
    found = json.loads(row.found)
    if "kind" in found:
        raise errors.rebuilt(found["kind"], found["sentence"])
    return found["found"]


def _named(spark: SparkSession, directory: str, folder: str) -> list[FileEntry]:
    """The files that the manifest names in a folder of the model."""

    def look() -> list[dict[str, Any]]:
        model = store.open_model(directory)
        files = model.files(folder)
        for file in files:
            model.place.child(folder).file(file.name)  # refuses one that leads out of it
        return store.files_as_json(files)

    return store.files_from_json(found_by(spark, look))

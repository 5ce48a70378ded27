"""The input: text, Parquet, JSON or CSV files, a table, a query, or a DataFrame, as one column `document` of text or
of words.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StringType

from w2v_spark.errors import InputError
from w2v_spark.spark.session import plain_errors, qualify

FORMATS = ("text", "parquet", "json", "csv")
_SUFFIXES = {".parquet": "parquet", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".csv": "csv"}
_COMPRESSED = (".gz", ".bz2", ".zst", ".lz4", ".snappy", ".deflate")


@dataclass(frozen=True)
class Source:
    """What to train on: exactly one of paths, table, sql and dataframe. `format` None: told from the files' names,
    else text.
    """

    paths: tuple[str, ...] = ()
    table: str | None = None
    sql: str | None = None
    dataframe: DataFrame | None = None
    column: str | None = None
    format: str | None = None

    def __post_init__(self) -> None:
        given = [n for n in ("paths", "table", "sql", "dataframe") if getattr(self, n) not in ((), None)]
        if len(given) != 1:
            raise InputError(f"give exactly one of --input, --table and --sql; given: {', '.join(given) or 'none'}")
        if self.format is not None and self.format not in FORMATS:
            raise InputError(f"input format {self.format!r} is not one of {', '.join(FORMATS)}")


@dataclass(frozen=True)
class Documents:
    """The input as a DataFrame with one column; `words` tells an array<string> column, taken as it is, from
    text to tokenise.

    `fingerprint` stands for the input's content; None where only counting again can tell whether it changed.
    """

    frame: DataFrame
    words: bool
    fingerprint: str | None


def read_documents(spark: SparkSession, source: Source) -> Documents:
    """Open the input; a missing path or column, or a column of the wrong type, is an InputError."""
    with plain_errors():
        frame, kind = _frame(spark, source)
        column = _column(frame, source, kind)
        # not renamed: for a lone text column this is no step of its own, which would copy each line once more
        documents = frame.select(F.col(f"`{column}`"))
        words = isinstance(documents.schema[0].dataType, ArrayType)
        fingerprint = _fingerprint(spark, frame, source, column) if source.paths else None
    return Documents(documents, words, fingerprint)


def _frame(spark: SparkSession, source: Source) -> tuple[DataFrame, str]:
    if source.dataframe is not None:
        return source.dataframe, "dataframe"
    if source.table is not None:
        return spark.table(source.table), "table"
    if source.sql is not None:
        return spark.sql(source.sql), "query"
    paths = [qualify(spark, p) for p in source.paths]
    found = _existing(spark, paths)
    kind = source.format or _guess_format(found)
    if kind == "text":
        return spark.read.text(paths), kind
    reader = spark.read.option("header", True) if kind == "csv" else spark.read
    return reader.format(kind).load(paths), kind


def _existing(spark: SparkSession, paths: Sequence[str]) -> list[str]:
    """The paths and, below directories, one level of names; a path that is not there is an error."""
    jvm: Any = spark.sparkContext._jvm
    hadoop, found = spark.sparkContext._jsc.hadoopConfiguration(), list[str]()
    for text in paths:
        path = jvm.org.apache.hadoop.fs.Path(text)
        try:
            statuses = path.getFileSystem(hadoop).globStatus(path)
            if not statuses:
                raise InputError(f"input path {text} does not exist")
            for status in statuses:
                inside = path.getFileSystem(hadoop).listStatus(status.getPath()) if status.isDirectory() else [status]
                found += [str(s.getPath().getName()) for s in inside]
        except Py4JJavaError as e:
            raise InputError(f"cannot read input path {text}: {e.java_exception.getMessage()}") from e
    return found


def _guess_format(names: Sequence[str]) -> str:
    """The format that the first telling file name has."""
    for name in names:
        for suffix in _COMPRESSED:
            name = name.removesuffix(suffix)
        for suffix, kind in _SUFFIXES.items():
            if name.endswith(suffix):
                return kind
    return "text"


def _column(frame: DataFrame, source: Source, kind: str) -> str:
    """The column to train on, checked for name and type."""
    usable = [f.name for f in frame.schema.fields if _usable(f.dataType)]
    described = ", ".join(f"{f.name} ({f.dataType.simpleString()})" for f in frame.schema.fields)
    column = source.column or ("value" if kind == "text" else None)
    if column is None:
        if len(usable) != 1:
            raise InputError(f"which column holds the text? give --column; the {kind} has: {described}")
        return str(usable[0])
    if column not in frame.columns:
        raise InputError(f"column {column!r} is not in the {kind}; it has: {described}")
    if column not in usable:
        raise InputError(
            f"column {column!r} is {frame.schema[column].dataType.simpleString()}: must be string or array<string>"
        )
    return column


def _usable(kind: object) -> bool:
    return isinstance(kind, StringType) or (isinstance(kind, ArrayType) and isinstance(kind.elementType, StringType))


def _fingerprint(spark: SparkSession, frame: DataFrame, source: Source, column: str) -> str:
    """A digest of the files' names, sizes and times of change."""
    jvm: Any = spark.sparkContext._jvm
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    seen: list[object] = [column, source.format]
    for name in sorted(frame.inputFiles()):
        # inputFiles() gives encoded URIs; java.net.URI undoes that
        path = jvm.org.apache.hadoop.fs.Path(jvm.java.net.URI(name))
        status = path.getFileSystem(hadoop).getFileStatus(path)
        seen.append([name, status.getLen(), status.getModificationTime()])
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:32]

"""The input: text, Parquet, JSON or CSV files, a table, a query, or a DataFrame, as one column `document` of text or
of words.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, cast

from py4j.protocol import Py4JJavaError
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StringType

from w2v_spark.errors import InputError
from w2v_spark.spark.failures import input_errors
from w2v_spark.spark.session import described, exists, hadoop_path, in_session, qualify, text_session
from w2v_spark.spark.tables import PATTERN, literal, quoted

FORMATS = ("text", "parquet", "json", "csv", "orc")
_SUFFIXES = {
    ".parquet": "parquet", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".csv": "csv", ".orc": "orc",
}  # fmt: skip
# read as text they would give some words, and nobody would know
_NOT_READ = (".avro", ".arrow", ".feather", ".zip", ".tar", ".tgz", ".7z", ".xls", ".xlsx", ".docx", ".pdf", ".npy")
# as pandas, Excel and RFC 4180 write it: a quote within quotes is doubled, and a quoted text may have several lines
_CSV: dict[str, bool | str] = {"header": True, "escape": '"', "multiLine": True}
_COMPRESSED = (".gz", ".bz2", ".zst", ".lz4", ".snappy", ".deflate")
# so many names tell the format, however many files there are
_LOOKED_AT = 1000


@dataclass(frozen=True)
class Source:
    """What to train on: exactly one of paths, table, sql and dataframe. `format` None: told from the files' names."""

    paths: tuple[str, ...] = ()
    table: str | None = None
    sql: str | None = None
    dataframe: DataFrame | None = None
    column: str | None = None
    format: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.paths, (str, os.PathLike)):
            raise InputError(f"paths is a tuple of paths: give paths=({os.fspath(self.paths)!r},)")
        given = [n for n in ("paths", "table", "sql", "dataframe") if getattr(self, n) not in ((), None)]
        if len(given) != 1:
            raise InputError(
                "give exactly one of paths (--input), table (--table), sql (--sql) and dataframe; given: "
                f"{', '.join(given) or 'none'}"
            )
        if self.format is not None and self.format not in FORMATS:
            raise InputError(f"input format {self.format!r} is not one of {', '.join(FORMATS)}")
        if self.format is not None and not self.paths:
            raise InputError(f"input format {self.format!r} is for files alone: leave it out beside {given[0]}")


_FROM_MEMORY = (
    "sentences in memory become a DataFrame by "
    'spark.createDataFrame([(words,) for words in sentences], "words array<string>")'
)

Text = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | DataFrame | Source


def source_of(source: Text, column: str | None, format: str | None) -> Source:
    """What to train on; what is no text, and what a Source or a DataFrame leaves no room for, is refused."""
    if isinstance(source, Source):
        for name, value in (("column", column), ("format", format)):
            if value is not None:
                raise InputError(
                    f"{name}={value!r} is given beside a Source, which says that itself: give Source(..., "
                    f"{name}={value!r})"
                )
        return source
    if isinstance(source, DataFrame):
        return Source(dataframe=source, column=column, format=format)
    paths = source if isinstance(source, Sequence) and not isinstance(source, (str, bytes)) else [source]
    for path in paths:
        if not isinstance(path, (str, os.PathLike)):
            held = "" if path is source else f" of {_kind(path)}"
            raise InputError(
                f"cannot train on {_kind(source)}{held}: give a path, a list of paths, a Spark DataFrame or a Source; "
                f"{_FROM_MEMORY}"
            )
    return Source(paths=tuple(os.fspath(path) for path in paths), column=column, format=format)


def check_dataframe(given: object, method: str) -> None:
    """Refuse what is no Spark DataFrame."""
    if not isinstance(given, DataFrame):
        raise InputError(f"{method} takes a Spark DataFrame, not {_kind(given)}: {_FROM_MEMORY}")


def _kind(value: object) -> str:
    """The type of a value with its package, as there are several called DataFrame: `pandas.DataFrame`."""
    kind = type(value)
    return f"{kind.__module__.partition('.')[0]}.{kind.__name__}".removeprefix("builtins.")


@dataclass(frozen=True)
class Documents:
    """The input as a DataFrame with one column; `words` tells an array<string> column, taken as it is, from
    text to tokenise.

    `fingerprint` stands for the content of files: their names, sizes and times of change, the column and the format.
    It is None for a table, a query or a DataFrame, of which only counting again can tell whether it changed.
    `identity` tells whether an interrupted run was on the same input: for a table or a query, what names it. `name` is
    what a person calls the input: its paths as they were given, a table or a query; None for a DataFrame.
    """

    frame: DataFrame
    words: bool
    fingerprint: str | None
    identity: str | None
    name: str | None


def read_documents(spark: SparkSession, source: Source) -> Documents:
    """Open the input in the user's session, which knows what its names mean, to be computed in another; a missing path
    or column, or a column of the wrong type, is an InputError.
    """
    paths = [literal_path(spark, qualify(spark, p, "input path")) for p in source.paths]
    # Spark reads all of JSON to tell its columns
    with described(spark, "look at the input's files"), input_errors(opening=True):
        frame, kind = _frame(spark, source, paths)
        column = _column(frame, source, kind)
        documents = frame.select(_document(column))
        words = isinstance(documents.schema[0].dataType, ArrayType)
        fingerprint = _fingerprint(spark, paths, column, kind) if paths else None
        documents = in_session(documents, text_session(documents.sparkSession))
    name = _name(source, column)
    return Documents(documents, words, fingerprint, fingerprint or name, ", ".join(source.paths) or name)


def literal_path(spark: SparkSession, path: str) -> str:
    """The path, escaped where it names a file or folder that is there, though it would be read as a pattern."""
    if not PATTERN.search(path):
        return path
    return literal(path) if exists(spark, path) else path


def _document(column: str) -> Column:
    """The column to train on. It is not renamed where it need not be: for a lone text column that would be a step of
    its own, which copies each line once more. But mapInArrow takes names for expressions.
    """
    return quoted(column) if re.fullmatch(r"\w+", column) else quoted(column).alias("document")


def _name(source: Source, column: str) -> str | None:
    """What names a table or a query; None for a DataFrame."""
    named = source.table and f"table {source.table}" or source.sql and f"query {source.sql}"
    return f"{named}, column {column}" if named else None


def _frame(spark: SparkSession, source: Source, paths: list[str]) -> tuple[DataFrame, str]:
    """The input as Spark reads it, and a word for what it is."""
    if source.dataframe is not None:
        return source.dataframe, "dataframe"
    if source.table is not None:
        return spark.table(source.table), "table"
    if source.sql is not None:
        return spark.sql(source.sql), "query"
    names = _file_names(spark, paths)
    kind = source.format or _guess_format(names)
    if kind == "text":
        return spark.read.text(paths), kind
    return spark.read.options(**_CSV if kind == "csv" else {}).format(kind).load(paths), kind


def format_of_files(spark: SparkSession, path: str) -> str:
    """The format that the names of a file or of those in a folder tell."""
    return _guess_format(_file_names(spark, [path]))


def _file_names(spark: SparkSession, paths: Sequence[str]) -> list[str]:
    """Names of files that Spark reads at the paths, of each path the first so many; a path without any is an error."""
    most, names = max(_LOOKED_AT // len(paths), 10), list[str]()
    for path in paths:
        try:
            seen = list(islice(_entries(spark, path), most))
        except Py4JJavaError as e:
            raise InputError(f"cannot read input path {path}: {e.java_exception.getMessage()}") from e
        read = [entry.name for entry in seen if entry.read]
        if not read and len(seen) < most:
            if any(entry.folder for entry in seen):
                raise InputError(f"input path {path} holds only folders, which Spark does not look into: give {path}/*")
            raise InputError(f"input path {path} holds no files; those whose names start with _ or . are skipped")
        names += read
    return names


class _Entry(NamedTuple):
    """What lies at or below an input path, and whether Spark reads it."""

    name: str
    folder: bool
    read: bool


def _entries(spark: SparkSession, path: str) -> Iterator[_Entry]:
    """What lies at and below a path or pattern, listed as it is asked for."""
    pattern, files = hadoop_path(spark, path)
    statuses = files.globStatus(pattern)
    if not statuses:
        raise InputError(f"input path {path} does not exist")
    for status in statuses:
        if status.isDirectory():
            yield from _below(files, status.getPath(), read=True, partition=False)
        else:
            name = str(status.getPath().getName())
            yield _Entry(name, folder=False, read=not _skipped(name))


def _below(files: Any, directory: Any, read: bool, partition: bool) -> Iterator[_Entry]:
    """What lies below a directory. Spark reads the files right in an input path, and those of a partitioned table:
    anywhere below a folder named key=value.
    """
    found = files.listStatusIterator(directory)
    while found.hasNext():
        status = found.next()
        name, folder = str(status.getPath().getName()), bool(status.isDirectory())
        skipped = _skipped(name)
        yield _Entry(name, folder and not skipped, read and not folder and not skipped)
        if folder and not skipped:
            inside = partition or "=" in name
            yield from _below(files, status.getPath(), inside, inside)


def _skipped(name: str) -> bool:
    """Whether Spark takes a file or folder for a hidden one."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def _guess_format(names: Sequence[str]) -> str:
    """The format that the files' names tell, text where they tell none; names that tell several are an error."""
    found: dict[str, str] = {}
    for name in names:
        if _plain(name).endswith(_NOT_READ):
            raise InputError(
                f"{name} is of a format that is not read: give one of {', '.join(FORMATS)}, or a DataFrame that Spark "
                "has read from it; as text it is read with format text (--format)"
            )
        found.setdefault(_format_of(name), name)
    if len(found) > 1:
        (one, first), (other, second) = sorted(found.items())[:2]
        raise InputError(f"the input mixes formats: {first} is {one}, {second} is {other}; give format (--format)")
    return next(iter(found), "text")


def _format_of(name: str) -> str:
    """The format that a file's name tells, under whatever compression."""
    return next((kind for suffix, kind in _SUFFIXES.items() if _plain(name).endswith(suffix)), "text")


def _plain(name: str) -> str:
    """A file's name in lower case, without what tells its compression."""
    name = name.lower()
    for suffix in _COMPRESSED:
        name = name.removesuffix(suffix)
    return name


def _column(frame: DataFrame, source: Source, kind: str) -> str:
    """The column to train on, checked for name and type."""
    # where Spark puts lines that are not JSON
    usable = [f.name for f in frame.schema.fields if _usable(f.dataType) and f.name != "_corrupt_record"]
    described = ", ".join(f"{f.name} ({f.dataType.simpleString()})" for f in frame.schema.fields)
    column = source.column or ("value" if kind == "text" else None)
    if column is None:
        if len(usable) != 1:
            raise InputError(f"which column holds the text? give column (--column); the {kind} has: {described}")
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


def _fingerprint(spark: SparkSession, paths: Sequence[str], column: str, format: str) -> str:
    """A digest of the files' names, sizes and times of change, which are as many as may be, so Spark looks at them."""
    files = spark.read.format("binaryFile").load(list(paths)).coalesce(spark.sparkContext.defaultParallelism)
    facts = ("path", "length", "modificationTime")
    # two digests of 64 bits; their order does not matter to xor
    digests = [F.bit_xor(F.xxhash64(F.lit(salt), *facts)) for salt in ("a", "b")]
    seen = files.select(*facts).agg(F.count("*"), *digests).head()
    return hashlib.sha256(json.dumps([column, format, *cast(Any, seen)]).encode()).hexdigest()[:32]

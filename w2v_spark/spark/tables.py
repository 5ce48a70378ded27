"""Parquet that lies on disk, read by Spark or in its tasks: the files that were named, and no other that lies beside
them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, DataFrameReader, DataFrameWriter, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from w2v_spark import store
from w2v_spark.place import FileEntry, Place
from w2v_spark.spark.tasks import ids

# what Hadoop takes for a part of a pattern
PATTERN = re.compile(r"[\[\]{}*?\\]")


def literal(path: str) -> str:
    """The path, escaped so that Hadoop takes it for a name and not for a pattern."""
    return PATTERN.sub(r"\\\g<0>", path)


def quoted(column: str) -> Column:
    """The column of that name, which may hold dots and backticks."""
    return F.col("`" + column.replace("`", "``") + "`")


def columns_of(schema: pa.Schema, *names: str) -> StructType:
    """The columns of an Arrow schema as Spark takes them, to read or to make: all, or those of some names."""
    return from_arrow_schema(pa.schema([schema.field(name) for name in names or schema.names]))


def read_table(
    spark: SparkSession, directory: str, files: Iterable[FileEntry], columns: StructType | str | None = None
) -> DataFrame:
    """The columns (names and types, as Spark spells a schema; None: all that they have) of some files in a directory;
    pages are held against their checksums, and a file that is missing or damaged is an error.
    """
    paths = [literal(f"{directory}/{file.name}") for file in files]
    reader = strict_reader(spark).option("parquet.page.verify-checksum.enabled", "true")
    return (reader.schema(columns) if columns else reader).parquet(*paths)


def strict_reader(spark: SparkSession) -> DataFrameReader:
    """Reads files of which each must be there and whole; sites let Spark pass over others of raw input, by settings."""
    return spark.read.option("ignoreCorruptFiles", "false").option("ignoreMissingFiles", "false")


def writer(frame: DataFrame) -> DataFrameWriter:
    """Writes a table in place of what lies there, with the checksums of pages that readers ask for, whatever a site has
    set.
    """
    return frame.write.mode("overwrite").option("parquet.page.write-checksum.enabled", "true")


def look_into(
    spark: SparkSession,
    place: Place,
    files: Sequence[FileEntry],
    look: Callable[[int, pq.ParquetFile], pa.RecordBatch],
    columns: str,
) -> list[Row]:
    """The rows that `look` returns for each file, given its number in `files`, of these columns (names and types, as
    Spark spells a schema). Each file is a task; a query of Spark over a table takes longer to plan than this to read.
    """
    where = place.uri

    def rows(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for number in ids(batches):
            with store.opened(Place.open(where), files[number]) as file:
                yield look(number, file)

    return spark.range(0, len(files), 1, max(1, len(files))).mapInArrow(rows, columns).collect()

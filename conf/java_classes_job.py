"""The job of Spark whose classes `java_classes.py` records: it loads what most jobs load."""

from __future__ import annotations

import tempfile


def main() -> None:
    """A shuffle, Parquet both ways, a Python worker."""
    from pyspark.sql import SparkSession

    session = SparkSession.builder.appName("w2v_spark: record classes").getOrCreate()
    with tempfile.TemporaryDirectory() as folder:
        words = session.range(100).selectExpr("id", "cast(id % 10 as string) AS word")
        words.groupBy("word").count().write.parquet(f"{folder}/counts")
        read = session.read.parquet(f"{folder}/counts").mapInArrow(lambda batches: batches, "word string, count bigint")
        read.orderBy("word").collect()
    session.stop()


if __name__ == "__main__":
    main()

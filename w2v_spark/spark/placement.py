"""Rows brought into partitions of one's choice. Spark's shuffle places a row by the hash of what it is partitioned by:
two numbers may fall into one partition, and none into another. Here each has its own.
"""

from __future__ import annotations

import functools
import math

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F


def in_partitions(frame: DataFrame, number: Column, partitions: int) -> DataFrame:
    """The rows, each in the partition of its `number` (int, from 0 to partitions - 1)."""
    keys = _keys(frame.sparkSession, partitions)
    return frame.repartition(partitions, F.get(F.lit(list(keys)), number))


@functools.lru_cache(maxsize=4)
def _keys(spark: SparkSession, partitions: int) -> tuple[int, ...]:
    """For each partition of a shuffle an int that Spark places there."""
    # so many that each partition is hit but once in e**20 times; the query is of constants alone and needs no job
    tried = math.ceil(partitions * (math.log(partitions) + 20))
    sql = f"SELECT transform(sequence(0, {tried - 1}), key -> pmod(hash(key), {partitions})) AS partitions"
    first = dict[int, int]()
    for key, partition in enumerate(spark.sql(sql).collect()[0].partitions):
        first.setdefault(partition, key)
    return tuple(first[partition] for partition in range(partitions))

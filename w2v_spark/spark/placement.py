"""Rows brought into partitions of one's choice. Spark's shuffle places a row by the hash of what it is partitioned by:
two numbers may fall into one partition, and none into another. Here each has its own.
"""

from __future__ import annotations

import math

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F


def in_partitions(frame: DataFrame, number: Column, partitions: int) -> DataFrame:
    """The rows, each in the partition of its `number` (int, from 0 to partitions - 1)."""
    if partitions not in _KEYS:
        _KEYS[partitions] = _keys(frame.sparkSession, partitions)
    keys = F.expr(f"array({', '.join(map(str, _KEYS[partitions]))})")
    return frame.repartition(partitions, F.get(keys, number))


# for each partition of a shuffle of so many an int that Spark places there
_KEYS = dict[int, list[int]]()


def _keys(spark: SparkSession, partitions: int) -> list[int]:
    # with so many tried, one of e**20 times a partition is without; Spark answers at once, without a job
    tried = math.ceil(partitions * (math.log(partitions) + 20))
    query = f"SELECT transform(sequence(0, {tried - 1}), key -> pmod(hash(key), {partitions})) AS found FROM VALUES (0)"
    first = dict[int, int]()
    for key, partition in enumerate(spark.sql(query).collect()[0].found):
        first.setdefault(partition, key)
    return [first[partition] for partition in range(partitions)]

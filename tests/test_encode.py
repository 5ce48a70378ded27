"""How copies of a sentence are numbered and ordered, where there are more of them than an int holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from w2v_spark.spark import encode

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MOST_INT = 2**31 - 1


def test_more_equal_sentences_than_an_int_counts(spark: SparkSession) -> None:
    copies, groups = MOST_INT + 70_000, 1 << 16
    distinct = spark.sql(f"SELECT CAST('same' AS BINARY) AS ids, {copies}L AS copies")
    # of all groups the first that they visit, which has a copy in 65,536
    one = F.col("group") == F.expr(f"pmod(xxhash64(cast('same' as binary)), {groups})")
    found = encode.occurrences(distinct, groups, 2).where(one)
    numbers = found.agg(F.count("*"), F.min("occurrence"), F.max("occurrence")).head()
    assert numbers == (copies // groups + 1, 0, copies // groups * groups)


def test_the_order_of_a_corpus_is_that_of_versions_before(spark: SparkSession) -> None:
    numbers = spark.sql(
        f"SELECT CAST('a' AS BINARY) AS ids, EXPLODE(ARRAY(5L, {MOST_INT}L, {MOST_INT + 1}L)) AS occurrence"
    )
    hashes = [F.expr("xxhash64(ids, int(occurrence))"), F.expr("xxhash64(ids, occurrence)")]
    narrow, wide = (column.alias(name) for column, name in zip(hashes, ("narrow", "wide"), strict=True))
    rows = numbers.where(F.col("occurrence") <= MOST_INT).select(encode._key(), narrow).collect()
    assert [key for key, _ in rows] == [expected for _, expected in rows]
    (last,) = numbers.where(F.col("occurrence") > MOST_INT).select(encode._key(), wide).collect()
    assert last[0] == last[1]

"""Encoding: documents become sentences of int32 ids in buckets of equal size, once.

Where a sentence lies depends on the corpus alone, never on file splits, partitions or cores, so that a run can be
repeated anywhere. The hash of a text would do that, but puts all copies of a line into one bucket; therefore equal
sentences are counted and their copies spread:

    group  = (hash(sentence) + occurrence) mod groups            equal sentences visit all groups in turn
    order  = by hash(sentence, occurrence), ties by sentence     a shuffle of the corpus
    bucket = the group's sentences, dealt out in stripes         equal in words, not only in sentences
             of max_sentence_length words
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from w2v_spark import workdir
from w2v_spark.corpus.phrases import PhraseTable
from w2v_spark.corpus.vocab import encode
from w2v_spark.corpus.word_table import shared_table
from w2v_spark.errors import InputError
from w2v_spark.params import Params
from w2v_spark.place import Place
from w2v_spark.spark.count import words_function
from w2v_spark.spark.failures import input_errors, plain_errors
from w2v_spark.spark.read import Documents
from w2v_spark.spark.session import described
from w2v_spark.spark.tables import look_into, writer
from w2v_spark.workdir.corpus import Bucket, CorpusIndex
from w2v_spark.workdir.vocabulary import Vocabulary

_BUCKETS_PER_GROUP = 8
BUCKET_WORDS = 1 << 16
_FEWEST_BUCKETS, _MOST_BUCKETS = 64, 4096
_FILE_WORDS = 1 << 25
_SMALLEST_ROW_GROUP, _LARGEST_ROW_GROUP = 1 << 18, 64 << 20


def bucket_count(words: int) -> int:
    """How many buckets a corpus of so many words has: a power of two, of about 65,000 words each while there are at
    most 4,096.
    """
    count = _FEWEST_BUCKETS
    while count < _MOST_BUCKETS and count * BUCKET_WORDS < words:
        count *= 2
    return count


def write_corpus(
    spark: SparkSession,
    documents: Documents,
    params: Params,
    own: Place,
    vocabulary: Vocabulary,
    phrases: Sequence[PhraseTable],
) -> CorpusIndex:
    """Encode the documents into corpus/ of the run's own directory and commit its index."""
    place = own.child(workdir.CORPUS)
    groups = bucket_count(vocabulary.total_count) // _BUCKETS_PER_GROUP
    tasks = min(groups, max(spark.sparkContext.defaultParallelism, -(-vocabulary.total_count // _FILE_WORDS)))
    bucket_bytes = 4 * vocabulary.total_count // (groups * _BUCKETS_PER_GROUP)
    # small row groups: a replica reads a bucket with little of its neighbours; of smaller ones Parquet's writer warns,
    # as what it sets aside is more than thrice as large
    row_group = min(max(bucket_bytes, _SMALLEST_ROW_GROUP), _LARGEST_ROW_GROUP)
    own.delete(workdir.CORPUS_INDEX)
    with described(spark, "encode the corpus"), input_errors():
        sentences = _sentences(documents, params, vocabulary, phrases)
        table = writer(_in_buckets(sentences, groups, tasks, params.max_sentence_length))
        # zstd, which is read in half the time of Snappy from two thirds of the bytes; no dictionary, which would hardly
        # hold a sentence twice; and no least and largest sentence of each row group, which would fill the footer
        table = table.option("compression", "zstd").option("parquet.enable.dictionary", "false")
        table = table.option("parquet.column.statistics.enabled#ids", "false")
        table.option("parquet.block.size", row_group).parquet(place.uri)
    with described(spark, "look at the encoded corpus"), plain_errors():
        index = _index(spark, place)
    if not index.words():
        raise InputError("the input has no sentence with a word of the vocabulary")
    index.write(own)
    return index


def _sentences(
    documents: Documents, params: Params, vocabulary: Vocabulary, phrases: Sequence[PhraseTable]
) -> DataFrame:
    """Ids binary: the encoded sentences, wherever the input's splits put them."""
    words_of, longest = words_function(documents, params, phrases), params.max_sentence_length
    content = json.dumps([vocabulary.parent, vocabulary.to_dict()])

    def encode_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        table = shared_table(content, vocabulary.word_arrays)
        for flat, lengths in words_of(batches):
            sentences = encode(table.ids(flat), lengths, longest)
            yield pa.RecordBatch.from_arrays([sentences.cast(pa.binary())], names=["ids"])

    return documents.frame.mapInArrow(encode_batches, "ids binary")


def _in_buckets(sentences: DataFrame, groups: int, tasks: int, stripe: int) -> DataFrame:
    """bucket, words, ids: every sentence with its bucket, the rows of a bucket together and in training order."""
    distinct = sentences.groupBy("ids").agg(F.count("*").alias("copies"))
    keyed = (
        occurrences(distinct, groups, tasks)
        .withColumn("key", _key())
        .withColumn("words", (F.octet_length("ids") / 4).cast("int"))
    )
    before = Window.partitionBy("group").orderBy("key", "ids").rowsBetween(Window.unboundedPreceding, -1)
    words_before = F.coalesce(F.sum("words").over(before), F.lit(0))
    stripe_number = F.floor(words_before / stripe)
    bucket = F.col("group") * _BUCKETS_PER_GROUP + F.pmod(stripe_number, F.lit(_BUCKETS_PER_GROUP))
    return (
        keyed.withColumn("bucket", bucket.cast("int"))
        .sortWithinPartitions("bucket", "key", "ids")
        .select("bucket", "words", "ids")
    )


def occurrences(distinct: DataFrame, groups: int, tasks: int) -> DataFrame:
    """group, ids, occurrence: every copy of each sentence (ids, copies) in its group, numbered from 0."""
    first = F.explode(F.sequence(F.lit(0), F.least("copies", F.lit(groups)).cast("int") - 1)).alias("first")
    placed = distinct.withColumn("hash", F.xxhash64("ids")).select("ids", "hash", "copies", first)
    placed = placed.withColumn("group", F.expr(f"pmod(hash + first, {groups})").cast("int"))
    copies = F.sequence(F.col("first").cast("long"), F.col("copies") - 1, F.lit(groups).cast("long"))
    return placed.repartition(tasks, "group").select("group", "ids", F.explode(copies).alias("occurrence"))


def _key() -> Column:
    """What a copy of a sentence is ordered by, from its ids and occurrence."""
    number = F.col("occurrence")
    # an int and a long of the same value have different hashes, and the order is that of ints
    narrow = F.when(number < 1 << 31, number).cast("int")
    return F.when(narrow.isNull(), F.xxhash64("ids", number)).otherwise(F.xxhash64("ids", narrow))


def _index(spark: SparkSession, place: Place) -> CorpusIndex:
    """Where each bucket lies and how large it is, from what was written."""
    files = place.files()
    rows = look_into(spark, place, files, _buckets, "bucket int, file int, sentences long, words long")
    return CorpusIndex(files, sorted((Bucket(*row) for row in rows), key=lambda b: (b.bucket, b.file)))


def _buckets(number: int, file: pq.ParquetFile) -> pa.RecordBatch:
    """bucket, file, sentences, words of each bucket that a file of the corpus holds."""
    sentences, words = np.zeros((2, _MOST_BUCKETS), np.int64)
    for batch in file.iter_batches(columns=["bucket", "words"]):
        buckets = batch["bucket"].to_numpy()
        sentences += np.bincount(buckets, minlength=_MOST_BUCKETS)
        np.add.at(words, buckets, batch["words"].to_numpy())
    held = np.flatnonzero(sentences)
    columns = [held.astype(np.int32), np.full(len(held), number, np.int32), sentences[held], words[held]]
    return pa.RecordBatch.from_arrays(list(map(pa.array, columns)), names=["bucket", "file", "sentences", "words"])

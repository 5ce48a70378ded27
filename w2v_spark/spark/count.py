"""Counting: every word of the input with its count, then the vocabulary that is kept of them. Nothing is collected but
totals.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame, Observation, SparkSession, Window
from pyspark.sql import functions as F

from w2v_spark import store, workdir
from w2v_spark.corpus import tokens
from w2v_spark.corpus.vocab import count_words
from w2v_spark.errors import InputError
from w2v_spark.params import Params
from w2v_spark.place import Place
from w2v_spark.spark.read import Documents
from w2v_spark.spark.session import described, input_errors, plain_errors, qualify
from w2v_spark.workdir import Vocabulary

log = logging.getLogger(__name__)

_SAMPLE_DOCUMENTS, _SAMPLE_CHARACTERS = 500, 2000


def tokenize_function(
    documents: Documents, params: Params
) -> Callable[[pa.RecordBatch], tuple[pa.Array, npt.NDArray[np.int64]]]:
    """A function for executors: the words of a batch in a row, and how many each document has."""
    name, lowercase, ready = params.tokenizer, params.lowercase, documents.words

    def tokenize(batch: pa.RecordBatch) -> tuple[pa.Array, npt.NDArray[np.int64]]:
        column = batch.column(0)
        return tokens.flatten(column if ready else tokens.make_tokenizer(name, lowercase)(column))

    return tokenize


def check_script(documents: Documents, params: Params) -> None:
    """Refuse text in a script without spaces where the tokeniser cuts at spaces."""
    if documents.words or params.tokenizer != "words":
        return
    beginning = documents.frame.toDF("document").select(F.substring("document", 1, _SAMPLE_CHARACTERS))
    with input_errors():
        sample = [row[0] for row in beginning.head(_SAMPLE_DOCUMENTS)]
    hint = tokens.unsegmented_hint(pa.array(sample, pa.string()))
    if hint:
        raise InputError(hint)


def write_counts(spark: SparkSession, documents: Documents, params: Params, own: Place) -> int:
    """Count every word into counts/ of the run's own directory; returns how many words the input has in all."""
    tokenize = tokenize_function(documents, params)

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield count_words(tokenize(batch)[0])

    totals = Observation()
    with described(spark, "count the words"), input_errors():
        counted = (
            documents.frame.mapInArrow(count, "word string, count long")
            .groupBy("word")
            .agg(F.sum("count").alias("count"))
        )
        observed = counted.observe(totals, F.sum("count").alias("words"))
        observed.write.mode("overwrite").parquet(own.child(workdir.COUNTS).uri)
    words = int(totals.get["words"] or 0)
    if not words:
        raise InputError("the input is empty: it has no words; check --input, --column and --tokenizer")
    return words


def write_vocabulary(
    spark: SparkSession, params: Params, counted: Place, own: Place, vocab_file: str | None
) -> Vocabulary:
    """Write vocab/ (id, word, count), ids by count descending, then word, into the run's own directory; from counts/ in
    `counted` and, where given, a ready list of words.
    """
    counts = spark.read.parquet(counted.child(workdir.COUNTS).uri)
    if vocab_file is None:
        kept = counts.where(F.col("count") >= params.min_count)
    else:
        kept = (
            _ready_words(spark, vocab_file)
            .join(counts, "word", "left")
            .select("word", F.coalesce("count", F.lit(0)).alias("count"))
        )
    by_count = Window.orderBy(F.desc("count"), F.asc("word"))
    numbered = kept.select((F.row_number().over(by_count) - 1).cast("int").alias("id"), "word", "count")
    if params.max_vocab is not None:
        numbered = numbered.where(F.col("id") < params.max_vocab)
    place = own.child(store.VOCAB)
    totals = Observation()
    with described(spark, "number the vocabulary"), plain_errors():
        observed = numbered.observe(totals, F.count("*").alias("words"), F.sum("count").alias("count"))
        observed.write.mode("overwrite").parquet(place.uri)
    words, total = int(totals.get["words"]), int(totals.get["count"] or 0)
    if not total:
        place.delete()
        raise InputError(
            f"no word is left for the vocabulary: none occurs {params.min_count} times (min_count); lower "
            "--min-count or give more text"
            if vocab_file is None
            else f"no word of {vocab_file} occurs in the input; check the file and --lowercase"
        )
    return Vocabulary(words, total, own.uri, tuple(place.files()))


def check_vocab_file(spark: SparkSession, vocab_file: str) -> None:
    """Refuse a vocabulary file that is not there or has no words to offer, before anything long begins."""
    jvm: Any = spark.sparkContext._jvm
    path = jvm.org.apache.hadoop.fs.Path(qualify(spark, vocab_file))
    if not path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration()).exists(path):
        raise InputError(f"vocabulary file {vocab_file} does not exist")
    _ready_words(spark, vocab_file)


def _ready_words(spark: SparkSession, vocab_file: str) -> DataFrame:
    """The words of a vocabulary file: Parquet with a column word, or text with a word a line (what follows it is
    ignored).
    """
    path = qualify(spark, vocab_file)
    with input_errors():
        if path.rstrip("/").endswith(".parquet"):
            frame = spark.read.parquet(path)
            if "word" not in frame.columns:
                raise InputError(f"{vocab_file} has no column 'word'; it has: {', '.join(frame.columns)}")
            words = frame.select("word")
        else:
            words = spark.read.text(path).select(F.split(F.trim("value"), r"\s+", 2)[0].alias("word"))
        return words.where(F.length("word") > 0).distinct()

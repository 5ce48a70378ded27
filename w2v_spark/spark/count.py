"""Counting: every word of the input with its count, then the vocabulary that is kept of them. Nothing is collected but
totals.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from w2v_spark import store, workdir
from w2v_spark.corpus import tokens
from w2v_spark.corpus.phrases import PhraseTable
from w2v_spark.corpus.vocab import added_up, count_words
from w2v_spark.errors import InputError
from w2v_spark.params import Params
from w2v_spark.place import FileEntry, Place
from w2v_spark.spark.failures import input_errors, plain_errors
from w2v_spark.spark.read import Documents
from w2v_spark.spark.session import described
from w2v_spark.spark.tables import look_into, read_table, writer
from w2v_spark.spark.word_list import WordList
from w2v_spark.workdir.vocabulary import FROZEN_SCHEMA, Vocabulary

log = logging.getLogger(__name__)

_SAMPLE_DOCUMENTS, _SAMPLE_CHARACTERS = 500, 2000
# text in Latin-1 or the like has a few such characters in a hundred, UTF-16 and archives have a half
_MOST_UNREADABLE = 0.1
# no word is empty or null, so that these count documents: all, and those without a word
_DOCUMENTS, _WORDLESS = "", None
# the counts of batches are added up to about so many before they go to Spark, which takes longer for each than Arrow
_ROWS_TO_SEND = 1 << 20
_COUNTS_COLUMNS = "word string, count long"
_VOCAB_ROW_GROUP = 4 << 20


def tokenize_function(
    documents: Documents, params: Params
) -> Callable[[pa.RecordBatch], tuple[pa.Array, npt.NDArray[np.int64]]]:
    """A function for executors: the words of a batch in a row, and how many each document has."""
    name, lowercase, ready = params.tokenizer, params.lowercase, documents.words

    def tokenize(batch: pa.RecordBatch) -> tuple[pa.Array, npt.NDArray[np.int64]]:
        column = batch.column(0)
        if not ready:
            return tokens.flatten(tokens.make_tokenizer(name, lowercase)(column))
        flat, lengths = tokens.flatten(column)
        return tokens.valid_text(flat), lengths

    return tokenize


def words_function(
    documents: Documents, params: Params, phrases: Sequence[PhraseTable]
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[tuple[pa.Array, npt.NDArray[np.int64]]]]:
    """A function for a task: the words of each batch in a row, phrases joined, and how many each document has."""
    tokenize, tables = tokenize_function(documents, params), tuple(phrases)

    def words(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[pa.Array, npt.NDArray[np.int64]]]:
        passes = [table.open() for table in tables]
        for batch in batches:
            flat, lengths = tokenize(batch)
            for found in passes:
                flat, lengths = found.join(flat, lengths)
            yield flat, lengths

    return words


def _advice(beginnings: Sequence[str | None]) -> str:
    """What helps where text, as it was read, is none."""
    texts = [text for text in beginnings if text]
    if any(text.startswith("\x1f\ufffd\b") for text in texts):
        return "it begins as gzip does: give files of gzip names that end in .gz"
    encoding = "UTF-16" if any("\0" in text for text in texts) else "LATIN1"
    return f"convert it first (iconv -f {encoding} -t UTF-8), or give format (--format)"


def check_script(spark: SparkSession, documents: Documents, params: Params) -> None:
    """Refuse what is no UTF-8 text, and text in a script without spaces where the tokeniser cuts at spaces."""
    if documents.words:
        return
    beginning = documents.frame.toDF("document").select(F.substring("document", 1, _SAMPLE_CHARACTERS))
    with described(spark, "look at the text"), input_errors(opening=True):
        sample = [row[0] for row in beginning.head(_SAMPLE_DOCUMENTS)]
    texts = pa.array(sample, pa.string())
    unreadable = tokens.unreadable_share(texts)
    if unreadable > _MOST_UNREADABLE:
        raise InputError(
            f"the input is not UTF-8 text: {100 * unreadable:.0f} % of the characters that it begins with are NUL or "
            f"cannot be read; {_advice(sample)}"
        )
    if unreadable:
        log.warning(
            "%.2g %% of the characters that the input begins with are NUL or not UTF-8; no word holds them",
            100 * unreadable,
        )
    hint = tokens.unsegmented_hint(texts) if params.tokenizer == "words" else None
    if hint:
        raise InputError(hint)


def write_counts(
    spark: SparkSession, documents: Documents, params: Params, own: Place, phrases: Sequence[PhraseTable]
) -> tuple[int, list[FileEntry]]:
    """Count every word into counts/ of the run's own directory; how many words the input has in all, and the files."""
    words_of = words_function(documents, params, phrases)

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        counted = list[pa.RecordBatch]()
        for flat, lengths in words_of(batches):
            found = [len(lengths), int((lengths == 0).sum())]
            seen = pa.RecordBatch.from_pydict({"word": pa.array([_DOCUMENTS, _WORDLESS], pa.string()), "count": found})
            counted += [count_words(flat), seen]
            if sum(map(len, counted)) > _ROWS_TO_SEND:
                yield added_up(counted)
                counted.clear()
        if counted:
            yield added_up(counted)

    place = own.child(workdir.COUNTS)
    with described(spark, "count the words"), input_errors():
        counted = documents.frame.mapInArrow(count, _COUNTS_COLUMNS).groupBy("word").agg(F.sum("count").alias("count"))
        writer(counted).parquet(place.uri)
    files = place.files()
    # no Observation: Spark 4.0 cannot send models of Spark ML to the tasks of a session that has had one
    with described(spark, "count the words: totals"), plain_errors():
        totals = look_into(spark, place, files, _totals, "words long, documents long, wordless long")
    words, seen, wordless = (sum(column) for column in zip((0, 0, 0), *totals, strict=True))
    if wordless:
        log.info(
            "%s of %s documents (%.1f %%) are null, empty or without a word, and are skipped",
            f"{wordless:,}",
            f"{seen:,}",
            100 * wordless / seen,
        )
    if not words:
        raise InputError(
            "the input is empty: it has no words; check its text, the column (--column) and the tokenizer (--tokenizer)"
        )
    return words, files


def _totals(_: int, file: pq.ParquetFile) -> pa.RecordBatch:
    """How many words a file of counts has in all, documents, and documents without a word."""
    words = documents = wordless = 0
    for batch in file.iter_batches(columns=["word", "count"]):
        word, count = batch["word"], batch["count"]
        of_documents = pc.sum(count.filter(pc.equal(word, _DOCUMENTS)), min_count=0).as_py()
        of_wordless = pc.sum(count.filter(pc.is_null(word)), min_count=0).as_py()
        words += pc.sum(count).as_py() - of_documents - of_wordless
        documents += of_documents
        wordless += of_wordless
    return pa.RecordBatch.from_pydict({"words": [words], "documents": [documents], "wordless": [wordless]})


def read_counts(spark: SparkSession, place: Place, files: Iterable[FileEntry]) -> DataFrame:
    """word, count: every word of the input, from the files that `write_counts` has written into counts/ of a place."""
    written = read_table(spark, place.child(workdir.COUNTS).uri, files, _COUNTS_COLUMNS)
    return written.where(F.col("word") != _DOCUMENTS)


def write_vocabulary(
    spark: SparkSession,
    params: Params,
    counts: DataFrame,
    own: Place,
    vocab: WordList | None,
    earlier: DataFrame | None,
    frozen: DataFrame | None = None,
) -> Vocabulary:
    """Write vocab/ (id, word, count), ids by count descending, then word, into the run's own directory; from the
    `counts` of words and, where given, a ready list of words, else the words of an `earlier` model, which are kept
    however rare. With `frozen` (word, each once) a column tells whether a word is one of them.
    """
    kept = _kept_words(spark, params, counts, vocab, earlier)
    is_frozen = F.lit(False)
    if frozen is not None:
        marked = frozen.select("word", F.lit(True).alias("frozen"))
        kept, is_frozen = kept.join(marked, "word", "left"), F.coalesce("frozen", F.lit(False))
    # in one partition these ids are 0, 1, ...
    by_count = kept.repartition(1).sortWithinPartitions(F.desc("count"), F.asc("word"))
    numbered = by_count.select(
        F.monotonically_increasing_id().cast("int").alias("id"), "word", "count", is_frozen.alias("frozen")
    )
    if params.max_vocab is not None:
        numbered = numbered.where(F.col("id") < params.max_vocab)
    place = own.child(store.VOCAB)
    columns = FROZEN_SCHEMA if frozen is not None else store.VOCAB_SCHEMA
    with described(spark, "number the vocabulary"), plain_errors():
        # by id, as they were numbered in one partition, in row groups of which readers take those that they need
        table = writer(numbered.select(*columns.names)).option("parquet.block.size", _VOCAB_ROW_GROUP)
        table.parquet(place.uri)
    files = place.files()
    with described(spark, "number the vocabulary: totals"), plain_errors():
        totals = look_into(spark, place, files, _vocabulary_totals, "words long, count long, frozen long")
    words, total, held = (sum(column) for column in zip((0, 0, 0), *totals, strict=True))
    if not total:
        place.delete()
        raise InputError(
            f"no word is left for the vocabulary: none occurs {params.min_count} times (min_count); lower "
            "--min-count or give more text"
            if vocab is None
            else f"no word of {vocab.file} occurs in the input; check the file and --lowercase"
        )
    return Vocabulary(words, total, own.uri, tuple(files), held)


def _vocabulary_totals(_: int, file: pq.ParquetFile) -> pa.RecordBatch:
    """How many words a file of the vocabulary has, how often they occur in all, and how many are frozen."""
    columns = [name for name in file.schema_arrow.names if name in ("count", "frozen")]
    totals = {"words": 0, "count": 0, "frozen": 0}
    for batch in file.iter_batches(columns=columns):
        totals["words"] += len(batch)
        for name in columns:
            totals[name] += pc.sum(batch[name], min_count=0).as_py()
    return pa.RecordBatch.from_pylist([totals])


def _kept_words(
    spark: SparkSession, params: Params, counts: DataFrame, vocab: WordList | None, earlier: DataFrame | None
) -> DataFrame:
    """word, count of the words that the vocabulary takes, before the rarest are cut by max_vocab."""
    frequent, count = F.col("count") >= params.min_count, F.coalesce("count", F.lit(0)).alias("count")
    if vocab is not None:
        return vocab.words(spark).join(counts, "word", "left").select("word", count)
    if earlier is None:
        return counts.where(frequent)
    known = earlier.select("word", F.lit(True).alias("known")).distinct()
    return counts.join(known, "word", "full").where(frequent | F.col("known")).select("word", count)

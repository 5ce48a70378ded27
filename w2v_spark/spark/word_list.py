"""A list of words that the user gives: a ready vocabulary, or words to freeze."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from w2v_spark import store
from w2v_spark.errors import InputError
from w2v_spark.spark.failures import input_errors
from w2v_spark.spark.read import format_of_files, literal_path
from w2v_spark.spark.session import described, exists, hadoop_path, qualify
from w2v_spark.spark.tables import strict_reader

# of the words of a text file; what is no text has a half or more
_MOST_UNREADABLE = 0.1


@dataclass(frozen=True)
class WordList:
    """Words as the user named them, `file`. `identity` is where they lie with a digest of them, as they may change
    under their name: it goes into run.json and model.json.
    """

    file: str
    identity: str

    @classmethod
    def open(cls, spark: SparkSession, file: str, what: str) -> Self:
        """Look at a list before anything long begins; InputError where it is not there, or is none. `what` it is called
        in messages.
        """
        path = qualify(spark, file, what)
        if not exists(spark, path):
            raise InputError(f"{what} {file} does not exist")
        unreadable = F.count_if(F.col("word").rlike("[\\x00\ufffd]"))
        facts = F.count("*"), F.bit_xor(F.xxhash64("word")), unreadable
        with described(spark, f"read the {what}"), input_errors():
            found = _words(spark, file).agg(*facts).first()
        assert found is not None
        words, digest, damaged = found
        if not words:
            raise InputError(f"{what} {file} is empty: it needs a word a line")
        if damaged > _MOST_UNREADABLE * words:
            raise InputError(
                f"{what} {file} is no list of words: {damaged} of {words} have NUL or bytes that are no UTF-8; give "
                "text with a word a line, Parquet with a column 'word', or the output of a training run"
            )
        return cls(file, f"{path} ({words} words, {digest % 2**64:016x})")

    def words(self, spark: SparkSession) -> DataFrame:
        """word: every word once."""
        return _words(spark, self.file)


def _words(spark: SparkSession, file: str) -> DataFrame:
    """word: those of the column `word` of Parquet, of a model, or the first of each line of text."""
    path = qualify(spark, file)
    if _is_model(spark, path):
        path = f"{path}/{store.VOCAB}"
    path = literal_path(spark, path)
    with input_errors():
        if format_of_files(spark, path) == "parquet":
            frame = strict_reader(spark).parquet(path)
            if "word" not in frame.columns:
                raise InputError(f"{file} has no column 'word'; it has: {', '.join(frame.columns)}")
            if not isinstance(kind := frame.schema["word"].dataType, StringType):
                raise InputError(f"column 'word' of {file} is of type {kind.simpleString()}: must be string")
            words = frame.select("word")
        else:
            # U+FEFF: as editors on Windows begin a file
            line = F.regexp_replace("value", "^\ufeff?\\s*", "")
            words = strict_reader(spark).text(path).select(F.split(line, r"\s+", 2)[0].alias("word"))
        return words.select(F.make_valid_utf8("word").alias("word")).where(F.length("word") > 0).distinct()


def _is_model(spark: SparkSession, address: str) -> bool:
    # below a file nothing is looked for: hdfs takes that for an error
    path, files = hadoop_path(spark, address)
    return bool(files.getFileStatus(path).isDirectory()) and exists(spark, f"{address}/{store.MANIFEST}")

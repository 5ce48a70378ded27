"""Freezing: words whose vectors stay as they are in the earlier model that a run starts from."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from w2v_spark import store
from w2v_spark.errors import InputError, ParamError
from w2v_spark.params import Params
from w2v_spark.spark.count import check_vocab_file, ready_words
from w2v_spark.spark.failures import input_errors, plain_errors
from w2v_spark.spark.session import described, qualify
from w2v_spark.spark.tables import read_table
from w2v_spark.spark.warm_start import EarlierModel
from w2v_spark.workdir import Vocabulary

log = logging.getLogger(__name__)

EARLIER = "earlier"
_SHOWN_WORDS = 5


@dataclass(frozen=True)
class Freeze:
    """Which words keep the vectors of the `earlier` model: all that it has or, of these, those in the list `file`.

    What stays is a word's row of syn0, the vectors of words as centres, which is what is published; syn1, which
    predicts words, is no part of the earlier model and is learnt for every word. `identity` tells this from other words
    to freeze, for run.json and model.json.
    """

    earlier: EarlierModel
    file: str | None
    identity: str

    @classmethod
    def open(
        cls, spark: SparkSession, freeze: str | os.PathLike[str], earlier: EarlierModel | None, params: Params
    ) -> Freeze:
        """What `freeze` asks for, looked at before anything long begins; an error says why it cannot be done."""
        text = os.fspath(freeze)
        if earlier is None:
            raise ParamError(
                f"freeze {text} needs a model to start from, whose vectors the frozen words keep: give it by "
                "--start-from, or leave out --freeze"
            )
        if params.vectors != "input":
            raise ParamError(
                f"parameter vectors given invalid value {params.vectors!r}: must be input with freeze {text}, as only "
                "the vectors of words as centres can be frozen"
            )
        if text == EARLIER:
            return cls(earlier, None, EARLIER)
        check_vocab_file(spark, text, "file of words to freeze")
        return cls(earlier, text, _identity(spark, text))

    def words(self, spark: SparkSession) -> DataFrame:
        """word: every word to be frozen, once."""
        known = self.earlier.rows(spark).select("word").distinct()
        if self.file is None:
            return known
        return ready_words(spark, self.file).join(known, "word", "left_semi")

    def check(self, spark: SparkSession, vocabulary: Vocabulary) -> None:
        """Tell how many words of the vocabulary are frozen, and which of the list are not; refuse where none is."""
        if self.file is not None:
            with described(spark, "look up the words to freeze"), plain_errors():
                self._check_list(spark, vocabulary, self.file)
        elif not vocabulary.frozen:
            raise InputError(
                f"no word of the model to start from, {self.earlier.uri}, is in the vocabulary, so that freeze earlier "
                "keeps none: check --vocab and --max-vocab, or leave out --freeze"
            )
        log.info("%s of %s words are frozen", f"{vocabulary.frozen:,}", f"{vocabulary.words:,}")
        if vocabulary.frozen == vocabulary.words:
            log.warning("every word is frozen: training will change no vector that is published")

    def _check_list(self, spark: SparkSession, vocabulary: Vocabulary, file: str) -> None:
        columns = "word string, frozen boolean"
        rows = read_table(spark, f"{vocabulary.parent}/{store.VOCAB}", vocabulary.files, columns)
        listed = ready_words(spark, file).join(rows, "word", "left")
        found = {row["frozen"]: row["count"] for row in listed.groupBy("frozen").count().collect()}
        absent, new = listed.where(F.col("frozen").isNull()), listed.where(~F.col("frozen"))
        total = f"{sum(found.values()):,}"
        if found.keys() == {None}:
            raise InputError(
                f"none of the {total} words of {file} is in the vocabulary ({_some(absent)}), so that freeze keeps "
                "none: check the file and --lowercase"
            )
        if True not in found:
            raise InputError(
                f"no word of {file} that is in the vocabulary ({_some(new)}) is in the model to start from, "
                f"{self.earlier.uri}: freeze needs words that it has a vector of"
            )
        if None in found:
            log.warning("%s of %s words of %s are not in the vocabulary: %s", found[None], total, file, _some(absent))
        if False in found:
            what = "%s of %s words of %s are not in the model to start from, and learn as other new words do: %s"
            log.warning(what, found[False], total, file, _some(new))


def _identity(spark: SparkSession, file: str) -> str:
    """Where a list of words lies, with a digest of the words, which may change under its name."""
    with described(spark, "read the words to freeze"), input_errors():
        listed = ready_words(spark, file).agg(F.count("*"), F.bit_xor(F.xxhash64("word"))).first()
    assert listed is not None
    words, digest = listed
    if not words:
        raise InputError(f"file of words to freeze {file} is empty: it needs a word a line")
    return f"{qualify(spark, file)} ({words} words, {digest % 2**64:016x})"


def _some(rows: DataFrame) -> str:
    """The first few of the words, by the alphabet."""
    words = [f"{row[0]!r:.60}" for row in rows.select("word").orderBy("word").head(_SHOWN_WORDS + 1)]
    return ", ".join(words[:_SHOWN_WORDS]) + (", ..." if len(words) > _SHOWN_WORDS else "")

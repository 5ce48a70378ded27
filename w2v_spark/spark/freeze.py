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
from w2v_spark.spark.failures import plain_errors
from w2v_spark.spark.session import described
from w2v_spark.spark.tables import read_table
from w2v_spark.spark.warm_start import EarlierModel
from w2v_spark.spark.word_list import WordList
from w2v_spark.workdir.vocabulary import Vocabulary

log = logging.getLogger(__name__)

EARLIER = "earlier"
_SHOWN_WORDS = 5


@dataclass(frozen=True)
class Freeze:
    """Which words keep the vectors of the `earlier` model: all that it has or, of these, those `listed`.

    What stays is a word's row of syn0, the vectors of words as centres, which is what is published; syn1, which
    predicts words, is no part of the earlier model and is learnt for every word. `identity` tells this from other words
    to freeze, for run.json and model.json.
    """

    earlier: EarlierModel
    listed: WordList | None
    identity: str

    @classmethod
    def open(cls, spark: SparkSession, freeze: str | os.PathLike[str], earlier: EarlierModel) -> Freeze:
        """What `freeze` asks for, looked at before anything long begins; an error says why it cannot be done."""
        text = os.fspath(freeze)
        if text == EARLIER:
            return cls(earlier, None, EARLIER)
        listed = WordList.open(spark, text, "file of words to freeze")
        return cls(earlier, listed, listed.identity)

    def words(self, spark: SparkSession) -> DataFrame:
        """word: every word to be frozen, once."""
        known = self.earlier.rows(spark).select("word").distinct()
        if self.listed is None:
            return known
        return self.listed.words(spark).join(known, "word", "left_semi")

    def check(self, spark: SparkSession, vocabulary: Vocabulary) -> None:
        """Tell how many words of the vocabulary are frozen, and which of the list are not; refuse where none is."""
        if self.listed is not None:
            with described(spark, "look up the words to freeze"), plain_errors():
                self._check_list(spark, vocabulary, self.listed)
        elif not vocabulary.frozen:
            raise InputError(
                f"no word of the model to start from, {self.earlier.uri}, is in the vocabulary, so that freeze earlier "
                "keeps none: check --vocab and --max-vocab, or leave out --freeze"
            )
        log.info("%s of %s words are frozen", f"{vocabulary.frozen:,}", f"{vocabulary.words:,}")
        if vocabulary.frozen == vocabulary.words:
            log.warning("every word is frozen: training will change no vector that is published")

    def _check_list(self, spark: SparkSession, vocabulary: Vocabulary, words: WordList) -> None:
        columns = "word string, frozen boolean"
        rows = read_table(spark, f"{vocabulary.parent}/{store.VOCAB}", vocabulary.files, columns)
        listed, file = words.words(spark).join(rows, "word", "left"), words.file
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


def check_freeze(
    freeze: str | os.PathLike[str] | None, start_from: str | os.PathLike[str] | None, params: Params
) -> None:
    """Refuse what can never be frozen; needs no Spark."""
    if freeze is None:
        return
    if start_from is None:
        raise ParamError(
            f"freeze {os.fspath(freeze)} needs a model to start from, whose vectors the frozen words keep: give it by "
            "--start-from, or leave out --freeze"
        )
    if params.vectors != "input":
        raise ParamError(
            f"parameter vectors given invalid value {params.vectors!r}: must be input with freeze {os.fspath(freeze)}, "
            "as only the vectors of words as centres can be frozen"
        )


def _some(rows: DataFrame) -> str:
    """The first few of the words, by the alphabet."""
    words = [f"{row[0]!r:.60}" for row in rows.select("word").orderBy("word").head(_SHOWN_WORDS + 1)]
    return ", ".join(words[:_SHOWN_WORDS]) + (", ..." if len(words) > _SHOWN_WORDS else "")

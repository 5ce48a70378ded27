"""From documents to the vocabulary, step by step: phrases, counts, and the words that are kept; what an earlier run did
on the same input is used again.
"""

from __future__ import annotations

import logging
import time

from pyspark.sql import DataFrame, SparkSession

from w2v_spark import store, workdir
from w2v_spark.params import Params
from w2v_spark.spark import count, phrases
from w2v_spark.spark.attempts import redo
from w2v_spark.spark.claim import Run
from w2v_spark.spark.freeze import Freeze
from w2v_spark.spark.progress import live, tasks_done
from w2v_spark.spark.read import Documents
from w2v_spark.spark.warm_start import EarlierModel
from w2v_spark.spark.word_list import WordList
from w2v_spark.workdir.vocabulary import Vocabulary

log = logging.getLogger(__name__)


def count_vocabulary(
    spark: SparkSession,
    run: Run,
    documents: Documents,
    params: Params,
    vocab: WordList | None,
    earlier: EarlierModel | None,
    freeze: Freeze | None,
) -> Vocabulary:
    """The vocabulary, counted now or by an earlier run on the same input."""
    started = time.perf_counter()
    # a function of the user's own may have changed under its name
    content = documents.fingerprint if ":" not in params.tokenizer else None
    words_key = run.key(content, documents.words, params.tokenizer, params.lowercase)
    counts_key = _counts_key(run, params, words_key)
    given = [part and part.identity for part in (vocab, earlier, freeze)]
    vocab_key = run.key(counts_key, params.min_count, params.max_vocab, *given)
    if done := run.done("vocabulary", vocab_key, store.VOCAB):
        log.info("reuse the vocabulary counted before")
        return Vocabulary.from_dict(run.place("vocabulary"), done)
    words = _count_words(spark, run, documents, params, words_key)

    def number(_: int) -> Vocabulary:
        known = earlier.rows(spark) if earlier else None
        frozen = freeze.words(spark) if freeze else None
        numbered = count.write_vocabulary(spark, params, _counts(spark, run), run.own, vocab, known, frozen)
        if freeze:
            freeze.check(spark, numbered)
        return numbered

    with live("counting", tasks_done(spark)):
        run.begin("vocabulary")
        vocabulary = redo(spark, "numbering the vocabulary", number)
    run.mark("vocabulary", vocab_key, vocabulary.to_dict())
    seconds = time.perf_counter() - started
    share = vocabulary.total_count / words
    log.info(
        "counted %s words in %.1f s: %s kept, which cover %.1f %%",
        f"{words:,}",
        seconds,
        f"{vocabulary.words:,}",
        100 * share,
    )
    return vocabulary


def _counts_key(run: Run, params: Params, words_key: str | None) -> str | None:
    return run.key(words_key, *phrases.settings(params))


def _count_words(spark: SparkSession, run: Run, documents: Documents, params: Params, words_key: str | None) -> int:
    """Count every word and phrase, unless an earlier run has; how many the input has in all."""
    key = _counts_key(run, params, words_key)
    if done := run.done("counts", key, workdir.COUNTS):
        return int(done["words"])
    redo(spark, "looking at the text", lambda _: count.check_script(spark, documents, params))
    phrases.find_phrases(spark, run, documents, params, words_key)
    joined = phrases.phrase_tables(run, params.phrases)
    run.begin("counts")
    with live("counting", tasks_done(spark)):
        words, files = redo(spark, "counting", lambda _: count.write_counts(spark, documents, params, run.own, joined))
    run.mark("counts", key, {"words": words, "files": store.files_as_json(files)})
    return words


def _counts(spark: SparkSession, run: Run) -> DataFrame:
    """word, count: every word of the input."""
    return count.read_counts(spark, run.place("counts"), store.files_from_json(run.stages["counts"]["files"]))

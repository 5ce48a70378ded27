"""From documents to the vocabulary, step by step: phrases, counts, and the words that are kept; what an earlier run did
on the same input is used again.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from pyspark.sql import SparkSession

from w2v_spark import store, workdir
from w2v_spark.params import Params
from w2v_spark.place import FileEntry
from w2v_spark.spark import count, phrases
from w2v_spark.spark.attempts import redo
from w2v_spark.spark.freeze import Freeze
from w2v_spark.spark.progress import live, tasks_done
from w2v_spark.spark.read import Documents
from w2v_spark.spark.run import Run
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
    counts_key = run.key(words_key, *phrases.settings(params))
    given = [part and part.identity for part in (vocab, earlier, freeze)]
    vocab_key = run.key(counts_key, params.min_count, params.max_vocab, *given)

    def count_words() -> dict[str, Any]:
        redo(spark, "looking at the text", lambda _: count.check_script(spark, documents, params))
        phrases.find_phrases(spark, run, documents, params, words_key)
        joined = phrases.phrase_tables(run, params.phrases)

        def write(_: int) -> tuple[int, list[FileEntry]]:
            return count.write_counts(spark, documents, params, run.own, joined)

        with live("counting", tasks_done(spark)):
            words, files = redo(spark, "counting", write)
        return {"words": words, "files": store.files_as_json(files)}

    def number_words() -> dict[str, Any]:
        noted = run.once("counts", counts_key, workdir.COUNTS, count_words)

        def write(_: int) -> Vocabulary:
            counts = count.read_counts(spark, run.place("counts"), store.files_from_json(noted["files"]))
            known = earlier.rows(spark) if earlier else None
            frozen = freeze.words(spark) if freeze else None
            numbered = count.write_vocabulary(spark, params, counts, run.own, vocab, known, frozen)
            if freeze:
                freeze.check(spark, numbered)
            return numbered

        with live("counting", tasks_done(spark)):
            numbered = redo(spark, "numbering the vocabulary", write)
        log.info(
            "counted %s words in %.1f s: %s kept, which cover %.1f %%",
            f"{noted['words']:,}",
            time.perf_counter() - started,
            f"{numbered.words:,}",
            100 * numbered.total_count / noted["words"],
        )
        return numbered.to_dict()

    noted = run.once("vocabulary", vocab_key, store.VOCAB, number_words)
    return Vocabulary.from_dict(run.place("vocabulary"), noted)

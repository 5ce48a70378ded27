"""Finding phrases: pass after pass, two words that often stand side by side become one, as word2phrase and gensim's
Phrases have it. Nothing is collected but totals.

    score(a, b) = (count(a b) - phrase_min_count) * tokens / (count(a) * count(b))     Mikolov et al. 2013b, eq. 6

`tokens` is how many different words and pairs of neighbours there are. A pair whose score exceeds phrase_threshold is a
phrase.

work/TAG/phrases/PASS/  first, second: the words of each phrase; executors that count or encode keep them on disk
work/TAG/tokens/        token, count, joined: removed when the pass is done
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from w2v_spark import store
from w2v_spark.corpus.phrases import JOINED_BY, PhraseTable, count_tokens
from w2v_spark.errors import InputError
from w2v_spark.params import Params
from w2v_spark.place import Place
from w2v_spark.spark.attempts import redo
from w2v_spark.spark.count import words_function
from w2v_spark.spark.failures import input_errors, plain_errors
from w2v_spark.spark.progress import live, tasks_done
from w2v_spark.spark.read import Documents
from w2v_spark.spark.run import Run
from w2v_spark.spark.session import described
from w2v_spark.spark.tables import read_table, writer

log = logging.getLogger(__name__)

_PHRASES, _TOKENS = "phrases", "tokens"
_TOKENS_COLUMNS = "token string, count long, joined long"
# who brings them to an executor's disk holds about 100 bytes for each: half a GB
_MOST_PHRASES = 5_000_000


def settings(params: Params) -> tuple[Any, ...]:
    """What shapes the words that are counted and encoded, beside the tokeniser; nothing where no phrases are asked
    for.
    """
    return (params.phrases, params.phrase_min_count, params.phrase_threshold) if params.phrases else ()


def find_phrases(spark: SparkSession, run: Run, documents: Documents, params: Params, words_key: str | None) -> None:
    """Find the phrases of every pass, or use those that an earlier run found in the same words (by their key)."""
    for number in range(1, params.phrases + 1):
        key = run.key(words_key, params.phrase_min_count, params.phrase_threshold, number)
        find = functools.partial(_find_pass, spark, run, documents, params, number)
        run.once(_stage(number), key, f"{_PHRASES}/{number}", find)


def _find_pass(spark: SparkSession, run: Run, documents: Documents, params: Params, number: int) -> dict[str, Any]:
    """One pass, on words that the passes before have joined; what run.json notes of it."""
    started, earlier = time.perf_counter(), phrase_tables(run, number - 1)
    with live("finding phrases", tasks_done(spark)):
        facts = redo(
            spark,
            f"finding phrases, pass {number}",
            lambda _: _write_pass(spark, documents, params, run.own, earlier, number),
        )
    seconds = time.perf_counter() - started
    log.info("pass %d found %s phrases in %.1f s", number, f"{facts['phrases']:,}", seconds)
    return facts


def phrase_tables(run: Run, passes: int) -> list[PhraseTable]:
    """Where the phrases of those of the first passes lie that found any, by run.json."""
    found = []
    for number in range(1, passes + 1):
        if not run.stages[_stage(number)]["phrases"]:
            continue
        files = tuple(store.files_from_json(run.stages[_stage(number)]["files"]))
        place = run.place(_stage(number)).child(_PHRASES).child(str(number))
        found.append(PhraseTable(place.uri, files))
    return found


def _stage(number: int) -> str:
    return f"{_PHRASES}-{number}"


def _write_pass(
    spark: SparkSession, documents: Documents, params: Params, own: Place, earlier: Sequence[PhraseTable], number: int
) -> dict[str, Any]:
    """Write the phrases of one pass; how many they are, and their files."""
    place = own.child(_PHRASES).child(str(number))
    counted = _write_tokens(spark, documents, params, own, earlier)
    with described(spark, f"choose the phrases of pass {number}"), plain_errors():
        found = _phrases(counted, counted.count(), params.phrase_min_count, params.phrase_threshold)
        writer(found.repartition(1)).parquet(place.uri)
        files = place.files()
        phrases = read_table(spark, place.uri, files, "first string").count()
    own.delete(_TOKENS)
    if phrases > _MOST_PHRASES:
        place.delete()
        raise InputError(
            f"pass {number} finds {phrases:,} phrases, more than the {_MOST_PHRASES:,} that a task can hold: "
            f"raise --phrase-threshold (now {params.phrase_threshold:g}) or --phrase-min-count (now "
            f"{params.phrase_min_count})"
        )
    return {"phrases": phrases, "files": store.files_as_json(files)}


def _write_tokens(
    spark: SparkSession, documents: Documents, params: Params, own: Place, earlier: Sequence[PhraseTable]
) -> DataFrame:
    """Count every word and every two neighbours into tokens/; token, count, joined as they lie there."""
    words, place = words_function(documents, params, earlier), own.child(_TOKENS)

    def count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for flat, lengths in words(batches):
            yield from count_tokens(flat, lengths)

    with described(spark, "count words and their neighbours"), input_errors():
        counted = (
            documents.frame.mapInArrow(count, _TOKENS_COLUMNS)
            .groupBy("token")
            .agg(F.sum("count").alias("count"), F.sum("joined").alias("joined"))
        )
        writer(counted).parquet(place.uri)
    return read_table(spark, place.uri, place.files(), _TOKENS_COLUMNS)


def _phrases(counted: DataFrame, tokens: int, min_count: int, threshold: float) -> DataFrame:
    """first, second: the pairs whose score exceeds the threshold."""
    # a score above zero needs a count above min_count, which leaves few of the pairs
    pairs = _halves(counted.where((F.col("joined") > 0) & (F.col("count") > min_count)))
    words = counted.where(F.col("count") > F.col("joined"))
    first = words.select(F.col("token").alias("first"), F.col("count").cast("double").alias("count_first"))
    second = words.select(F.col("token").alias("second"), F.col("count").cast("double").alias("count_second"))
    # the order of gensim's arithmetic, for its very bits
    above = (F.col("count") - min_count).cast("double")
    score = above / (F.col("count_first") * F.col("count_second")) * F.lit(float(tokens))
    scored = pairs.join(first, "first").join(second, "second")
    return scored.where(score > threshold).select("first", "second")


def _halves(tokens: DataFrame) -> DataFrame:
    """first, second, count: the two parts of a token, for each place where it may have been joined; a part that is no
    word will find no count.
    """
    parts, cut = F.split("token", JOINED_BY), F.col("cut")
    cuts = tokens.select(parts.alias("parts"), "count", F.explode(F.sequence(F.lit(1), F.size(parts) - 1)).alias("cut"))
    rest = F.slice("parts", cut + 1, F.size("parts") - cut)
    return cuts.select(
        F.array_join(F.slice("parts", 1, cut), JOINED_BY).alias("first"),
        F.array_join(rest, JOINED_BY).alias("second"),
        "count",
    )

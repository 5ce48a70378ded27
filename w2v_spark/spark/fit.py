"""Training from text to published vectors: the steps in order. `train` is what jobs/train.py, notebooks and the
Estimator call.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from w2v_spark import store
from w2v_spark.params import Params
from w2v_spark.place import Place
from w2v_spark.spark import cluster, count, encode, publish, rounds
from w2v_spark.spark.claim import Run, claim_output
from w2v_spark.spark.cluster import Layout
from w2v_spark.spark.count import Vocabulary
from w2v_spark.spark.plan import Plan
from w2v_spark.spark.progress import ReplicaProgress, live, tasks_done, training_line
from w2v_spark.spark.read import Documents, Source, read_documents
from w2v_spark.spark.session import get_session, is_local, qualify, text_settings
from w2v_spark.training.schedule import Round, plan_rounds, replica_step_size, step_at
from w2v_spark.training.shard import ShardJob
from w2v_spark.vectors.vectors import Vectors
from w2v_spark.workdir import CorpusIndex, Pointer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """A finished run: where it lies and what it was trained with."""

    output: str
    params: Params
    words_per_second: float
    loss: float

    @property
    def wv(self) -> Vectors:
        """The vectors, opened from disk."""
        return Vectors.open(self.output)


def train(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | DataFrame | Source,
    output: str | os.PathLike[str],
    *,
    column: str | None = None,
    format: str | None = None,
    vocab: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    keep_work: bool = False,
    spark: SparkSession | None = None,
    **params: Any,
) -> Trained:
    """Train on text and write the vectors to `output`.

    `source`: a path or paths of text, Parquet, JSON or CSV, or a DataFrame; `column` holds the text (string) or the
    words (array<string>).
    `vocab`: a ready list of words. `overwrite` replaces a finished model. `params` are those of `w2v_spark.Params`.
    Errors that a user can mend are W2VErrors.
    """
    prepared = prepare(_source(source, column, format), output, vocab=vocab, overwrite=overwrite, spark=spark, **params)
    return prepared.train(keep_work)


def plan(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | DataFrame | Source,
    output: str | os.PathLike[str],
    *,
    column: str | None = None,
    format: str | None = None,
    vocab: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    spark: SparkSession | None = None,
    **params: Any,
) -> Plan:
    """Count, resolve what is auto, and tell what training would need; what was counted is reused by `train` on the
    same output.
    """
    prepared = prepare(_source(source, column, format), output, vocab=vocab, overwrite=overwrite, spark=spark, **params)
    return Plan(prepared.params, prepared.vocabulary.words, prepared.vocabulary.total_count, prepared.layout.executors)


@dataclass(frozen=True)
class Prepared:
    """A run that has counted its input and resolved its parameters."""

    spark: SparkSession
    run: Run
    documents: Documents
    params: Params
    layout: Layout
    vocabulary: Vocabulary

    def train(self, keep_work: bool) -> Trained:
        """Encode, train and publish."""
        started = time.perf_counter()
        corpus = _encoded(self.spark, self.run, self.documents, self.params, self.vocabulary)
        pointer = rounds.write_start(
            self.spark, self.run.output, self.vocabulary, self.params.vector_size, self.params.seed
        )
        metrics, pointer = _all_rounds(
            self.spark, self.run.output, self.params, self.layout, self.vocabulary, corpus, pointer
        )
        trained = _summary(self.run.output, self.params, metrics)
        _publish(self.spark, self.run, self.params, self.vocabulary, pointer, metrics)
        if not keep_work:
            self.run.output.child(store.WORK).delete()
        log.info(
            "wrote %d vectors to %s, %.0f s after counting",
            self.vocabulary.words,
            self.run.output.uri,
            time.perf_counter() - started,
        )
        return trained


def prepare(
    source: Source,
    output: str | os.PathLike[str],
    *,
    vocab: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    spark: SparkSession | None = None,
    **params: Any,
) -> Prepared:
    """Check everything that can be checked, count, and resolve what is auto."""
    checked = Params.from_dict(params)
    spark = spark or get_session()
    documents = read_documents(spark, source)
    run = claim_output(Place.open(qualify(spark, output)), spark.sparkContext.applicationId, overwrite)
    cluster.probe(spark, run.output)
    vocabulary = _counted(spark, run, documents, checked, None if vocab is None else os.fspath(vocab))
    resolved, layout = cluster.resolve(spark, checked)
    log.info("%s", Plan(resolved, vocabulary.words, vocabulary.total_count, layout.executors).line())
    return Prepared(spark, run, documents, resolved, layout, vocabulary)


def _source(source: Any, column: str | None, format: str | None) -> Source:
    if isinstance(source, Source):
        return source
    if isinstance(source, DataFrame):
        return Source(dataframe=source, column=column)
    paths = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    return Source(paths=tuple(os.fspath(p) for p in paths), column=column, format=format)


def _counted(spark: SparkSession, run: Run, documents: Documents, params: Params, vocab_file: str | None) -> Vocabulary:
    """The vocabulary, counted now or by an earlier run on the same input."""
    started = time.perf_counter()
    # a function of the user's own, or a list of words, may have changed under its name
    content = documents.fingerprint if ":" not in params.tokenizer else None
    counts_key = run.key(content, documents.words, params.tokenizer, params.lowercase)
    vocab_key = run.key(counts_key, params.min_count, params.max_vocab) if vocab_file is None else None
    work = run.output.child(store.WORK)
    done = run.done("vocabulary", vocab_key)
    if done:
        log.info("reuse the vocabulary counted before")
        return Vocabulary(done["words"], done["total_count"], work.child(store.VOCAB).files())
    with text_settings(spark), live("counting", tasks_done(spark)):
        counted = run.done("counts", counts_key)
        if not counted:
            run.begin("counts")
            count.check_script(documents, params)
            counted = {"words": count.write_counts(spark, documents, params, work)}
            run.mark("counts", counts_key, counted)
        run.begin("vocabulary")
        vocabulary = count.write_vocabulary(spark, params, work, vocab_file)
    run.mark("vocabulary", vocab_key, {"words": vocabulary.words, "total_count": vocabulary.total_count})
    seconds = time.perf_counter() - started
    share = vocabulary.total_count / counted["words"]
    log.info(
        "counted %s words in %.1f s: %s kept, which cover %.1f %%",
        f"{counted['words']:,}",
        seconds,
        f"{vocabulary.words:,}",
        100 * share,
    )
    return vocabulary


def _encoded(
    spark: SparkSession, run: Run, documents: Documents, params: Params, vocabulary: Vocabulary
) -> CorpusIndex:
    """The corpus as ids, encoded now or by an earlier run on the same input and vocabulary."""
    started = time.perf_counter()
    key = run.key(run.key_of("vocabulary"), params.max_sentence_length)
    if run.done("corpus", key):
        log.info("reuse the corpus encoded before")
        return CorpusIndex.read(run.output.child(store.WORK))
    run.begin("corpus")
    with text_settings(spark), live("encoding", tasks_done(spark)):
        corpus = encode.write_corpus(spark, documents, params, run.output, vocabulary)
    run.mark("corpus", key, {"words": corpus.words()})
    log.info(
        "encoded %s words into %d buckets in %.1f s",
        f"{corpus.words():,}",
        len(corpus.buckets),
        time.perf_counter() - started,
    )
    return corpus


def _all_rounds(
    spark: SparkSession,
    output: Place,
    params: Params,
    layout: Layout,
    vocabulary: Vocabulary,
    corpus: CorpusIndex,
    pointer: Pointer,
) -> tuple[list[dict[str, Any]], Pointer]:
    """Train round after round; returns a row of metrics for each shard and round, and the last pointer."""
    schedule = plan_rounds(params.max_iter, params.rounds_per_epoch or 1, params.num_replicas or 1)
    vocab_files = [f.to_dict() for f in vocabulary.files]
    total, metrics, started = corpus.words() * params.max_iter, list[dict[str, Any]](), time.perf_counter()
    loss = float("nan")
    with ReplicaProgress(params.num_replicas or 1) as progress:
        for round in schedule:
            before = int(round.start * corpus.words())

            def measure(before: int = before, loss: float = loss) -> str:
                words, now = progress.read()
                return training_line(before + words, total, time.perf_counter() - started, now if now == now else loss)

            progress.reset()
            job = ShardJob(output.uri, params, round, pointer, vocab_files, progress.path if is_local(spark) else None)
            name = _round_name(round, len(schedule), params.max_iter)
            begun = time.perf_counter()
            with live(name, measure):
                result = rounds.run_round(spark, output, job, layout, name)
            pointer, seconds = result.pointer, time.perf_counter() - begun
            rows = [_metrics_row(params, round, shard, seconds, result.longest_row) for shard in result.shards]
            metrics += rows
            loss = _mean_loss(rows)
            done = int(round.stop * corpus.words())
            log.info("%s: %s", name, training_line(done, total, time.perf_counter() - started, loss))
    return metrics, pointer


def _round_name(round: Round, rounds_in_all: int, epochs: int) -> str:
    return f"round {round.number}/{rounds_in_all} (to epoch {round.stop:.2f} of {epochs})"


def _metrics_row(
    params: Params, round: Round, shard: dict[str, Any], seconds: float, longest_row: float
) -> dict[str, Any]:
    """A row of OUT/metrics."""
    start = step_at(
        round.start,
        params.max_iter,
        replica_step_size(params.step_size, params.num_replicas or 1),
        params.min_step_size,
    )
    loss = shard["loss_sum"] / shard["loss_pairs"] if shard["loss_pairs"] else None
    own = {
        "start": round.start,
        "stop": round.stop,
        "step_size": start,
        "loss": loss,
        "seconds_round": seconds,
        "longest_row": longest_row,
    }
    return {**shard, **own}


def _mean_loss(rows: list[dict[str, Any]]) -> float:
    """The shards' losses, weighted by their pairs."""
    known = [(r["loss"], r["pairs"]) for r in rows if r["loss"] is not None]
    pairs = sum(p for _, p in known)
    return sum(x * p for x, p in known) / pairs if pairs else float("nan")


def _summary(output: Place, params: Params, metrics: list[dict[str, Any]]) -> Trained:
    last = max(row["round"] for row in metrics)
    seconds = sum({row["round"]: row["seconds_round"] for row in metrics}.values())
    words = sum(row["words"] for row in metrics)
    return Trained(output.uri, params, words / seconds, _mean_loss([r for r in metrics if r["round"] == last]))


def _publish(
    spark: SparkSession,
    run: Run,
    params: Params,
    vocabulary: Vocabulary,
    pointer: Pointer,
    metrics: list[dict[str, Any]],
) -> None:
    """Write vectors and metrics, then the manifest that makes them a model."""
    run.make_room()
    with live("publishing", tasks_done(spark)):
        words = publish.write_vocabulary(spark, run.output)
        vectors = publish.write_vectors(spark, run.output, vocabulary, pointer, params.vector_size)
        measured = publish.write_metrics(spark, run.output, metrics)
    files = {store.VOCAB: words, store.VECTORS: vectors, store.METRICS: measured}
    about = {
        "vocabulary": {"words": vocabulary.words, "total_count": vocabulary.total_count},
        "input": {"fingerprint": run.key_of("counts")},
        "cpu": sorted({row["cpu"] for row in metrics}),
    }
    run.output.write_json(store.MANIFEST, store.model_manifest(params.to_dict(), files, **about))

"""Training from text to published vectors: the steps in order. `train` is what jobs/train.py, notebooks and the
Estimator call.
"""

from __future__ import annotations

import functools
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Unpack

from pyspark.sql import SparkSession

from w2v_spark import store, workdir
from w2v_spark.errors import FormatError, W2VError
from w2v_spark.kernels.checks import check_softmax
from w2v_spark.params import Params, ParamValues
from w2v_spark.pictures import report
from w2v_spark.place import FileEntry, Place
from w2v_spark.spark import encode, phrases, publish, rounds
from w2v_spark.spark.attempts import redo
from w2v_spark.spark.claim import claim_output
from w2v_spark.spark.freeze import Freeze, check_freeze
from w2v_spark.spark.layout import Layout, resolve
from w2v_spark.spark.loop import Encoded, stepped_back, train_rounds
from w2v_spark.spark.memory import check_memory
from w2v_spark.spark.plan import Plan, counted
from w2v_spark.spark.probe import probe
from w2v_spark.spark.progress import live, tasks_done
from w2v_spark.spark.read import Documents, Source, Text, read_documents, source_of
from w2v_spark.spark.resume import Progress, identity, read_progress, unfinished
from w2v_spark.spark.run import Run
from w2v_spark.spark.scoring import Scoring, going_on, settings
from w2v_spark.spark.session import block_session, get_session, is_local, qualify, require_classic, word_session
from w2v_spark.spark.vocabulary import count_vocabulary
from w2v_spark.spark.warm_start import EarlierModel
from w2v_spark.spark.word_list import WordList
from w2v_spark.training.history import last_loss, trained_rounds, words_per_second
from w2v_spark.training.schedule import largest_step
from w2v_spark.vectors.vectors import Vectors
from w2v_spark.workdir.blocks import block_count
from w2v_spark.workdir.corpus import CorpusIndex
from w2v_spark.workdir.vocabulary import Vocabulary

log = logging.getLogger(__name__)

_UNTRAINED = (
    "nothing was trained, and the vectors of %s are those that training starts with: subsampling (%s) left no two "
    "words side by side; give sample = 0 for so small a text"
)


@dataclass(frozen=True)
class Trained:
    """A finished run: where it lies, what it was trained with, and the loss of its last round that measured one."""

    output: str
    params: Params = field(repr=False)
    words_per_second: float
    loss: float | None

    @functools.cached_property
    def wv(self) -> Vectors:
        """The vectors, opened from disk when first asked for."""
        return Vectors.open(self.output)


def train(
    source: Text,
    output: str | os.PathLike[str],
    *,
    column: str | None = None,
    format: str | None = None,
    vocab: str | os.PathLike[str] | None = None,
    start_from: str | os.PathLike[str] | None = None,
    freeze: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    keep_work: bool = False,
    scoring: Scoring | None = None,
    spark: SparkSession | None = None,
    **params: Unpack[ParamValues],
) -> Trained:
    """Train on text and write the vectors to `output`.

    `source`: a path or paths of text, Parquet, JSON or CSV, or a DataFrame; `column` holds the text (string) or the
    words (array<string>).
    `vocab`: a ready list of words. `start_from`: a model from whose vectors its words start. `freeze`: those of its
    words whose vectors stay as they are: "earlier" for all, or a file with a word a line. `overwrite` replaces a
    finished model, and begins an unfinished run anew. `scoring` scores the model while it is trained. `params`
    are those of `w2v_spark.Params`.
    Errors that a user can mend are W2VErrors.
    """
    given = source_of(source, column, format)
    common: dict[str, Any] = {"vocab": vocab, "start_from": start_from, "freeze": freeze, "overwrite": overwrite}
    with prepare(given, output, spark=spark, **common, **params) as prepared:
        return prepared.train(keep_work, scoring)


@dataclass(frozen=True)
class Prepared:
    """A run whose parameters are resolved: counted, or found unfinished. `spark` is its session for text and words,
    `blocks` that for blocks of the model; `given` tells how it was started.
    """

    spark: SparkSession
    blocks: SparkSession
    run: Run
    documents: Documents
    params: Params
    layout: Layout
    vocabulary: Vocabulary
    earlier: EarlierModel | None
    given: dict[str, Any]

    @property
    def plan(self) -> Plan:
        """What training will need."""
        layout, words, corpus = self.layout, self.vocabulary.words, self.vocabulary.total_count
        of_cluster = (layout.executors, layout.cores, is_local(self.spark), layout.gpus, layout.task_cores)
        return Plan(self.params, words, corpus, *of_cluster)

    def train(self, keep_work: bool = False, scoring: Scoring | None = None) -> Trained:
        """Encode, train and publish, or go on where an unfinished run was."""
        spark, run, params, vocabulary = self.spark, self.run, self.params, self.vocabulary
        started = time.perf_counter()
        redo(spark, "asking the executors for their memory", lambda _: check_memory(spark, self.plan))
        if run.training is None:
            corpus = _encoded(spark, run, self.documents, params, vocabulary)
            progress = self._begin_rounds(scoring)
        else:
            corpus, progress = Encoded(run.place("corpus"), run.stages["corpus"]["words"]), read_progress(run)
            rounds.go_on_from(run, progress.pointer, progress.before)
            scoring, noted = going_on(scoring, run.training["scoring"], progress.pointer.round)
            run.begin_training(run.training | {"scoring": noted})
        while True:
            progress = train_rounds(self.blocks, run, params, self.layout, vocabulary, corpus, progress, scoring)
            try:
                _publish(self, progress)
                break
            except FormatError as e:
                progress = stepped_back(progress, e)
        trained = _summary(run.output, params, progress.metrics)
        run.finish(keep_work)
        seconds = time.perf_counter() - started
        log.info("%s in %s, after %.0f s", counted(vocabulary.words, "vector"), run.output.uri, seconds)
        if not any(row["pairs"] for row in progress.metrics):
            log.warning(_UNTRAINED, run.output.uri, f"sample = {params.sample:g}")
        return trained

    def _begin_rounds(self, scoring: Scoring | None = None) -> Progress:
        """Write the first vectors, and note what the rounds are trained with."""
        run, params = self.run, self.params
        if self.earlier:
            log.info(
                "words of %s start from their vectors there; what predicts them (syn1) starts at zero, so that the "
                "loss begins higher than it ended there",
                self.earlier.uri,
            )
        start = redo(
            self.spark,
            "drawing the first vectors",
            lambda _: rounds.write_start(
                self.blocks,
                run,
                self.vocabulary,
                params.vector_size,
                params.seed,
                self.layout.merge_tasks,
                self.earlier,
            ),
        )
        record = {"given": self.given, "params": params.to_dict(), "vocabulary": self.vocabulary.to_dict()}
        run.begin_training(record | {"merge_tasks": self.layout.merge_tasks, "scoring": settings(scoring)})
        return Progress(start, None, [])


@contextmanager
def prepare(
    source: Source,
    output: str | os.PathLike[str],
    *,
    vocab: str | os.PathLike[str] | None = None,
    start_from: str | os.PathLike[str] | None = None,
    freeze: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    only_plan: bool = False,
    spark: SparkSession | None = None,
    **params: Unpack[ParamValues],
) -> Iterator[Prepared]:
    """Check everything that can be checked, count, and resolve what is auto; what was counted is used again by a later
    run on the same output. The output is held for the block. With `only_plan` the rounds of an unfinished run are never
    dropped.
    """
    checked = Params.from_dict(params)
    check_freeze(freeze, start_from, checked)
    session = spark or get_session()
    require_classic(session)
    place = Place.open(qualify(session, output, "output directory"))
    documents = redo(session, "looking at the input", lambda _: read_documents(session, source))
    spark, blocks = word_session(session), block_session(session)
    listed = None if vocab is None else WordList.open(spark, os.fspath(vocab), "vocabulary file")
    earlier = None if start_from is None else EarlierModel.open(spark, start_from, checked, output)
    frozen = Freeze.open(spark, freeze, earlier) if freeze is not None and earlier else None
    run = claim_output(place, spark.sparkContext.applicationId, overwrite, only_plan)
    try:
        executors = redo(spark, "asking the executors", lambda _: probe(spark, run.output))
        given = identity(
            checked,
            documents.identity,
            vocab=listed.identity if listed else None,
            start_from=earlier.identity if earlier else None,
            freeze=frozen.identity if frozen else None,
        )
        if begun := unfinished(run, given):
            checked, vocabulary = begun.params, begun.vocabulary
        else:
            vocabulary = count_vocabulary(spark, run, documents, checked, listed, earlier, frozen)
            if checked.loss == "softmax":
                check_softmax(vocabulary.words)
        resolved, layout = resolve(spark, checked, vocabulary.total_count, executors)
        most = block_count(vocabulary.words, resolved.vector_size)
        layout = replace(layout, merge_tasks=begun.merge_tasks if begun else min(layout.merge_tasks, most))
        prepared = Prepared(spark, blocks, run, documents, resolved, layout, vocabulary, earlier, given)
        log.info("%s", prepared.plan.line())
        _warn_of_large_steps(resolved)
        yield prepared
    except FormatError as e:
        with suppress(W2VError, OSError):  # the output is another run's by now, or cannot be written
            run.forget_damaged(e)
        raise
    finally:
        run.release()


def _warn_of_large_steps(params: Params) -> None:
    if params.step_size > (most := largest_step(params)):
        log.warning(
            "step_size %g is taken as %.3g until it has decayed to that: with window_size %d and negative %d a word "
            "gets so many updates at once that training would diverge",
            *(params.step_size, most, params.window_size, params.negative),
        )


def _encoded(spark: SparkSession, run: Run, documents: Documents, params: Params, vocabulary: Vocabulary) -> Encoded:
    """The corpus as ids, encoded now or by an earlier run on the same input and vocabulary."""
    started = time.perf_counter()
    joined = phrases.phrase_tables(run, params.phrases)

    def write(_: int) -> CorpusIndex:
        return encode.write_corpus(spark, documents, params, run.own, vocabulary, joined)

    def encode_words() -> dict[str, Any]:
        with live("encoding", tasks_done(spark)):
            corpus = redo(spark, "encoding", write)
        log.info(
            "encoded %s into %s in %.1f s",
            counted(corpus.words(), "word"),
            counted(len(corpus.buckets), "bucket"),
            time.perf_counter() - started,
        )
        return {"words": corpus.words(), "files": store.files_as_json(corpus.files)}

    key = run.key(run.key_of("vocabulary"), params.max_sentence_length)
    noted = run.once("corpus", key, workdir.CORPUS, encode_words, workdir.CORPUS_INDEX)
    return Encoded(run.place("corpus"), noted["words"])


def _summary(output: Place, params: Params, metrics: list[dict[str, Any]]) -> Trained:
    done = trained_rounds(metrics)
    return Trained(output.uri, params, words_per_second(done), last_loss(done))


def _publish(prepared: Prepared, progress: Progress) -> None:
    """Write vectors, metrics and report beside the output, then move them there, last the manifest that makes them a
    model.
    """
    spark, run, params, vocabulary = prepared.spark, prepared.run, prepared.params, prepared.vocabulary

    def write(attempt: int) -> dict[str, list[FileEntry]]:
        files = {}
        run.still_ours()
        files[store.VOCAB] = publish.write_vocabulary(spark, run, vocabulary)
        run.still_ours()
        files[store.VECTORS] = publish.write_vectors(
            spark, run, vocabulary, progress.pointer, params.vector_size, params.vectors
        )
        run.still_ours()
        files[store.METRICS] = publish.write_metrics(spark, run, progress.metrics)
        return files

    with live("publishing", tasks_done(spark)):
        files = redo(spark, "publishing", write)
    about = {
        "vocabulary": {"words": vocabulary.words, "total_count": vocabulary.total_count},
        "input": {"source": prepared.documents.name, "fingerprint": prepared.documents.fingerprint},
        "start_from": prepared.given["start_from"],
        "freeze": prepared.given["freeze"],
        "processors": sorted({row["processor"] for row in progress.metrics}),
    }
    manifest = store.model_manifest(params.to_dict(), files, **about)
    try:
        # the page is named after the output
        report.write(replace(run.draft, uri=run.output.uri), manifest, progress.metrics, prepared.given)
    except Exception as e:  # a page for people is no reason to lose a model
        log.warning("no %s is written: %s", store.REPORT, e)
    run.publish(manifest)

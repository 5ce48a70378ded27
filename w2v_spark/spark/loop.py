"""Round after round: what a person sees of them, and what they measured."""

from __future__ import annotations

import logging
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession

from w2v_spark.errors import FormatError, W2VError
from w2v_spark.params import Params
from w2v_spark.place import Place, storage_errors
from w2v_spark.spark import rounds
from w2v_spark.spark.attempts import redo
from w2v_spark.spark.claim import Run
from w2v_spark.spark.cluster import Layout
from w2v_spark.spark.progress import ReplicaProgress, live, training_line
from w2v_spark.spark.resume import Progress, write_metrics
from w2v_spark.spark.scoring import SCORES, Scoring, score
from w2v_spark.spark.session import is_local
from w2v_spark.training.history import mean_loss, trained_rounds
from w2v_spark.training.schedule import learning_rate, plan_rounds
from w2v_spark.training.shard import ShardJob
from w2v_spark.workdir.pointer import Pointer
from w2v_spark.workdir.vocabulary import Vocabulary

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Encoded:
    """The corpus as the rounds read it: the directory that holds corpus/ and its index, and its words."""

    parent: Place
    words: int


def train_rounds(
    spark: SparkSession,
    run: Run,
    params: Params,
    layout: Layout,
    vocabulary: Vocabulary,
    corpus: Encoded,
    progress: Progress,
    scoring: Scoring | None = None,
) -> Progress:
    """Train round after round from where `progress` is to the end, or until the scores no longer rise."""
    replicas, merges = params.num_replicas or 1, layout.merges_in_a_round
    schedule = plan_rounds(params.max_iter, params.rounds_per_epoch or 1, replicas, merges)
    before_this = sum(r.seconds for r in trained_rounds(progress.metrics))
    total, started = corpus.words * params.max_iter, time.perf_counter() - before_this
    if progress.pointer.round:
        log.info("going on after round %d/%d, where this run was interrupted", progress.pointer.round, len(schedule))
    # replicas elsewhere could not write into a file of the driver's
    with ReplicaProgress(replicas) if is_local(spark) else nullcontext() as watching:
        watched = watching.path if watching else None
        while progress.pointer.round < len(schedule):
            if scoring and scoring.is_over(progress.metrics):
                log.info("the last %d scores were no better than one before: training ends here", scoring.patience)
                break
            round = schedule[progress.pointer.round]
            name = f"round {round.number}/{len(schedule)} (to epoch {round.stop:.2f} of {params.max_iter})"
            job = ShardJob(run.output.uri, params, round, progress.pointer, vocabulary, corpus.parent.uri, watched)
            loss = mean_loss(row for row in progress.metrics if row["round"] == progress.pointer.round)

            def measure(before: int = int(round.start * corpus.words), loss: float | None = loss) -> str:
                words, now = watching.read() if watching else (0, None)
                return training_line(before + words, total, time.perf_counter() - started, loss if now is None else now)

            try:
                with live(name, measure):
                    result, rows = _train_round(spark, run, job, layout, name, watching)
            except FormatError as e:
                progress = stepped_back(progress, e)
                continue
            if scoring and scoring.is_due(round.number, len(schedule)):
                scores = _scored(spark, scoring, run, params, vocabulary, result.pointer)
                rows = [row | scores for row in rows]
            progress = _moved(spark, run, progress, result, rows)
            done, seconds = int(round.stop * corpus.words), time.perf_counter() - started
            log.info("%s: %s", name, training_line(done, total, seconds, mean_loss(rows)))
    _log_share(progress.metrics)
    return progress


def _scored(
    spark: SparkSession, scoring: Scoring, run: Run, params: Params, vocabulary: Vocabulary, pointer: Pointer
) -> dict[str, float | None]:
    """The scores of a round's model; none where they cannot be had, which is no reason to lose the round."""
    try:
        return redo(spark, "scoring", lambda _: score(spark, scoring, run.work, params, vocabulary, pointer))
    except W2VError as e:
        log.warning("round %d goes without scores: %s", pointer.round, e)
        return {}


def _train_round(
    spark: SparkSession, run: Run, job: ShardJob, layout: Layout, name: str, watching: ReplicaProgress | None
) -> tuple[rounds.RoundResult, list[dict[str, Any]]]:
    """One round, trained again where Spark gave it up; with the metrics of its shards."""

    def attempt(number: int) -> rounds.RoundResult:
        run.still_ours()
        if watching:
            watching.reset()
        return rounds.run_round(spark, run, job, layout, name, number)

    started = time.perf_counter()
    result = redo(spark, name, attempt)
    seconds = time.perf_counter() - started
    return result, [_metrics_row(job, shard, seconds, result.longest_row) for shard in result.shards]


def _moved(
    spark: SparkSession, run: Run, progress: Progress, result: rounds.RoundResult, rows: list[dict[str, Any]]
) -> Progress:
    """Make the round's model the one that counts, after its metrics are noted."""

    def move(_: int) -> Progress:
        with storage_errors(run.work.uri, "written"):
            run.still_ours()
            write_metrics(run.work, result.pointer.round, rows)
            rounds.go_on_from(run, result.pointer, progress.pointer)
        return Progress(result.pointer, progress.pointer, progress.metrics + rows)

    return redo(spark, f"noting round {result.pointer.round}", move)


def stepped_back(progress: Progress, error: FormatError) -> Progress:
    """The round before, where the error tells that the model of the last is damaged."""
    before = progress.before
    if before is None or progress.pointer.directory not in str(error):
        raise error
    log.warning(
        "the model of round %d is damaged (%s): going back to round %d", progress.pointer.round, error, before.round
    )
    return Progress(before, None, [row for row in progress.metrics if row["round"] <= before.round])


def _log_share(metrics: list[dict[str, Any]]) -> None:
    """How much of the time a replica trained: the rest went to opening and merging models, and to waiting for others
    where not all run at once.
    """
    done = trained_rounds(metrics)
    seconds, trained = sum(r.seconds for r in done), sum(r.seconds_train for r in done)
    what = "rounds took %.1f s, for %.1f s of which (%.0f %%) the slowest replica of each trained"
    log.info(what, seconds, trained, 100 * trained / seconds)


def _metrics_row(job: ShardJob, shard: dict[str, Any], seconds: float, longest_row: float) -> dict[str, Any]:
    """A row of OUT/metrics, of what a replica and its round tell."""
    round = job.round
    loss = shard["loss_sum"] / shard["loss_pairs"] if shard["loss_pairs"] else None
    own = {
        "start": round.start,
        "stop": round.stop,
        "step_size": learning_rate(job.params, round.start),
        "loss": loss,
        "seconds_round": seconds,
        "longest_row": longest_row,
        **dict.fromkeys(SCORES),
    }
    return {**shard, **own}

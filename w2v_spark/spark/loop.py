"""Round after round: each is trained, scored where that is due, and made the one that counts; what a person sees of it,
and what it measured.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession

from w2v_spark.errors import FormatError, W2VError
from w2v_spark.params import Params
from w2v_spark.place import Place, storage_errors
from w2v_spark.spark import rounds
from w2v_spark.spark.attempts import redo
from w2v_spark.spark.layout import Layout
from w2v_spark.spark.progress import ReplicaProgress, live, training_line
from w2v_spark.spark.resume import Progress, write_metrics
from w2v_spark.spark.run import Run
from w2v_spark.spark.scoring import SCORES, Scoring, score
from w2v_spark.spark.session import is_local
from w2v_spark.training.history import mean_loss, trained_rounds
from w2v_spark.training.schedule import Round, learning_rate, plan_rounds
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
    replicas = params.replicas
    schedule = plan_rounds(params.max_iter, params.rounds_of_an_epoch, replicas, layout.merges_in_a_round)
    if progress.pointer.round:
        log.info("going on after round %d/%d, where this run was interrupted", progress.pointer.round, len(schedule))
    started = time.perf_counter() - sum(r.seconds for r in trained_rounds(progress.metrics))
    # replicas elsewhere could not write into a file of the driver's
    with ReplicaProgress(replicas) if is_local(spark) else nullcontext() as watching:
        loop = _Loop(spark, run, params, layout, vocabulary, corpus, scoring, schedule, watching, started)
        while progress.pointer.round < len(schedule) and not loop.scores_say_stop(progress):
            try:
                result, rows = loop.train(progress)
            except FormatError as e:
                progress = stepped_back(progress, e)
            else:
                progress = loop.commit(progress, result, rows)
    _log_share(progress.metrics)
    return progress


@dataclass(frozen=True)
class _Loop:
    """What stays the same from round to round. `started`: when the first round would have begun, had all been trained
    without a break, by time.perf_counter.
    """

    spark: SparkSession
    run: Run
    params: Params
    layout: Layout
    vocabulary: Vocabulary
    corpus: Encoded
    scoring: Scoring | None
    schedule: Sequence[Round]
    watching: ReplicaProgress | None
    started: float

    def scores_say_stop(self, progress: Progress) -> bool:
        """Whether the scores so far end the training, which is logged."""
        if self.scoring is None or not self.scoring.is_over(progress.metrics):
            return False
        log.info("the last %d scores were no better than one before: training ends here", self.scoring.patience)
        return True

    def train(self, progress: Progress) -> tuple[rounds.RoundResult, list[dict[str, Any]]]:
        """The round after `progress`, trained again where Spark gave it up; with the metrics of its shards."""
        round, watching = self.schedule[progress.pointer.round], self.watching
        path = watching.path if watching else None
        job = ShardJob(
            self.run.output.uri, self.params, round, progress.pointer, self.vocabulary, self.corpus.parent.uri, path
        )
        name = self._name(round)

        def attempt(number: int) -> rounds.RoundResult:
            self.run.still_ours()
            if watching:
                watching.reset()
            return rounds.run_round(self.spark, self.run, job, self.layout, name, number)

        began = time.perf_counter()
        with live(name, self._measure(round, progress)):
            result = redo(self.spark, name, attempt)
        seconds = time.perf_counter() - began
        return result, [_metrics_row(job, shard, seconds, result.longest_row) for shard in result.shards]

    def commit(self, progress: Progress, result: rounds.RoundResult, rows: list[dict[str, Any]]) -> Progress:
        """Score the round's model where that is due, and make it the one that counts, after its metrics are noted."""
        round = self.schedule[progress.pointer.round]
        if self.scoring and self.scoring.is_due(round.number, len(self.schedule)):
            scores = self._scored(self.scoring, result.pointer)
            rows = [row | scores for row in rows]

        def move(_: int) -> Progress:
            with storage_errors(self.run.work.uri, "written"):
                self.run.still_ours()
                write_metrics(self.run.work, result.pointer.round, rows)
                rounds.go_on_from(self.run, result.pointer, progress.pointer)
            return Progress(result.pointer, progress.pointer, progress.metrics + rows)

        moved = redo(self.spark, f"noting round {result.pointer.round}", move)
        log.info("%s: %s", self._name(round), self._line(int(round.stop * self.corpus.words), mean_loss(rows)))
        return moved

    def _scored(self, scoring: Scoring, pointer: Pointer) -> dict[str, float | None]:
        """The scores of a round's model; none where they cannot be had, which is no reason to lose the round."""
        spark, work = self.spark, self.run.work
        try:
            return redo(spark, "scoring", lambda _: score(spark, scoring, work, self.params, self.vocabulary, pointer))
        except W2VError as e:
            log.warning("round %d goes without scores: %s", pointer.round, e)
            return {}

    def _name(self, round: Round) -> str:
        return f"round {round.number}/{len(self.schedule)} (to epoch {round.stop:.2f} of {self.params.max_iter})"

    def _measure(self, round: Round, progress: Progress) -> Callable[[], str]:
        """How far a round is, as `live` asks it again and again."""
        before, watching = int(round.start * self.corpus.words), self.watching
        loss = mean_loss(row for row in progress.metrics if row["round"] == progress.pointer.round)

        def measure() -> str:
            words, now = watching.read() if watching else (0, None)
            return self._line(before + words, loss if now is None else now)

        return measure

    def _line(self, words: int, loss: float | None) -> str:
        return training_line(words, self.corpus.words * self.params.max_iter, time.perf_counter() - self.started, loss)


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
    what = "rounds took %.1f s: %.1f s of training (%.0f %%), the rest to open and merge models"
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

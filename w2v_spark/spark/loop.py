"""Round after round: what a person sees of them, and what they measured."""

from __future__ import annotations

import logging
import time
from typing import Any

from pyspark.sql import SparkSession

from w2v_spark.params import Params
from w2v_spark.spark import rounds
from w2v_spark.spark.claim import Run
from w2v_spark.spark.cluster import Layout
from w2v_spark.spark.count import Vocabulary
from w2v_spark.spark.progress import ReplicaProgress, live, training_line
from w2v_spark.spark.session import is_local
from w2v_spark.training.schedule import Round, plan_rounds, replica_step_size, step_at
from w2v_spark.training.shard import ShardJob
from w2v_spark.workdir import CorpusIndex, Pointer

log = logging.getLogger(__name__)


def train_rounds(
    spark: SparkSession,
    run: Run,
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
        watched = progress.path if is_local(spark) else None
        for round in schedule:
            before = int(round.start * corpus.words())

            def measure(before: int = before, loss: float = loss) -> str:
                words, now = progress.read()
                return training_line(before + words, total, time.perf_counter() - started, now if now == now else loss)

            progress.reset()
            job = ShardJob(run.output.uri, params, round, pointer, vocab_files, watched)
            name = _round_name(round, len(schedule), params.max_iter)
            begun = time.perf_counter()
            with live(name, measure):
                result = rounds.run_round(spark, run, job, layout, name)
            pointer, seconds = result.pointer, time.perf_counter() - begun
            rows = [_metrics_row(params, round, shard, seconds, result.longest_row) for shard in result.shards]
            metrics += rows
            loss = mean_loss(rows)
            done = int(round.stop * corpus.words())
            log.info("%s: %s", name, training_line(done, total, time.perf_counter() - started, loss))
    _log_share(metrics, time.perf_counter() - started)
    return metrics, pointer


def _log_share(metrics: list[dict[str, Any]], seconds: float) -> None:
    """How much of the time the replicas trained: the rest went to opening and merging models."""
    slowest: dict[int, float] = {}
    for row in metrics:
        slowest[row["round"]] = max(slowest.get(row["round"], 0.0), row["seconds_train"])
    trained = sum(slowest.values())
    log.info("rounds took %.1f s, training %.1f s of them (%.0f %%)", seconds, trained, 100 * trained / seconds)


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


def mean_loss(rows: list[dict[str, Any]]) -> float:
    """The shards' losses, weighted by their pairs."""
    known = [(r["loss"], r["pairs"]) for r in rows if r["loss"] is not None]
    pairs = sum(p for _, p in known)
    return sum(x * p for x, p in known) / pairs if pairs else float("nan")

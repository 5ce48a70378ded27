"""The rounds of a run, from the rows of OUT/metrics, of which each replica has one a round."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from w2v_spark import store
from w2v_spark.errors import InputError


@dataclass(frozen=True)
class TrainedRound:
    """What a round measured: `stop` is the epochs done at its end, `words` and `bytes_sent` are those of all replicas,
    `loss` is the mean of a pair in nats (None where none was measured), `seconds_train` the slowest replica's;
    `analogies` (share answered) and `word_pairs` (Spearman's rho) are None where the round was not scored.
    """

    number: int
    stop: float
    step_size: float
    words: int
    loss: float | None
    seconds: float
    seconds_train: float
    bytes_sent: int
    analogies: float | None
    word_pairs: float | None

    @property
    def words_per_second(self) -> float:
        """Words of all replicas by the seconds of the round, merge included."""
        return self.words / self.seconds if self.seconds else 0.0


def trained_rounds(rows: Iterable[Mapping[str, Any]]) -> list[TrainedRound]:
    """The rounds in their order."""
    ordered = sorted(rows, key=lambda row: row["round"])
    return [_round(number, list(group)) for number, group in groupby(ordered, key=lambda row: int(row["round"]))]


def read_rounds(model: store.Model) -> list[TrainedRound]:
    """The rounds of a model on disk; InputError where it was not trained but converted."""
    files = model.files(store.METRICS)
    if not files:
        raise InputError(f"{model.place.uri} has no metrics of rounds: it was converted, not trained")
    return trained_rounds(store.read_files(model.place.child(store.METRICS), files).to_pylist())


def _round(number: int, rows: Sequence[Mapping[str, Any]]) -> TrainedRound:
    first = rows[0]
    return TrainedRound(
        number=number,
        stop=first["stop"],
        step_size=first["step_size"],
        words=sum(row["words"] for row in rows),
        loss=mean_loss(rows),
        seconds=first["seconds_round"],
        seconds_train=max(row["seconds_train"] for row in rows),
        bytes_sent=sum(row["bytes_sent"] for row in rows),
        analogies=first["analogies"],
        word_pairs=first["word_pairs"],
    )


def words_per_second(rounds: Sequence[TrainedRound]) -> float:
    """Words of all rounds by their seconds, merges included."""
    return sum(r.words for r in rounds) / sum(r.seconds for r in rounds)


def last_loss(rounds: Sequence[TrainedRound]) -> float | None:
    """The last loss that was measured: the last round of a small text may hold no pair."""
    return next((r.loss for r in reversed(rounds) if r.loss is not None), None)


def mean_loss(rows: Iterable[Mapping[str, Any]]) -> float | None:
    """The replicas' losses, weighted by their pairs; None where no pair was measured."""
    known = [(row["loss"], row["pairs"]) for row in rows if row["loss"] is not None]
    pairs = sum(weight for _, weight in known)
    return sum(loss * weight for loss, weight in known) / pairs if pairs else None

"""Scores while training: every so many rounds one task opens the most frequent words' vectors and answers the test
files, which the driver has read.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pyspark.sql import SparkSession

from w2v_spark.errors import ParamError
from w2v_spark.params import Params
from w2v_spark.place import Place
from w2v_spark.spark.publish import published_blocks
from w2v_spark.spark.session import described
from w2v_spark.spark.tasks import ask
from w2v_spark.vectors.correlation import spearman
from w2v_spark.vectors.evaluate import SCORED_WORDS, answer_questions, compare_pairs
from w2v_spark.vectors.testsets import Pairs, Questions, read_pairs, read_questions
from w2v_spark.vectors.vectors import Vectors
from w2v_spark.workdir.blocks import block_count
from w2v_spark.workdir.pointer import Pointer
from w2v_spark.workdir.vocabulary import Vocabulary

log = logging.getLogger(__name__)

SCORES = ("analogies", "word_pairs")


@dataclass(frozen=True)
class Scoring:
    """Score every `every` rounds, and the last, by the words that count; `patience`: end training when so many scores
    in a row were no better than one before them, None: never. Scores up to round `since` were by another measure.
    """

    every: int
    questions: Questions | None
    pairs: Pairs | None
    restrict_vocab: int = SCORED_WORDS
    patience: int | None = None
    since: int = 0

    @classmethod
    def of_files(
        cls,
        every: int,
        analogies: str | os.PathLike[str] | None = None,
        pairs: str | os.PathLike[str] | None = None,
        restrict_vocab: int = SCORED_WORDS,
        patience: int | None = None,
    ) -> Scoring:
        """From test files in the formats of `evaluate`."""
        if analogies is None and pairs is None:
            raise ParamError("evaluate_every needs something to score with: give --analogies, --pairs or both")
        for name, value in (("evaluate_every", every), ("restrict_vocab", restrict_vocab), ("patience", patience)):
            if value is not None and value < 1:
                raise ParamError(f"{name} given invalid value {value}: must be an integer of at least 1")
        return cls(
            every,
            None if analogies is None else read_questions(analogies),
            None if pairs is None else read_pairs(pairs),
            restrict_vocab,
            patience,
        )

    def is_due(self, round: int, last: int) -> bool:
        """Whether the model after this round is scored."""
        return round % self.every == 0 or round == last

    def is_over(self, metrics: list[dict[str, Any]]) -> bool:
        """Whether the scores have stopped to rise."""
        if self.patience is None:
            return False
        rows = [row for row in metrics if row["shard"] == 0 and row["round"] > self.since]
        scores = [score for row in rows if (score := _worth(row)) is not None]
        return len(scores) > self.patience and max(scores[-self.patience :]) <= max(scores[: -self.patience])


def settings(scoring: Scoring | None) -> dict[str, Any]:
    """Plain values for run.json: how often a run scores and how patient it is, None where it does not; `measure`, which
    tells one set of test files and words from another, and `since`.
    """
    if scoring is None:
        return {"evaluate_every": None, "patience": None, "measure": None, "since": 0}
    tested = json.dumps([scoring.questions, scoring.pairs, scoring.restrict_vocab])
    measure = hashlib.sha256(tested.encode()).hexdigest()[:12]
    return {"evaluate_every": scoring.every, "patience": scoring.patience, "measure": measure, "since": scoring.since}


def going_on(scoring: Scoring | None, before: dict[str, Any], round: int) -> tuple[Scoring | None, dict[str, Any]]:
    """The scoring of a run that goes on after a round, with its settings; how they differ from those before is told in
    the log: they shape no vectors, and may.
    """
    now = settings(scoring)
    for name in ("evaluate_every", "patience"):
        if now[name] != before[name]:
            was, is_now = ("none" if s[name] is None else s[name] for s in (before, now))
            log.info("%s was %s, from here on %s", name, was, is_now)
    if scoring is None:
        return None, now | {"measure": before["measure"], "since": before["since"]}
    since = before["since"]
    if before["measure"] not in (None, now["measure"]):
        log.info("scores are by other test files or words than before: patience looks at those from here on")
        since = round
    return replace(scoring, since=since), now | {"since": since}


def score(
    spark: SparkSession, scoring: Scoring, work: Place, params: Params, vocabulary: Vocabulary, pointer: Pointer
) -> dict[str, float | None]:
    """Share of analogies answered, and Spearman's rho of word pairs, by the vectors that a round would publish; None
    where not asked.
    """
    where, which, most = work.uri, params.vectors, min(scoring.restrict_vocab, vocabulary.words)
    size, lowercase, questions, pairs = params.vector_size, params.lowercase, scoring.questions, scoring.pairs

    def answer() -> dict[str, str]:
        words = vocabulary.read(stop=most)
        blocks = published_blocks(Place.open(where), pointer, which, range(block_count(most, size)))
        matrix = np.concatenate([values.reshape(-1, size) for _, values in blocks])[:most]
        vectors = Vectors(words["word"].combine_chunks(), matrix, words["count"].to_numpy(), lowercase=lowercase)
        found = {
            "analogies": _share_answered(vectors, questions) if questions else None,
            "word_pairs": _correlation(vectors, pairs) if pairs else None,
        }
        return {"scores": json.dumps(found)}

    with described(spark, f"score the model of round {pointer.round}"):
        (row,) = ask(spark, 1, answer, "scores string")
    scores: dict[str, float | None] = json.loads(row.scores)
    told = [
        f"{100 * value:.1f} {unit}" for value, unit in zip(scores.values(), _UNITS, strict=True) if value is not None
    ]
    log.info("scores after round %d: %s", pointer.round, ", ".join(told) or "no word of the test files is known")
    return scores


_UNITS = ("% of analogies", "(100 rho) of word pairs")


def _share_answered(vectors: Vectors, questions: Questions) -> float | None:
    answers = answer_questions(vectors, questions, restrict_vocab=None)
    return float(answers.correct[answers.asked].mean()) if answers.asked.any() else None


def _correlation(vectors: Vectors, pairs: Pairs) -> float | None:
    ratings, cosines, known = compare_pairs(vectors, pairs, restrict_vocab=None)
    return spearman(ratings[known], cosines[known])


def _worth(row: dict[str, Any]) -> float | None:
    """One number of a round's scores, to tell whether they rise."""
    known = [value for name in SCORES if (value := row[name]) is not None]
    return sum(known) if known else None

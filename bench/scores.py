"""How good a model is, in all and for words of each frequency."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from w2v_spark.vectors.evaluate import SCORED_WORDS, answer_analogies, evaluate_pairs
from w2v_spark.vectors.testsets import read_pairs
from w2v_spark.vectors.vectors import Vectors

# a question or a row belongs to the first of these that its rarest word is below
BANDS = (1_000, 5_000, 15_000, 30_000)


@dataclass(frozen=True)
class Scores:
    """Percent of analogies right in all, semantic, syntactic, with a word of the rarest third that a test set reaches,
    and by band; Spearman's rho of each file of pairs, in percent; mean length of rows by band.
    """

    analogies: npt.NDArray[np.float64]
    bands: npt.NDArray[np.float64]
    pairs: npt.NDArray[np.float64]
    norms: npt.NDArray[np.float64]


def score(vectors: Vectors, analogies: Path, pairs: list[Path]) -> Scores:
    """Score vectors whose rows are by count descending."""
    answers = answer_analogies(vectors, analogies, SCORED_WORDS)
    rarest = answers.words.max(axis=1)
    syntactic = np.array([name.startswith("gram") for name in answers.names])[answers.section]
    groups = [syntactic | True, ~syntactic, syntactic, rarest >= _rarest_third(vectors, answers.words, pairs)]
    in_band = [(rarest >= low) & (rarest < high) for low, high in zip((0, *BANDS), BANDS, strict=False)]

    def percent(group: npt.NDArray[np.bool_]) -> float:
        return 100 * float(answers.correct[group & answers.asked].mean())

    rho = [100 * (evaluate_pairs(vectors, file).spearman or 0.0) for file in pairs]
    norms = [vectors.norms[low:high].mean() for low, high in zip((0, *BANDS), BANDS, strict=False)]
    return Scores(*map(np.array, ([percent(g) for g in groups], [percent(g) for g in in_band], rho, norms)))


def _rarest_third(vectors: Vectors, questions: npt.NDArray[np.int64], pairs: list[Path]) -> int:
    """The id from which on lies the rarest third of the words that a test set names."""
    named = {word for file in pairs for a, b, _ in read_pairs(file) for word in (a, b)}
    ids = {vectors.key_to_index[word] for word in named if word in vectors.key_to_index} | set(questions.flat)
    known = sorted(id for id in ids if 0 <= id < SCORED_WORDS)
    return known[len(known) * 2 // 3]

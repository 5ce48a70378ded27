"""How good vectors are: Google analogy questions and word pairs rated by people, counted as gensim counts them."""

from __future__ import annotations

import math
import os
import unicodedata
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from w2v_spark.errors import ParamError
from w2v_spark.vectors import search
from w2v_spark.vectors.testsets import read_pairs, read_questions
from w2v_spark.vectors.vectors import Vectors

RESTRICT_VOCAB = 300_000

# gensim asks for the best 5 beside the three words of the question and takes the first that spells none of them
CANDIDATES = 5 + 3


@dataclass(frozen=True)
class Score:
    """Answers of one section, or of several together; skipped questions have a word outside the vocabulary."""

    name: str
    correct: int
    asked: int
    skipped: int

    @property
    def accuracy(self) -> float | None:
        """Share of the asked questions that were answered correctly; None where none was asked."""
        return self.correct / self.asked if self.asked else None


@dataclass(frozen=True)
class AnalogyReport:
    """Scores of a file of analogies, by section in its order; `vocabulary` is the number of words that could answer."""

    file: str
    vocabulary: int
    sections: tuple[Score, ...]

    @property
    def semantic(self) -> Score:
        """The sections whose name does not start with `gram`."""
        return _sum("semantic", [s for s in self.sections if not s.name.startswith("gram")])

    @property
    def syntactic(self) -> Score:
        """The sections whose name starts with `gram`."""
        return _sum("syntactic", [s for s in self.sections if s.name.startswith("gram")])

    @property
    def total(self) -> Score:
        """All sections."""
        return _sum("total", list(self.sections))


@dataclass(frozen=True)
class Answers:
    """Every question of a file of analogies: its section, int64[n]; the ids of its four words, int64[n, 4], -1 for one
    that is not in the vocabulary; and whether it was answered correctly, bool[n].
    """

    names: tuple[str, ...]
    section: npt.NDArray[np.int64]
    words: npt.NDArray[np.int64]
    correct: npt.NDArray[np.bool_]
    vocabulary: int

    @property
    def asked(self) -> npt.NDArray[np.bool_]:
        """Which questions were asked: those whose words are all in the vocabulary."""
        known: npt.NDArray[np.bool_] = np.all(self.words >= 0, axis=1)
        return known


@dataclass(frozen=True)
class PairReport:
    """Spearman's rho of a file of rated word pairs; None where fewer than two different values are left to compare."""

    file: str
    vocabulary: int
    pairs: int
    skipped: int
    spearman: float | None


def evaluate_analogies(
    vectors: Vectors,
    path: str | os.PathLike[str],
    restrict_vocab: int = RESTRICT_VOCAB,
    case_insensitive: bool = True,
) -> AnalogyReport:
    """Answers questions `A B C D` by 3CosAdd: D is the word nearest to B - A + C that is none of the three.

    Only the `restrict_vocab` most frequent words count. Case is ignored as in gensim's evaluate_word_analogies,
    and the counts are the same. InputError where the file is not in the format of word2vec's questions-words.txt.
    """
    answers = answer_analogies(vectors, path, restrict_vocab, case_insensitive)
    scores = []
    for number, name in enumerate(answers.names):
        asked = answers.asked[answers.section == number]
        correct = int(answers.correct[answers.section == number].sum())
        scores.append(Score(name, correct, int(asked.sum()), int((~asked).sum())))
    return AnalogyReport(os.fspath(path), answers.vocabulary, tuple(scores))


def answer_analogies(
    vectors: Vectors,
    path: str | os.PathLike[str],
    restrict_vocab: int = RESTRICT_VOCAB,
    case_insensitive: bool = True,
) -> Answers:
    """Each question of a file of analogies, answered as `evaluate_analogies` says."""
    names, questions = read_questions(path)
    ids, forms = _vocabulary(vectors, restrict_vocab, case_insensitive)
    section = np.array([number for number, _ in questions], np.int64)
    words = np.array([[ids.get(_form(w, case_insensitive), -1) for w in four] for _, four in questions], np.int64)
    asked = np.all(words >= 0, axis=1)
    correct = np.zeros(len(questions), bool)
    correct[asked] = _answered(vectors, forms, words[asked])
    return Answers(tuple(names), section, words, correct, len(forms))


def evaluate_pairs(
    vectors: Vectors,
    path: str | os.PathLike[str],
    restrict_vocab: int = RESTRICT_VOCAB,
    case_insensitive: bool = True,
) -> PairReport:
    """Spearman's rho between people's ratings and cosines, over the pairs whose words are both known.

    Words are looked up as in `evaluate_analogies`. Lines are `word word rating`; `#` starts a comment, and a header
    is passed over. InputError where a line is something else.
    """
    pairs = read_pairs(path)
    ids, forms = _vocabulary(vectors, restrict_vocab, case_insensitive)
    found = [(ids.get(_form(a, case_insensitive)), ids.get(_form(b, case_insensitive)), r) for a, b, r in pairs]
    known = [(a, b, rating) for a, b, rating in found if a is not None and b is not None]
    left = search.unit(vectors.vectors[np.array([a for a, _, _ in known], np.int64)])
    right = search.unit(vectors.vectors[np.array([b for _, b, _ in known], np.int64)])
    rho = spearman(np.array([rating for _, _, rating in known]), np.einsum("ij,ij->i", left, right))
    return PairReport(os.fspath(path), len(forms), len(known), len(pairs) - len(known), rho)


def spearman(x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> float | None:
    """Spearman's rank correlation of two arrays, equal values sharing their average rank; None where there is none."""
    if len(x) < 2:
        return None
    a, b = _ranks(x), _ranks(y)
    a, b = a - a.mean(), b - b.mean()
    spread = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / spread if spread > 0 else None


def _ranks(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Ranks from 1, float64; equal values get the mean of the ranks they cover."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    mean_rank: npt.NDArray[np.float64] = np.cumsum(count) - (count - 1) / 2
    return mean_rank[place]


def _answered(vectors: Vectors, forms: npt.NDArray[np.int64], asked: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which of the questions, (n, 4) ids, are answered correctly; `forms` as in `_vocabulary`."""
    rows, lengths = vectors.vectors[: len(forms)], vectors.norms[: len(forms)]
    correct = np.zeros(len(asked), bool)
    for start in range(0, len(asked), search.BLOCK_QUERIES):
        part = slice(start, start + search.BLOCK_QUERIES)
        a, b, c, d = asked[part].T
        directions = search.unit(rows[b]) + search.unit(rows[c]) - search.unit(rows[a])
        best, _ = search.top_k(rows, lengths, directions, CANDIDATES)
        given = np.stack([a, b, c], axis=1)
        # another spelling of a given word (Paris, PARIS) is no answer either
        allowed = ~(forms[best][:, :, None] == given[:, None, :]).any(axis=2)
        first = best[np.arange(len(best)), allowed.argmax(axis=1)]
        correct[part] = allowed.any(axis=1) & (forms[first] == d)
    return correct


def _vocabulary(
    vectors: Vectors, restrict_vocab: int, case_insensitive: bool
) -> tuple[dict[str, int], npt.NDArray[np.int64]]:
    """The id of each form of the most frequent words, and for each of these words the id that stands for its form.

    Where several words have one form (Apple, apple), the most frequent stands for it.
    """
    if restrict_vocab < 1:
        raise ParamError(f"restrict_vocab must be at least 1, got {restrict_vocab}")
    ids: dict[str, int] = {}
    words = vectors.index_to_key[:restrict_vocab]
    forms = [ids.setdefault(_form(word, case_insensitive), i) for i, word in enumerate(words)]
    return ids, np.array(forms, np.int64)


def _form(word: str, case_insensitive: bool) -> str:
    """What two spellings of a word share: upper case, as gensim compares, and composed accents."""
    composed = unicodedata.normalize("NFC", word)
    return composed.upper() if case_insensitive else composed


def _sum(name: str, scores: list[Score]) -> Score:
    return Score(name, *(sum(getattr(s, count) for s in scores) for count in ("correct", "asked", "skipped")))

"""How good vectors are: Google analogy questions and word pairs rated by people, counted as gensim counts them, and the
odd one out.
"""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from w2v_spark.array_types import Floats
from w2v_spark.errors import ParamError
from w2v_spark.vectors import metrics, search
from w2v_spark.vectors.correlation import pearson, spearman
from w2v_spark.vectors.given import checked_int
from w2v_spark.vectors.testsets import Pairs, Questions, read_odd_ones, read_pairs, read_questions
from w2v_spark.vectors.vectors import Vectors

RESTRICT_VOCAB = 300_000
# by how many of the most frequent words a model is scored while it is trained
SCORED_WORDS = 30_000

# gensim asks for the best 5 beside the three words of the question and takes the first that spells none of them
CANDIDATES = 5 + 3

# how an analogy is answered: 3CosAdd or 3CosMul (Levy and Goldberg 2014)
METHODS = ("add", "mul")


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
    """Correlations of a file of rated word pairs, Spearman's rho and Pearson's r; None where fewer than two different
    values are left to compare.
    """

    file: str
    vocabulary: int
    pairs: int
    skipped: int
    spearman: float | None
    pearson: float | None = field(default=None, compare=False)

    @property
    def unknown(self) -> float:
        """Share of the pairs that were skipped: a word is not in the vocabulary."""
        return self.skipped / (self.pairs + self.skipped)


@dataclass(frozen=True)
class OddReport:
    """Scores of a file of words of which one does not belong, by section in its order."""

    file: str
    vocabulary: int
    sections: tuple[Score, ...]

    @property
    def total(self) -> Score:
        """All sections."""
        return _sum("total", list(self.sections))


def evaluate_analogies(
    vectors: Vectors,
    path: str | os.PathLike[str],
    restrict_vocab: int | None = RESTRICT_VOCAB,
    case_insensitive: bool = True,
    *,
    method: str = "add",
) -> AnalogyReport:
    """Answers questions `A B C D` by 3CosAdd: D is the word nearest to B - A + C that is none of the three; or, with
    method="mul", by 3CosMul.

    Only the `restrict_vocab` most frequent words count. Case is ignored as in gensim's evaluate_word_analogies,
    and the counts are the same. InputError where the file is not in the format of word2vec's questions-words.txt.
    """
    answers = answer_analogies(vectors, path, restrict_vocab, case_insensitive, method=method)
    scores = []
    for number, name in enumerate(answers.names):
        asked = answers.asked[answers.section == number]
        correct = int(answers.correct[answers.section == number].sum())
        scores.append(Score(name, correct, int(asked.sum()), int((~asked).sum())))
    return AnalogyReport(os.fspath(path), answers.vocabulary, tuple(scores))


def answer_analogies(
    vectors: Vectors,
    path: str | os.PathLike[str],
    restrict_vocab: int | None = RESTRICT_VOCAB,
    case_insensitive: bool = True,
    *,
    method: str = "add",
) -> Answers:
    """Each question of a file of analogies, answered as `evaluate_analogies` says."""
    return answer_questions(vectors, read_questions(path), restrict_vocab, case_insensitive, method=method)


def answer_questions(
    vectors: Vectors,
    questions: Questions,
    restrict_vocab: int | None = RESTRICT_VOCAB,
    case_insensitive: bool = True,
    *,
    method: str = "add",
) -> Answers:
    """Each question, answered as `evaluate_analogies` says."""
    if method not in METHODS:
        raise ParamError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    names, asked_for = questions
    ids, forms = _vocabulary(vectors, restrict_vocab, case_insensitive)
    section = np.array([number for number, _ in asked_for], np.int64)
    words = np.array([[ids.get(_form(w, case_insensitive), -1) for w in four] for _, four in asked_for], np.int64)
    asked = np.all(words >= 0, axis=1)
    correct = np.zeros(len(asked_for), bool)
    correct[asked] = _answered(vectors, forms, words[asked], method)
    return Answers(tuple(names), section, words, correct, len(forms))


def evaluate_pairs(
    vectors: Vectors,
    path: str | os.PathLike[str],
    restrict_vocab: int | None = RESTRICT_VOCAB,
    case_insensitive: bool = True,
) -> PairReport:
    """Spearman's rho and Pearson's r between people's ratings and cosines, over the pairs whose words are both known.

    Words are looked up as in `evaluate_analogies`. Lines are `word word rating`; `#` starts a comment, and a header
    is passed over. InputError where a line is something else.
    """
    ratings, cosines, known = compare_pairs(vectors, read_pairs(path), restrict_vocab, case_insensitive)
    pairs, vocabulary = int(known.sum()), asked_words(vectors, restrict_vocab)
    rho, r = (of(ratings[known], cosines[known]) for of in (spearman, pearson))
    return PairReport(os.fspath(path), vocabulary, pairs, len(known) - pairs, rho, r)


def compare_pairs(
    vectors: Vectors, pairs: Pairs, restrict_vocab: int | None = RESTRICT_VOCAB, case_insensitive: bool = True
) -> tuple[npt.NDArray[np.float64], Floats, npt.NDArray[np.bool_]]:
    """Of each pair its rating (n,) float64, its cosine (n,) float32, and whether both words are known, (n,); where one
    is not, the cosine is 0.
    """
    ids, _ = _vocabulary(vectors, restrict_vocab, case_insensitive)
    found = np.array([[ids.get(_form(w, case_insensitive), -1) for w in (a, b)] for a, b, _ in pairs], np.int64)
    known = np.all(found >= 0, axis=1)
    left, right = (metrics.unit(vectors.vectors[side]) for side in found[known].T)
    cosines = np.zeros(len(pairs), np.float32)
    cosines[known] = np.einsum("ij,ij->i", left, right)
    return np.array([rating for _, _, rating in pairs], np.float64), cosines, known


def evaluate_odd_ones(
    vectors: Vectors,
    path: str | os.PathLike[str],
    restrict_vocab: int | None = RESTRICT_VOCAB,
    case_insensitive: bool = True,
) -> OddReport:
    """How often the word that does not belong is found: the one farthest from the mean of all, as in `doesnt_match`.

    Lines are three words or more, the last the one that does not belong; `: section` starts a section. Words are looked
    up as in `evaluate_analogies`; a line with an unknown word is skipped.
    """
    names, lines = read_odd_ones(path)
    ids, forms = _vocabulary(vectors, restrict_vocab, case_insensitive)
    counts = np.zeros((len(names), 3), np.int64)  # correct, asked, skipped
    for section, words in lines:
        found = [ids.get(_form(word, case_insensitive)) for word in words]
        known = [i for i in found if i is not None]
        if len(known) < len(found):
            counts[section, 2] += 1
            continue
        rows = metrics.unit(vectors.vectors[known])
        counts[section, :2] += (int(np.argmin(rows @ rows.sum(axis=0))) == len(rows) - 1, 1)
    scores = [Score(name, *of) for name, of in zip(names, counts.tolist(), strict=True)]
    return OddReport(os.fspath(path), len(forms), tuple(scores))


def _answered(
    vectors: Vectors, forms: npt.NDArray[np.int64], asked: npt.NDArray[np.int64], method: str
) -> npt.NDArray[np.bool_]:
    """Which of the questions, (n, 4) ids, are answered correctly; `forms` as in `_vocabulary`."""
    rows = vectors.rows[: len(forms)]
    correct = np.zeros(len(asked), bool)
    for start in range(0, len(asked), search.BLOCK_QUERIES):
        part = slice(start, start + search.BLOCK_QUERIES)
        a, b, c, d = asked[part].T
        first, second, third = (metrics.unit(vectors.vectors[ids]) for ids in (a, b, c))
        if method == "add":
            best, _ = search.top_k(rows, second + third - first, CANDIDATES)
        else:
            score = metrics.cosmul_scorer(rows, [second, third], [first])
            best, _ = search.best(score, rows, len(first), min(CANDIDATES, len(rows)))
        given = np.stack([a, b, c], axis=1)
        # another spelling of a given word (Paris, PARIS) is no answer either
        allowed = ~(forms[best][:, :, None] == given[:, None, :]).any(axis=2)
        chosen = best[np.arange(len(best)), allowed.argmax(axis=1)]
        correct[part] = allowed.any(axis=1) & (forms[chosen] == d)
    return correct


def asked_words(vectors: Vectors, restrict_vocab: int | None) -> int:
    """How many of the most frequent words count; with None all do."""
    most = checked_int("restrict_vocab", restrict_vocab, 1, none=True)
    return len(vectors) if most is None else min(most, len(vectors))


def _vocabulary(
    vectors: Vectors, restrict_vocab: int | None, case_insensitive: bool
) -> tuple[dict[str, int], npt.NDArray[np.int64]]:
    """The id of each form of the most frequent words, and for each of these words the id that stands for its form.

    Where several words have one form (Apple, apple), the most frequent stands for it.
    """
    ids: dict[str, int] = {}
    words = vectors.index_to_key[: asked_words(vectors, restrict_vocab)]
    forms = [ids.setdefault(_form(word, case_insensitive), i) for i, word in enumerate(words)]
    return ids, np.array(forms, np.int64)


def _form(word: str, case_insensitive: bool) -> str:
    """What two spellings of a word share: upper case, as gensim compares, and composed accents."""
    composed = unicodedata.normalize("NFC", word)
    return composed.upper() if case_insensitive else composed


def _sum(name: str, scores: list[Score]) -> Score:
    return Score(name, *(sum(getattr(s, count) for s in scores) for count in ("correct", "asked", "skipped")))

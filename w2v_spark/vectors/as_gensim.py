"""Arguments that mean what they mean to gensim's KeyedVectors, and reports of test files in the shape it gives them."""

from __future__ import annotations

import codecs
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from w2v_spark.errors import InputError, ParamError
from w2v_spark.vectors.correlation import Correlation, pearson, spearman, with_pvalue
from w2v_spark.vectors.evaluate import answer_questions, asked_words, compare_pairs
from w2v_spark.vectors.testsets import read_pairs, read_questions

if TYPE_CHECKING:
    from w2v_spark.vectors.vectors import Vectors

# what gensim's save_word2vec_format has beside the names of files, and its defaults
SAVED = {"total_vec": None, "write_header": True, "prefix": "", "append": False, "sort_attr": "count"}

METHODS = {"most_similar": "add", "most_similar_cosmul": "mul"}


def checked_encoding(encoding: str) -> None:
    """Refuse an encoding that is not a name of UTF-8 or of a part of it."""
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        name = ""
    if name not in ("utf-8", "utf-8-sig", "ascii"):
        raise ParamError(f"encoding must be utf8, got {encoding!r}: convert the file first")


def format_name(fname: str | os.PathLike[str], fvocab: str | os.PathLike[str] | None, binary: bool) -> str:
    """The format of ours that gensim's arguments ask for."""
    if fvocab is None:
        return "word2vec-binary" if binary else "word2vec-text"
    if not binary or os.fspath(fvocab) != f"{os.fspath(fname)}.vocab":
        raise ParamError(
            f"fvocab must be {os.fspath(fname)}.vocab, with binary=True, got {os.fspath(fvocab)}: leave it out, or "
            "give that name"
        )
    return "gensim"


def checked_save(**given: object) -> None:
    """Refuse arguments of save_word2vec_format at which gensim writes what is not written here."""
    for name, value in given.items():
        if value != SAVED[name]:
            raise ParamError(
                f"{name} must be {SAVED[name]!r} in save_word2vec_format, got {value!r:.60}: "
                "vectors.to_gensim() gives a KeyedVectors that knows others"
            )


def word_analogies(
    vectors: Vectors,
    path: str | os.PathLike[str],
    restrict_vocab: int | None,
    case_insensitive: bool,
    dummy4unknown: bool,
    similarity_function: str,
) -> tuple[float, list[dict[str, Any]]]:
    """(accuracy, sections): each section {"section": name, "correct": [...], "incorrect": [...]} with the questions'
    four words, upper-cased where case is ignored; the last is the total. `dummy4unknown` counts questions with an
    unknown word as answered wrongly; without it they are left out.
    """
    if similarity_function not in METHODS:
        raise ParamError(f"similarity_function must be one of {', '.join(METHODS)}, got {similarity_function!r}")
    method = METHODS[similarity_function]
    questions = read_questions(path)
    answers = answer_questions(vectors, questions, restrict_vocab, case_insensitive, method=method)
    sections: list[dict[str, Any]] = [{"section": name, "correct": [], "incorrect": []} for name in answers.names]
    for (section, words), asked, correct in zip(questions[1], answers.asked, answers.correct, strict=True):
        if asked or dummy4unknown:
            shown = tuple(word.upper() if case_insensitive else word for word in words)
            sections[section]["correct" if correct else "incorrect"].append(shown)
    total = {side: [question for s in sections for question in s[side]] for side in ("correct", "incorrect")}
    asked_in_all = len(total["correct"]) + len(total["incorrect"])
    score = len(total["correct"]) / asked_in_all if asked_in_all else 0.0
    return score, [*sections, {"section": "Total accuracy", **total}]


def word_pairs(
    vectors: Vectors,
    path: str | os.PathLike[str],
    delimiter: str,
    encoding: str,
    restrict_vocab: int | None,
    case_insensitive: bool,
    dummy4unknown: bool,
) -> tuple[Correlation, Correlation, float]:
    """(Pearson, Spearman, percentage of pairs with an unknown word). `dummy4unknown` gives such pairs cosine 0; without
    it they are left out. InputError where no pair is left.
    """
    checked_encoding(encoding)
    if not isinstance(delimiter, str) or not delimiter:
        raise ParamError(f"delimiter must be a str of one character or more, got {delimiter!r}")
    # gensim's default is what most files have: it is taken for no choice
    pairs = read_pairs(path, None if delimiter == "\t" else delimiter)
    ratings, cosines, known = compare_pairs(vectors, pairs, restrict_vocab, case_insensitive)
    if dummy4unknown:
        cosines = np.where(known, cosines, np.float32(0))
    else:
        ratings, cosines = ratings[known], cosines[known]
    if not len(ratings):
        raise InputError(
            f"{os.fspath(path)}: none of its {len(known)} pairs has both words among the "
            f"{asked_words(vectors, restrict_vocab):,} most frequent"
        )
    found = [with_pvalue(of(ratings, cosines), len(ratings)) for of in (pearson, spearman)]
    return found[0], found[1], 100 * float(np.mean(~known))

"""Test files answered and reported as gensim does, and correlations as scipy's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from beside_gensim import beside_gensim
from gensim.models import KeyedVectors
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from w2v_spark.errors import InputError, ParamError, W2VError
from w2v_spark.vectors import evaluate
from w2v_spark.vectors.correlation import pearson, spearman, with_pvalue
from w2v_spark.vectors.vectors import Vectors


@pytest.fixture(scope="module")
def both() -> tuple[Vectors, KeyedVectors]:
    return beside_gensim()


numbers = st.integers(-6, 6).map(float)


def test_cosmul_analogies_are_gensims_one_by_one(tmp_path: Path) -> None:
    random = np.random.default_rng(8)
    words = [f"w{i}" for i in range(120)]
    rows = random.normal(size=(120, 3)).astype(np.float32)
    theirs = KeyedVectors(3)
    theirs.add_vectors(words, rows)
    questions, expected = [], []
    for _ in range(400):
        a, b, c, d = random.choice(words, 4, replace=False)
        answer = theirs.most_similar_cosmul([b, c], [a], topn=1)[0][0]
        questions.append((a, b, c, answer if random.random() < 0.5 else d))
        expected.append(answer == questions[-1][3])
    path = tmp_path / "questions.txt"
    path.write_text(": s\n" + "\n".join(map(" ".join, questions)))
    mine = Vectors(words, rows)
    answers = evaluate.answer_analogies(mine, path, method="mul")
    assert answers.correct.tolist() == expected
    score, sections = mine.evaluate_word_analogies(path, similarity_function="most_similar_cosmul")
    assert score == pytest.approx(np.mean(expected))
    assert len(sections[-1]["correct"]) == sum(expected)
    with pytest.raises(ParamError, match="^method must be one of add, mul, got 'x'$"):
        evaluate.evaluate_analogies(mine, path, method="x")


@pytest.mark.parametrize("dummy4unknown", [False, True])
@pytest.mark.parametrize("case_insensitive", [False, True])
def test_reports_as_gensim(
    both: tuple[Vectors, KeyedVectors], tmp_path: Path, dummy4unknown: bool, case_insensitive: bool
) -> None:
    mine, theirs = both
    random = np.random.default_rng(9)
    spelling = (lambda i: f"{random.choice(['w', 'W'])}{i}") if case_insensitive else (lambda i: f"w{i}")
    lines, pairs = [": first", "w1 w2 w3 nothing"], ["w1\tnothing\t3"]
    for _ in range(40):
        a, b, c = random.choice(50, 3, replace=False)
        answer = theirs.most_similar([f"w{b}", f"w{c}"], [f"w{a}"], topn=1, restrict_vocab=50)[0][0][1:]
        lines.append(" ".join(spelling(i) for i in (a, b, c, answer if random.random() < 0.5 else a)))
        pairs.append(f"{spelling(a)}\t{spelling(b)}\t{random.integers(10)}")
    (tmp_path / "q.txt").write_text("\n".join([*lines, ": second", *lines[2:9]]) + "\n")
    (tmp_path / "p.txt").write_text("\n".join(pairs) + "\n")
    arguments = {"restrict_vocab": 50, "case_insensitive": case_insensitive, "dummy4unknown": dummy4unknown}
    expected = theirs.evaluate_word_analogies(str(tmp_path / "q.txt"), **arguments)
    found = mine.evaluate_word_analogies(str(tmp_path / "q.txt"), **arguments)
    assert found[0] == pytest.approx(expected[0])
    assert found[1] == expected[1]
    linear, rank, unknown = theirs.evaluate_word_pairs(str(tmp_path / "p.txt"), **arguments)
    mine_linear, mine_rank, mine_unknown = mine.evaluate_word_pairs(str(tmp_path / "p.txt"), **arguments)
    assert tuple(mine_linear) == pytest.approx(tuple(linear), abs=1e-6)
    assert tuple(mine_rank) == pytest.approx(tuple(rank), abs=1e-6)
    assert (mine_linear.pvalue, mine_rank.statistic) == (mine_linear[1], mine_rank[0])
    assert mine_unknown == pytest.approx(unknown)


def test_pairs_none_of_which_is_known(both: tuple[Vectors, KeyedVectors], tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_text("x\ty\t3\n")
    for vectors in both:
        with pytest.raises(ValueError):
            vectors.evaluate_word_pairs(str(path))
    with pytest.raises(ParamError, match="^encoding must be utf8, got 'latin-1': convert the file first$"):
        both[0].evaluate_word_pairs(path, encoding="latin-1")


@pytest.mark.parametrize("delimiter", [";", "::", "|", " "])
def test_delimiters_as_gensim(both: tuple[Vectors, KeyedVectors], tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "p.txt"
    path.write_text("".join(f"w{i}{delimiter}w{i * 7 % 10}{delimiter}{i % 4}\n" for i in range(1, 30)))
    mine, theirs = (vectors.evaluate_word_pairs(str(path), delimiter=delimiter) for vectors in both)
    assert [tuple(found) for found in mine[:2]] == [pytest.approx(tuple(found), abs=1e-6) for found in theirs[:2]]
    path.write_text("w1\tw2\t3\n")
    message = f"{path}, line 1: expected two words and a number, separated by {delimiter!r}, got 'w1\\tw2\\t3'"
    with pytest.raises(InputError) as error:
        both[0].evaluate_word_pairs(path, delimiter=delimiter)
    assert str(error.value) == message


@pytest.mark.parametrize("delimiter", ["", None, b";"])
def test_what_is_no_delimiter(both: tuple[Vectors, KeyedVectors], tmp_path: Path, delimiter: str) -> None:
    with pytest.raises(ParamError) as error:
        both[0].evaluate_word_pairs(tmp_path / "p.txt", delimiter=delimiter)
    assert str(error.value) == f"delimiter must be a str of one character or more, got {delimiter!r}"


def test_all_words_may_answer(both: tuple[Vectors, KeyedVectors], tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text(": s\nw1 w2 w3 w5999\n")
    (tmp_path / "p.txt").write_text("w1\tw5999\t3\nw2\tw3\t4\nw4\tw5\t1\n")
    mine, theirs = both
    for name, path in (("evaluate_word_analogies", "q.txt"), ("evaluate_word_pairs", "p.txt")):
        found, expected = (getattr(v, name)(str(tmp_path / path), restrict_vocab=None) for v in (mine, theirs))
        assert found[-1] == expected[-1]
        with pytest.raises(ParamError) as error:
            getattr(mine, name)(tmp_path / path, restrict_vocab="100")
        assert str(error.value) == "restrict_vocab must be an integer of at least 1, or None, got '100'"


def test_odd_ones(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    centres = random.normal(size=(4, 10))
    words = [f"{'abcd'[i % 4]}{i}" for i in range(40)]
    rows = np.array([centres[i % 4] + 0.2 * random.normal(size=10) for i in range(40)], np.float32)
    mine = Vectors(words, rows)
    lines = ["a0 a4 a8 b1", "A12 a16 c2", "b1 a0 b5", "a0 nothing b1", ": more", "c2 c6 c10 c14 d3"]
    path = tmp_path / "odd.txt"
    path.write_text("\n".join(lines))
    report = evaluate.evaluate_odd_ones(mine, path)
    assert report.sections == (evaluate.Score("", 2, 3, 1), evaluate.Score("more", 1, 1, 0))
    assert report.total == evaluate.Score("total", 3, 4, 1)
    for line in lines[:1] + lines[-1:]:
        assert mine.doesnt_match(line.split()) == line.split()[-1]
    assert mine.doesnt_match(["b1", "a0", "b5"]) == "a0"
    expected = "expected three words or more, the last the one that does not belong, or ': section'"
    for text, message in (
        ("a b\n", f", line 1: {expected}, got 'a b'"),
        (": s\n", f" holds no words to choose from: {expected} on each line"),
    ):
        path.write_text(text)
        with pytest.raises(W2VError) as error:
            evaluate.evaluate_odd_ones(mine, path)
        assert str(error.value) == f"{path}{message}"


@given(st.lists(st.tuples(numbers, numbers), min_size=3, max_size=40))
def test_correlations_as_scipy(pairs: list[tuple[float, float]]) -> None:
    x, y = (np.array(side) for side in zip(*pairs, strict=True))
    for mine, theirs in ((pearson, stats.pearsonr), (spearman, stats.spearmanr)):
        found = with_pvalue(mine(x, y), len(x))
        if len(set(x)) == 1 or len(set(y)) == 1:
            assert np.isnan(found).all()
            continue
        expected = theirs(x, y)
        assert found.statistic == pytest.approx(float(expected.statistic), abs=1e-12)
        if abs(found.statistic) < 1 - 1e-9:
            assert found.pvalue == pytest.approx(float(expected.pvalue), rel=1e-6, abs=1e-12)

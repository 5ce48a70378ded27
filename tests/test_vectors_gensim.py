"""Vectors beside gensim's KeyedVectors: the same calls, the same answers, the same types of errors."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from w2v_spark.errors import ParamError, UnknownWordError, W2VError
from w2v_spark.vectors import evaluate, metrics, search
from w2v_spark.vectors.correlation import pearson, spearman, with_pvalue
from w2v_spark.vectors.vectors import Vectors

SIZE = 24


@pytest.fixture(scope="module")
def both() -> tuple[Vectors, KeyedVectors]:
    """The same random vectors of 6,000 words here and in gensim."""
    random = np.random.default_rng(2)
    words = [f"w{i}" for i in range(6_000)]
    numbers = (random.normal(size=(len(words), SIZE)) * random.uniform(0.2, 3, (len(words), 1))).astype(np.float32)
    theirs = KeyedVectors(SIZE)
    theirs.add_vectors(words, numbers)
    for i, word in enumerate(words):
        theirs.set_vecattr(word, "count", 9_000 - i)
    return Vectors(words, numbers, 9_000 - np.arange(len(words))), theirs


VECTOR = np.random.default_rng(3).normal(size=SIZE).astype(np.float32)
OTHER = np.random.default_rng(4).normal(size=SIZE).astype(np.float32)

CALLS: list[tuple[str, tuple[object, ...], dict[str, object]]] = [
    ("most_similar", ("w1",), {}),
    ("most_similar", (["w1", "w2"], ["w3"], 25), {}),
    ("most_similar", (["w1", 2], ["w3"], 25), {}),
    ("most_similar", ([("w1", 0.5), ("w2", 2.0)], [("w3", -0.7)], 5), {}),
    ("most_similar", (VECTOR, "w3"), {}),
    ("most_similar", (np.stack([VECTOR, OTHER]),), {}),
    ("most_similar", (["w1"], None, 7, 100), {}),
    ("most_similar", (["w1"], None, 7, 100, 300), {}),
    ("most_similar", (["w150"], None, 7, 100, 300), {}),
    ("most_similar", ("w1",), {"clip_end": 5}),
    ("most_similar", ("w1",), {"clip_start": 5_998}),
    ("most_similar", ("w1",), {"clip_start": 7_000}),
    ("most_similar", ("w1", None, 10, 100, 200, 50), {}),
    ("most_similar", ("w1",), {"topn": None}),
    ("most_similar", ("w1",), {"topn": None, "restrict_vocab": 40}),
    ("most_similar", ("w1",), {"topn": 0}),
    ("most_similar", ("w1",), {"topn": np.int64(3)}),
    ("similar_by_word", ("w5", 4, 100), {}),
    ("similar_by_word", ("w5",), {"topn": None}),
    ("similar_by_key", ("w5", 4, 100), {}),
    ("similar_by_vector", (VECTOR, 6), {}),
    ("most_similar_cosmul", ("w1", "w2"), {}),
    ("most_similar_cosmul", (["w1", "w2"], ["w3"], 30), {}),
    ("most_similar_cosmul", (["w1", "w2", "w4"], None, 3), {}),
    ("most_similar_cosmul", ([VECTOR / np.linalg.norm(VECTOR)], ["w3"]), {}),
    ("most_similar_cosmul", (["w1"], ["w2"], None), {}),
    ("most_similar_cosmul", (["w1"], ["w2"], 0), {}),
    ("similarity", ("w1", "w2"), {}),
    ("similarity", ("w1", "w1"), {}),
    ("distance", ("w1", "w2"), {}),
    ("distances", ("w1",), {}),
    ("distances", (VECTOR, ["w3", "w1", "w3"]), {}),
    ("n_similarity", (["w1", "w2"], ["w3"]), {}),
    ("n_similarity", (["w1", "nothing"], ["w3", "w4"]), {}),
    ("doesnt_match", (["w1", "w2", "w3", "w4"],), {}),
    ("doesnt_match", (["w1", "nothing", "w3", "w4"],), {}),
    ("rank_by_centrality", (["w1", "w2", "w3", "w4"],), {}),
    ("rank_by_centrality", (["w1", "w2", "w3"], False), {}),
    ("rank", ("w1", "w2"), {}),
    ("rank", ("w1", "w1"), {}),
    ("closer_than", ("w1", "w2"), {}),
    ("most_similar_to_given", ("w1", ["w2", "w3", "w4"]), {}),
    ("get_mean_vector", (["w1", "w2"],), {}),
    ("get_mean_vector", (["w1", "w2", "nothing"], [1.0, -0.5, 2.0]), {}),
    ("get_mean_vector", (["w1", VECTOR, 3], np.array([1.0, 0.5, 2.0]), False, True), {}),
    ("get_mean_vector", (["nothing"],), {}),
    ("get_vecattr", ("w7", "count"), {}),
    ("get_index", ("w7",), {}),
    ("get_index", ("nothing", -1), {}),
    ("get_index", (7,), {}),
    ("has_index_for", ("nothing",), {}),
    ("get_vector", ("w7",), {"norm": True}),
    ("get_normed_vectors", (), {}),
    ("__len__", (), {}),
    ("__contains__", ("w7",), {}),
    ("__contains__", (5_999,), {}),
    ("__contains__", (6_000,), {}),
    ("__getitem__", ("w7",), {}),
    ("__getitem__", (["w7", "w1"],), {}),
]


def same(mine: object, theirs: object) -> None:
    if isinstance(theirs, list):
        assert isinstance(mine, list)
        assert len(mine) == len(theirs)
        for one, other in zip(mine, theirs, strict=True):
            same(one, other)
    elif isinstance(theirs, tuple):
        assert isinstance(mine, tuple)
        for one, other in zip(mine, theirs, strict=True):
            same(one, other)
    elif isinstance(theirs, np.ndarray):
        assert isinstance(mine, np.ndarray)
        assert mine.shape == theirs.shape
        assert np.allclose(mine, theirs, atol=2e-6, rtol=1e-5)
    elif isinstance(theirs, float | np.floating):
        assert mine == pytest.approx(float(theirs), abs=2e-6)
    else:
        assert mine == theirs


@pytest.mark.parametrize(("name", "arguments", "options"), CALLS)
def test_same_answers(
    both: tuple[Vectors, KeyedVectors], name: str, arguments: tuple[object, ...], options: dict[str, object]
) -> None:
    mine, theirs = both
    same(getattr(mine, name)(*arguments, **options), getattr(theirs, name)(*arguments, **options))


def test_same_attributes(both: tuple[Vectors, KeyedVectors]) -> None:
    mine, theirs = both
    for name in ("index_to_key", "key_to_index", "vectors", "vector_size"):
        same(getattr(mine, name), getattr(theirs, name))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("most_similar", ()),
        ("most_similar", ("nothing",)),
        ("most_similar", (["w1"], ["nothing"])),
        ("most_similar_cosmul", ()),
        ("similarity", ("w1", "nothing")),
        ("distance", ("nothing", "w1")),
        ("distances", ("nothing",)),
        ("distances", ("w1", ["nothing"])),
        ("n_similarity", ([], ["w1"])),
        ("doesnt_match", ([],)),
        ("doesnt_match", (["nothing"],)),
        ("rank", ("w1", "nothing")),
        ("closer_than", ("nothing", "w1")),
        ("most_similar_to_given", ("w1", [])),
        ("most_similar_to_given", ("w1", ["nothing"])),
        ("get_mean_vector", ([],)),
        ("get_mean_vector", (["w1"], [1.0, 2.0])),
        ("get_mean_vector", (["nothing"], None, True, False, False)),
        ("get_vecattr", ("w1", "colour")),
        ("get_vecattr", ("nothing", "count")),
        ("get_index", ("nothing",)),
        ("get_vector", ("nothing",)),
        ("get_vector", (6_000,)),
        ("__getitem__", (["w1", "nothing"],)),
        ("similar_by_word", ("nothing",)),
    ],
)
def test_same_types_of_errors(both: tuple[Vectors, KeyedVectors], name: str, arguments: tuple[object, ...]) -> None:
    mine, theirs = both
    with pytest.raises((KeyError, ValueError, ZeroDivisionError)) as expected:
        getattr(theirs, name)(*arguments)
    with pytest.raises(W2VError) as error:
        getattr(mine, name)(*arguments)
    assert isinstance(error.value, expected.type)
    assert "\n" not in str(error.value) and len(str(error.value)) > 20


def test_same_order_of_arguments() -> None:
    for name in {name for name, _, _ in CALLS} - {"__contains__", "__getitem__", "__len__"} | {
        "evaluate_word_analogies",
        "evaluate_word_pairs",
    }:
        theirs = list(inspect.signature(getattr(KeyedVectors, name)).parameters.values())
        mine = list(inspect.signature(getattr(Vectors, name)).parameters.values())
        assert [p.name for p in mine][: len(theirs)] == [p.name for p in theirs], name
        defaults = [p.default for p in mine][: len(theirs)]
        assert defaults == [p.default for p in theirs], name


def test_what_is_refused_beyond_gensim(both: tuple[Vectors, KeyedVectors]) -> None:
    mine, _ = both
    for call, message in (
        (lambda: mine.most_similar("w1", clip_start=-1), "clip_start and clip_end must be ids from 0, got -1 and None"),
        (
            lambda: mine.most_similar("w1", metric="cos"),
            "metric must be one of cosine, dot, euclidean, manhattan, chebyshev, got 'cos'",
        ),
        (lambda: mine.get_vector(6_000), "id 6000 is none of the 6,000 words: ids go from 0 to 5999"),
        (
            lambda: mine.get_mean_vector(["w1"], [1.0, 2.0]),
            "1 words and 2 weights were given: must be one weight for each word",
        ),
        (lambda: mine.n_similarity([], ["a"]), "n_similarity needs two lists of words, got lists of 0 and 1"),
    ):
        with pytest.raises((ParamError, UnknownWordError)) as error:
            call()
        assert str(error.value) == message


def test_to_gensim(both: tuple[Vectors, KeyedVectors]) -> None:
    mine, theirs = both
    made = mine.to_gensim()
    same(made.most_similar("w1"), theirs.most_similar("w1"))
    assert made.get_vecattr("w7", "count") == theirs.get_vecattr("w7", "count")


# ---- metrics

numbers = st.integers(-6, 6).map(float)


def brute(metric: str, rows: np.ndarray, query: np.ndarray) -> np.ndarray:
    if metric == "dot":
        return rows @ query
    if metric == "cosine":
        lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(query)
        return rows @ query / np.where(lengths > 0, lengths, 1)
    return np.linalg.norm(rows - query, {"euclidean": 2, "manhattan": 1, "chebyshev": np.inf}[metric], axis=1)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["dot", "euclidean", "manhattan", "chebyshev"]),
    st.sampled_from([np.float32, np.float16]),
    st.integers(1, 30),
    st.integers(1, 12),
    st.integers(0, 2**31),
)
def test_metrics_by_brute_force(metric: str, dtype: type, rows: int, k: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    vectors = random.integers(-6, 7, (rows, 3)).astype(dtype)
    queries = random.integers(-6, 7, (4, 3)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "BLOCK_ROWS", 7)
        patch.setattr(search, "SPARE", 30)  # ties are many among small integers
        ids, values = search.top_k(vectors, metrics.norms(vectors), queries, k, metric)
        everything = search.values(vectors, metrics.norms(vectors), queries, metric)
    sign = -1 if metric == "dot" else 1
    for query, found, value, every in zip(queries, ids, values, everything, strict=True):
        exact = brute(metric, vectors.astype(float), query.astype(float))
        order = np.lexsort((np.arange(rows), sign * exact.astype(np.float32)))[:k]
        assert found.tolist() == order.tolist()
        assert value == pytest.approx(exact[order], rel=1e-6)
        assert every == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("metric", metrics.METRICS)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_metrics_of_vectors(both: tuple[Vectors, KeyedVectors], metric: str, dtype: str) -> None:
    matrix = both[0].vectors.astype(dtype)
    mine = Vectors(both[0].index_to_key, matrix)
    rows = matrix.astype(float)
    expected = brute(metric, rows, rows[5])
    order = np.argsort(expected if metric in metrics.DISTANCES else -expected)
    order = order[order != 5][:9]
    found = mine.most_similar("w5", topn=9, metric=metric)
    assert [word for word, _ in found] == [f"w{i}" for i in order]
    assert [value for _, value in found] == pytest.approx(
        expected[order].tolist(), rel=2e-3 if dtype == "float16" else 2e-6
    )
    assert mine.similarity("w5", "w9", metric) == pytest.approx(expected[9], rel=2e-6)
    same(mine.most_similar_each(["w5"], 9, metric=metric)[0], found)
    assert mine.similar_by_vector(matrix[5], 1, metric=metric)[0][0] == "w5" or metric == "dot"


def test_distances_ask_for_what_lies_between(both: tuple[Vectors, KeyedVectors]) -> None:
    mine, _ = both
    a, b, c = mine[["w1", "w2", "w3"]].astype(float)
    for positive, negative, query in (
        (["w1", "w2"], None, (a + b) / 2),
        (["w1", "w2"], ["w3"], a + b - c),
        (None, ["w1"], -a),
        (["w1"], ["w2"], a - b),
    ):
        found = mine.most_similar(positive, negative, 1, metric="euclidean")[0]
        expected = brute("euclidean", mine.vectors.astype(float), query)
        given = [int(word[1:]) for word in (positive or []) + (negative or [])]
        expected[given] = np.inf
        assert found[0] == f"w{expected.argmin()}"
        assert found[1] == pytest.approx(expected.min(), rel=1e-5)


def test_float16_as_numpy_makes_it() -> None:
    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    finite = np.isfinite(every)
    mine, theirs = metrics.float32(every[:, None])[:, 0], every.astype(np.float32)
    assert np.array_equal(mine[finite].view(np.int32), theirs[finite].view(np.int32))
    assert (np.abs(mine[~finite]) >= 65536).all()
    assert np.array_equal(np.isfinite(metrics.norms(every[:, None])), finite)
    long = np.full((1, 300), 60_000, np.float16)
    assert metrics.norms(long)[0] == pytest.approx(np.linalg.norm(long.astype(float)), rel=1e-6)


def test_few_words_are_looked_up_without_a_dictionary(both: tuple[Vectors, KeyedVectors]) -> None:
    mine = Vectors(both[0].index_to_key, both[0].vectors)
    for i in range(20):
        assert mine.get_index(f"w{i * 7}") == i * 7
        assert "nothing" not in mine
        assert "\ud800" not in mine
        assert ("key_to_index" in mine.__dict__) == (i >= 2)
    assert "index_to_key" in mine.__dict__
    with pytest.raises(UnknownWordError, match=r"^word '\\udcff' is not in the vocabulary of 6,000 words$"):
        mine.get_index("\udcff")
    mine = Vectors(both[0].index_to_key, both[0].vectors)
    assert len(mine.most_similar("w1")) == 10
    assert not {"index_to_key", "key_to_index"} & mine.__dict__.keys()


def test_batches_of_words_and_vectors(both: tuple[Vectors, KeyedVectors]) -> None:
    mine, theirs = both
    found = mine.most_similar_each(["w3", VECTOR, 9], 5)
    for asked, answer in zip(["w3", VECTOR, 9], found, strict=True):
        same(answer, theirs.most_similar([asked], topn=5))
    many = mine.most_similar_each(mine.vectors[:1500], 2)  # more than one block of queries
    assert [answer[0][0] for answer in many] == mine.index_to_key[:1500]


# ---- test files


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

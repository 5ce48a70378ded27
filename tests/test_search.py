"""The exact search by every metric, against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from beside_gensim import beside_gensim, same
from gensim.models import KeyedVectors
from hypothesis import given, settings
from hypothesis import strategies as st

from w2v_spark.vectors import metrics, search
from w2v_spark.vectors.metrics import Rows
from w2v_spark.vectors.vectors import Vectors


@pytest.fixture(scope="module")
def both() -> tuple[Vectors, KeyedVectors]:
    return beside_gensim()


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 70), st.integers(0, 9), st.integers(1, 20))
def test_top_k_is_brute_force(seed: int, rows: int, k: int, queries: int, block: int) -> None:
    random = np.random.default_rng(seed)
    # every cosine is exact in float32 and many are equal: the order among them is by row
    vectors = random.integers(-2, 3, (rows, 3)).astype(np.float32)
    lengths = np.ones(rows, np.float32)
    asked = np.eye(3, dtype=np.float32)[random.integers(0, 3, queries)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "BLOCK_ROWS", block)
        patch.setattr(search, "BLOCK_QUERIES", 4)
        ids, scores = search.top_k(Rows(vectors, lengths), asked, k)
    for query, found, score in zip(asked, ids, scores, strict=True):
        exact = vectors @ query
        expected = np.lexsort((np.arange(rows), -exact))[:k]
        assert found.tolist() == expected.tolist()
        assert score.tolist() == exact[expected].tolist()


def test_top_k_over_many_blocks() -> None:
    random = np.random.default_rng(1)
    vectors = random.normal(size=(20_000, 20)).astype(np.float32)
    queries = random.normal(size=(300, 20)).astype(np.float32)
    ids, scores = search.top_k(Rows.of(vectors), queries, 10)
    exact = metrics.unit(queries).astype(float) @ metrics.unit(vectors).astype(float).T
    assert np.array_equal(ids, np.argsort(-exact, axis=1)[:, :10])
    assert scores == pytest.approx(-np.sort(-exact, axis=1)[:, :10], abs=1e-6)


def test_zeros_have_cosine_zero() -> None:
    vectors = Vectors(["zero", "one", "other"], np.array([[0, 0], [1, 0], [0, 2]], np.float32))
    assert vectors.most_similar("zero") == [("one", 0.0), ("other", 0.0)]
    assert vectors.most_similar("one") == [("zero", 0.0), ("other", 0.0)]
    assert vectors.similarity("zero", "one") == 0.0


# ---- metrics


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
        ids, values = search.top_k(Rows.of(vectors), queries, k, metric)
        everything = search.values(Rows.of(vectors), queries, metric)
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

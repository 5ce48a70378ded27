"""The approximate index: what it finds beside the exact search, and what it says without its package."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from w2v_spark.array_types import Floats
from w2v_spark.errors import FormatError, InputError, MissingExtraError, OutputError, ParamError, pip_install
from w2v_spark.vectors import search
from w2v_spark.vectors.ann import METRICS, Index
from w2v_spark.vectors.vectors import Vectors


def made(rows: int = 2_000, size: int = 12) -> Vectors:
    random = np.random.default_rng(0)
    numbers = random.normal(size=(rows, size)) * random.uniform(0.5, 2, (rows, 1))
    return Vectors([f"w{i}" for i in range(rows)], numbers.astype(np.float32))


TOLERANCE = {"float32": 1e-5, "float16": 3e-2, "int8": 2e-2}  # what an index keeps of each number


def recall(vectors: Vectors, index: Index, metric: str, dtype: str) -> float:
    """The share of the true neighbours among those found; what the index says of each must be its true value."""
    queries = vectors.vectors[:200].astype(np.float32)
    exact, _ = search.top_k(vectors.rows, queries, 10, metric)
    ids, found = index.search(queries, 10)
    assert found == pytest.approx(values_of(vectors, queries, ids, metric), abs=TOLERANCE[dtype])
    assert (np.diff(found if metric == "euclidean" else -found) >= -1e-6).all()
    return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(ids.tolist(), exact.tolist(), strict=True)]))


def values_of(vectors: Vectors, queries: Floats, ids: npt.NDArray[np.int64], metric: str) -> Floats:
    """The metric's value of each query and each of its ids, in float64."""
    rows, queries = vectors.vectors[ids].astype(np.float64), queries[:, None].astype(np.float64)
    if metric == "euclidean":
        return np.linalg.norm(rows - queries, axis=2)
    if metric == "cosine":
        rows, queries = (x / np.linalg.norm(x, axis=2, keepdims=True) for x in (rows, queries))
    return (rows * queries).sum(axis=2)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_finds_the_neighbours(tmp_path: Path, metric: str, dtype: str) -> None:
    pytest.importorskip("usearch", reason="needs extra ann")
    vectors = made()
    index = Index.build(vectors, metric, dtype=dtype)
    assert recall(vectors, index, metric, dtype) > 0.9
    index.save(tmp_path / "index")
    for mmap in (False, True):
        assert recall(vectors, Index.open(tmp_path / "index", vectors, metric, mmap=mmap), metric, dtype) > 0.9
    with pytest.raises(OutputError, match="is there already: give another name, or remove it first$"):
        index.save(tmp_path / "index")


def test_answers_most_similar() -> None:
    pytest.importorskip("usearch", reason="needs extra ann")
    vectors = made()
    index = Index.build(vectors)
    found = vectors.most_similar("w7", topn=4, indexer=index)
    exact = vectors.most_similar("w7", topn=3)
    # as with gensim's indexers the word itself is among the answers
    assert [word for word, _ in found] == ["w7", *(word for word, _ in exact)]
    assert [value for _, value in found[1:]] == pytest.approx([value for _, value in exact], abs=1e-5)
    half = Vectors(vectors.index_to_key, vectors.vectors.astype(np.float16))
    assert recall(half, Index.build(half, dtype="int8"), "cosine", "int8") > 0.8


def test_one_thread_builds_the_same_index_each_time() -> None:
    pytest.importorskip("usearch", reason="needs extra ann")
    vectors = made()
    (ids, values), (again, values_again) = (
        Index.build(vectors, "dot", threads=1).search(vectors.vectors[:200], 10) for _ in range(2)
    )
    assert (ids == again).all()
    assert (values == values_again).all()


def test_mistakes(tmp_path: Path) -> None:
    pytest.importorskip("usearch", reason="needs extra ann")
    vectors = made(50, 4)
    index = Index.build(vectors)
    index.save(tmp_path / "index")
    (tmp_path / "other").write_bytes(b"no index at all")
    for call, kind, message in (
        (
            lambda: Index.build(vectors, "manhattan"),
            ParamError,
            "metric of an index must be one of cosine, dot, euclid",
        ),
        (lambda: Index.build(vectors, dtype="int4"), ParamError, "dtype of an index must be one of float32, float16,"),
        (lambda: Index.build(vectors, "dot", dtype="int8"), ParamError, "dtype int8 goes with cosine alone"),
        (lambda: Index.open(tmp_path / "none", vectors), InputError, f"cannot read {tmp_path}/none: there is no such"),
        (lambda: Index.open(tmp_path / "other", vectors), FormatError, f"{tmp_path}/other is no index of usearch: "),
        (
            lambda: Index.open(tmp_path / "index", made(49, 4)),
            FormatError,
            f"{tmp_path}/index is an index of 50 vectors of 4 numbers by Cos, not of these 49 of 4 by Cos: give what",
        ),
        (
            lambda: Index.open(tmp_path / "index", vectors, "dot"),
            FormatError,
            f"{tmp_path}/index is an index of 50 vectors of 4 numbers by Cos, not of these 50 of 4 by IP: give what",
        ),
    ):
        with pytest.raises(kind) as error:
            call()
        assert str(error.value).startswith(message)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(MissingExtraError) as error:
        Index.build(made(5, 2))
    assert str(error.value) == f"an approximate index requires extra 'ann': install it with {pip_install('ann')}"

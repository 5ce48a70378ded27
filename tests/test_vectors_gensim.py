"""Vectors beside gensim's KeyedVectors: the same calls, the same answers, the same types of errors."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from beside_gensim import SIZE, beside_gensim, made, same
from gensim.models import KeyedVectors

from w2v_spark.errors import ParamError, UnknownWordError, W2VError
from w2v_spark.vectors.vectors import Vectors


@pytest.fixture(scope="module")
def both() -> tuple[Vectors, KeyedVectors]:
    return beside_gensim()


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
    ("distances", ("w1", None), {}),
    ("cosine_similarities", (VECTOR, np.stack([VECTOR, OTHER])), {}),
    ("relative_cosine_similarity", ("w1", "w2"), {}),
    ("relative_cosine_similarity", ("w1", "w2", 3), {}),
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
        "save_word2vec_format",
        "load_word2vec_format",
    }:
        theirs = list(inspect.signature(getattr(KeyedVectors, name)).parameters.values())
        mine = list(inspect.signature(getattr(Vectors, name)).parameters.values())
        assert [p.name for p in mine][: len(theirs)] == [p.name for p in theirs], name
        defaults = [p.default for p in mine][: len(theirs)]
        assert defaults == [p.default for p in theirs], name


def test_what_is_refused_beyond_gensim(both: tuple[Vectors, KeyedVectors]) -> None:
    mine, _ = both
    for call, message in (
        (lambda: mine.most_similar("w1", clip_start=-1), "clip_start must be an integer of at least 0, got -1"),
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


def test_batches_of_words_and_vectors(both: tuple[Vectors, KeyedVectors]) -> None:
    mine, theirs = both
    found = mine.most_similar_each(["w3", VECTOR, 9], 5)
    for asked, answer in zip(["w3", VECTOR, 9], found, strict=True):
        same(answer, theirs.most_similar([asked], topn=5))
    many = mine.most_similar_each(mine.vectors[:1500], 2)  # more than one block of queries
    assert [answer[0][0] for answer in many] == mine.index_to_key[:1500]


def test_most_similar_as_gensim() -> None:
    mine, theirs = made(9_000, 30)
    vector = np.random.default_rng(5).normal(size=30).astype(np.float32)
    for positive, negative in (
        ("w1", None),
        (["w1", "w2"], ["w3"]),
        ([("w1", 0.5), "w8000"], [("w3", -2.0)]),
        (["w1", "w1"], None),
        (vector, ["w5"]),
        ([vector, ("w7", 0.3)], None),
        (None, "w6"),
    ):
        same(mine.most_similar(positive, negative, 10), theirs.most_similar(positive, negative, 10))
        same(
            mine.most_similar(positive, negative, topn=25, restrict_vocab=4),
            theirs.most_similar(positive, negative, topn=25, restrict_vocab=4),
        )
    assert mine.most_similar("w4", "w4", 2) == [("w0", 0.0), ("w1", 0.0)]
    assert len(mine.most_similar("w1", topn=9_000)) == 8_999
    assert mine.most_similar("w1", topn=0) == theirs.most_similar("w1", topn=0) == []


def test_most_similar_each_is_each_by_itself() -> None:
    mine, theirs = made(500, 10)
    found = mine.most_similar_each(["w3", "w9", "w3"], 5, restrict_vocab=400)
    for word, answer in zip(["w3", "w9", "w3"], found, strict=True):
        same(answer, theirs.most_similar(word, topn=5, restrict_vocab=400))
    assert mine.most_similar_each([]) == []


def test_similarity_as_gensim() -> None:
    mine, theirs = made(50, 7)
    for a, b in (("w1", "w2"), ("w3", "w3"), ("w49", "w0")):
        assert mine.similarity(a, b) == pytest.approx(theirs.similarity(a, b), abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "most_similar needs at least one positive or negative word or vector, got none"),
        ({"positive": "w1", "restrict_vocab": 0}, "restrict_vocab must be an integer of at least 1, or None, got 0"),
        ({"positive": np.zeros(3)}, "a vector of (3,) was given: must be (7,) numbers"),
        (
            {"positive": np.full(7, np.inf)},
            "a vector must be finite numbers, none beyond 3.4e38, which is the largest float32",
        ),
    ],
)
def test_wrong_arguments(arguments: dict[str, object], message: str) -> None:
    mine, _ = made(5, 7)
    with pytest.raises(ParamError) as error:
        mine.most_similar(**arguments)  # type: ignore[arg-type]
    assert str(error.value) == message

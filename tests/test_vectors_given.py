"""What is given to the queries: words, vectors in every shape, weights and whole numbers, and what is none of these."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest
from beside_gensim import SIZE, beside_gensim, same

from w2v_spark.errors import ParamError
from w2v_spark.vectors.given import Sparks
from w2v_spark.vectors.vectors import Vectors


@pytest.fixture(scope="module")
def mine() -> Vectors:
    return beside_gensim()[0]


class OfSpark:
    """A vector as Spark gives it."""

    def __init__(self, numbers: np.ndarray):
        self.numbers = numbers

    def toArray(self) -> np.ndarray:
        return self.numbers.astype(np.float64)


VECTOR = np.random.default_rng(3).normal(size=SIZE).astype(np.float32)
FORMS: list[Callable[[np.ndarray], list[float] | tuple[float, ...] | Sparks]] = [
    lambda vector: vector.tolist(),
    lambda vector: tuple(vector),
    OfSpark,
]


# ---- vectors


@pytest.mark.parametrize("form", FORMS)
def test_vectors_of_every_form(mine: Vectors, form: Callable[[np.ndarray], list[float]]) -> None:
    given, other = form(VECTOR), form(VECTOR[::-1])
    same(mine.most_similar(given), mine.most_similar(VECTOR))
    same(mine.most_similar([given], [other, "w3"]), mine.most_similar([VECTOR], [VECTOR[::-1], "w3"]))
    same(mine.most_similar([(given, 0.5), "w3"]), mine.most_similar([(VECTOR, 0.5), "w3"]))
    same(mine.similar_by_vector(given), mine.similar_by_vector(VECTOR))
    same(mine.most_similar_each([given, "w1"]), mine.most_similar_each([VECTOR, "w1"]))
    same(mine.distances(given, ["w1", "w2"]), mine.distances(VECTOR, ["w1", "w2"]))
    same(mine.get_mean_vector([given, "w1"]), mine.get_mean_vector([VECTOR, "w1"]))
    unit = form(VECTOR / np.linalg.norm(VECTOR))
    same(mine.most_similar_cosmul([unit]), mine.most_similar_cosmul([VECTOR / np.linalg.norm(VECTOR)]))
    same(
        mine.cosine_similarities(given, [given, other]),
        mine.cosine_similarities(VECTOR, np.stack([VECTOR, VECTOR[::-1]])),
    )


def test_a_pair_is_no_vector_of_two_numbers() -> None:
    small = Vectors(["a", "b", "c", "d"], [[1, 0], [0, 1], [1, 1], [-1, 2]])
    assert small.vectors.dtype == np.float32
    assert small.most_similar([(0.0, 2.0)], topn=1) == [("b", 1.0)]
    assert small.most_similar([(1, 0.5)], topn=4)[0][0] == "d"  # the word of id 1, which is no answer


@pytest.mark.parametrize("scale", [1e30, 1e-30, 1e18, 1e-18])
def test_directions_of_very_long_and_short_vectors(mine: Vectors, scale: float) -> None:
    far = VECTOR * np.float32(scale)
    same(mine.most_similar([far]), mine.most_similar([VECTOR]))
    same(mine.most_similar_each([far]), mine.most_similar_each([VECTOR]))
    same(mine.similarity(far, "w3"), mine.similarity(VECTOR, "w3"))
    same(mine.distances(far), mine.distances(VECTOR))
    same(mine.cosine_similarities(far, mine.vectors[:9]), mine.cosine_similarities(VECTOR, mine.vectors[:9]))
    same(mine.n_similarity([far], ["w3"]), mine.n_similarity([VECTOR], ["w3"]))


BEYOND = "must be finite numbers, none beyond 3.4e38, which is the largest float32"
WORD, ITEM = "a word is a str or an id (int), got", "a word is a str, an id (int) or a vector, got"
WEIGHT = "a weight must be a number from -1e30 to 1e30, got"

REFUSED: list[tuple[Callable[[Vectors], object], str]] = [
    (lambda v: v.most_similar(b"w1"), f"{ITEM} b'w1' (bytes)"),
    (lambda v: v.most_similar([b"w1"]), f"{ITEM} b'w1' (bytes)"),
    (lambda v: v.most_similar_cosmul(b"w1"), f"{ITEM} b'w1' (bytes)"),
    (lambda v: v.most_similar([None]), f"{ITEM} None (NoneType)"),
    (lambda v: v.most_similar(1.5), f"{ITEM} 1.5 (float)"),
    (lambda v: v.most_similar([["w1", "w2"]]), f"{ITEM} ['w1', 'w2'] (list)"),
    (lambda v: v.most_similar([("w1", 1, 2)]), f"{ITEM} ('w1', 1, 2) (tuple)"),
    (lambda v: v.similarity(None, "w1"), f"{ITEM} None (NoneType)"),
    (lambda v: v.distances([["w1"]]), f"{ITEM} [['w1']] (list)"),
    (lambda v: v.n_similarity([["w1"]], ["w2"]), f"{ITEM} ['w1'] (list)"),
    (lambda v: v.get_mean_vector([["w1", "w2"]]), f"{ITEM} ['w1', 'w2'] (list)"),
    (lambda v: v.get_mean_vector(VECTOR.tolist()), f"{ITEM} {VECTOR.tolist()[0]!r} (float)"),
    (lambda v: v[b"w1"], f"{WORD} b'w1' (bytes)"),
    (lambda v: v[None], f"{WORD} None (NoneType)"),
    (lambda v: v.get_vector([0.25] * 300), f"{WORD} [0.25, 0.25, 0.25, 0.25, 0.25, 0.25, ...] (list)"),
    (lambda v: v.doesnt_match([np.ones(1), "w1"]), f"{WORD} array([1.]) (ndarray)"),
    (
        lambda v: v.most_similar(("w1", 1.2)),
        "a word and its weight belong into a list, as in [('king', 0.5)], got ('w1', 1.2) (tuple)",
    ),
    (lambda v: v.most_similar_each("king"), "words must be a list, got 'king' (str)"),
    (lambda v: v.doesnt_match("w1 w2"), "words must be a list, got 'w1 w2' (str)"),
    (lambda v: v.n_similarity("w1", ["w2"]), "ws1 must be a list, got 'w1' (str)"),
    (lambda v: v.get_mean_vector(b"w1"), "keys must be a list, got b'w1' (bytes)"),
    (lambda v: v.distances("w1", "w2"), "other_words must be a list, got 'w2' (str)"),
    (lambda v: v.most_similar_to_given("w1", "w2"), "keys_list must be a list, got 'w2' (str)"),
    (lambda v: v.most_similar_cosmul([("w1", 0.5)]), "most_similar_cosmul has no weights but 1, got 0.5: leave it out"),
    (
        lambda v: v.most_similar_cosmul([VECTOR * 1e30] * 3),
        f"most_similar_cosmul takes vectors of about length one, got one of {np.linalg.norm(VECTOR):.2f}e+30: divide it"
        " by that",
    ),
    (lambda v: v.most_similar([("w1", np.nan)]), f"{WEIGHT} nan (float)"),
    (lambda v: v.most_similar([("w1", -np.inf)]), f"{WEIGHT} -inf (float)"),
    (lambda v: v.most_similar([("w1", None)]), f"{WEIGHT} None (NoneType)"),
    (lambda v: v.most_similar([("w1", 1e31)]), f"{WEIGHT} 1e+31 (float)"),
    (lambda v: v.get_mean_vector(["w1"], ["2"]), f"{WEIGHT} '2' (str)"),
    (lambda v: v.get_mean_vector(["w1"], 2), "weights must be a list, got 2 (int)"),
    (lambda v: v.most_similar([VECTOR.astype(float) * 1e39]), f"a vector {BEYOND}"),
    (lambda v: v.most_similar_each([VECTOR.astype(float) * 1e39]), f"a vector {BEYOND}"),
    (lambda v: v.cosine_similarities([1e39], [[1.0]]), f"vector_1 {BEYOND}"),
    (lambda v: v.most_similar([np.full(SIZE, 3e38)] * 2), f"the weighted sum of what is given {BEYOND}"),
    (
        lambda v: v.most_similar([VECTOR * 1e30], metric="dot"),
        "a vector is longer than 1.8e19, beyond which dot cannot be told: give smaller numbers",
    ),
    (
        lambda v: v.most_similar_each([VECTOR * 1e30], metric="euclidean"),
        "a vector is longer than 1.8e19, beyond which euclidean cannot be told: give smaller numbers",
    ),
    (lambda v: v.cosine_similarities("w1", [[1, 2]]), "vector_1 must be a vector of 2 numbers, got 'w1' (str)"),
    (lambda v: v.cosine_similarities([1, 2], ["w1"]), "vectors_all must be vectors of one length, got ['w1'] (list)"),
    (lambda v: Vectors(["a", "b"], [[1, 2], [3]]), "vectors must be vectors of one length, got [[1, 2], [3]] (list)"),
    (lambda v: Vectors(["a"], None), "vectors must be vectors of one length, got None (NoneType)"),
    (
        lambda v: v.relative_cosine_similarity("w1", "w2", 0),
        "topn must be an integer of at least 1, got 0",
    ),
    (
        lambda v: Vectors(["a"], [[1, 2]]).relative_cosine_similarity("a", "a"),
        "relative_cosine_similarity needs a vocabulary of two words or more, got one",
    ),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_is_refused(mine: Vectors, number: int) -> None:
    ask, message = REFUSED[number]
    with pytest.raises(ParamError) as error:
        ask(mine)
    assert str(error.value) == message


def test_unknown_words_are_passed_over(mine: Vectors) -> None:
    same(mine.get_mean_vector(["w1", "nothing", 6_000]), mine.get_mean_vector(["w1"]))
    assert (None in mine, b"w1" in mine, VECTOR.tolist() in mine) == (False, False, False)


def test_zeros_are_near_to_nothing() -> None:
    assert Vectors(["a", "b"], [[0, 0], [1, 2]]).relative_cosine_similarity("a", "b") == 0


def test_words_in_an_array(mine: Vectors) -> None:
    words = ["w1", "w2"]
    same(mine.distances("w3", np.array(words)), mine.distances("w3", words))
    same(mine.most_similar(np.array(words)), mine.most_similar(words))
    same(mine.most_similar_each(np.array(words)), mine.most_similar_each(words))


# ---- whole numbers


@pytest.mark.parametrize("value", [2.5, "5", 100.0, True, [3]])
@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("topn", "an integer, or None"),
        ("restrict_vocab", "an integer of at least 1, or None"),
        ("clip_start", "an integer of at least 0"),
        ("clip_end", "an integer of at least 0, or None"),
    ],
)
def test_whole_numbers_are_told_by_name(mine: Vectors, name: str, allowed: str, value: object) -> None:
    with pytest.raises(ParamError) as error:
        mine.most_similar("w1", **{name: value})  # wrong on purpose
    assert str(error.value) == f"{name} must be {allowed}, got {value!r}"


def test_none_is_allowed_where_gensim_allows_it(mine: Vectors) -> None:
    same(mine.most_similar("w1", restrict_vocab=None, clip_end=None), mine.most_similar("w1"))
    for ask, message in (
        (lambda: mine.most_similar("w1", clip_start=None), "clip_start must be an integer of at least 0, got None"),
        (lambda: mine.most_similar_each(["w1"], topn=None), "topn must be an integer, got None"),
        (lambda: mine.most_similar_cosmul("w1", topn="3"), "topn must be an integer, or None, got '3'"),
    ):
        with pytest.raises(ParamError) as error:
            ask()
        assert str(error.value) == message


# ---- copies


def test_copies_are_read_only_too() -> None:
    vectors = Vectors(["a", "b"], np.eye(2, dtype=np.float32))
    expected = vectors.most_similar("a")
    for made in (pickle.loads(pickle.dumps(vectors)), copy.copy(vectors), copy.deepcopy(vectors)):
        assert not made.vectors.flags.writeable
        assert made.most_similar("a") == expected
        assert not hasattr(made, "index2word")

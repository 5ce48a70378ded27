"""From words to ids and back, and the vectors that words start with."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from w2v_spark.corpus.vocab import count_words, decode, encode, initial_vectors

VOCABULARY = ["a", "b", "c"]


@given(st.lists(st.lists(st.sampled_from(["a", "b", "c", "x"]), max_size=12)), st.integers(2, 5))
def test_encode_splits_then_drops_unknown_words(documents: list[list[str]], longest: int) -> None:
    flat = pa.array([w for d in documents for w in d], pa.string())
    lengths = np.array([len(d) for d in documents], np.int64)
    pieces = [d[i : i + longest] for d in documents for i in range(0, len(d), longest)]
    expected = [ids for p in pieces if (ids := [VOCABULARY.index(w) for w in p if w in VOCABULARY])]
    ids, offsets = decode(encode(flat, lengths, pa.array(VOCABULARY), longest))
    assert [ids[i:j].tolist() for i, j in zip(offsets[:-1], offsets[1:], strict=True)] == expected


def test_decode_of_a_slice() -> None:
    packed = encode(pa.array(["a", "b", "b", "c"]), np.array([1, 2, 1]), pa.array(VOCABULARY), 9).slice(1, 2)
    ids, offsets = decode(packed)
    assert ids.tolist() == [1, 1, 2] and offsets.tolist() == [0, 2, 3]


def test_count_words() -> None:
    counted = count_words(pa.array(["b", "a", "b"])).to_pylist()
    assert sorted((r["word"], r["count"]) for r in counted) == [("a", 1), ("b", 2)]


def test_initial_vectors_depend_on_seed_and_word_alone() -> None:
    both, one = initial_vectors(["king", "queen"], 40, 7), initial_vectors(["queen"], 40, 7)
    assert np.array_equal(both[1], one[0])
    assert not np.array_equal(one, initial_vectors(["queen"], 40, 8))
    assert both.dtype == np.float32


def test_initial_vectors_are_uniform() -> None:
    values = initial_vectors([f"w{i}" for i in range(2000)], 50, 1).ravel() * 50
    assert -0.5 < values.min() < -0.499 and 0.499 < values.max() < 0.5
    histogram, _ = np.histogram(values, bins=20, range=(-0.5, 0.5))
    expected = len(values) / 20
    assert ((histogram - expected) ** 2 / expected).sum() < 45  # chi-square, 19 degrees of freedom: p = 0.0007

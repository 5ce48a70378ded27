"""The same vectors here and in gensim, and how answers are compared."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from gensim.models import KeyedVectors

from w2v_spark.vectors.vectors import Vectors

SIZE = 24


@functools.cache
def beside_gensim() -> tuple[Vectors, KeyedVectors]:
    """The same random vectors of 6,000 words here and in gensim."""
    random = np.random.default_rng(2)
    words = [f"w{i}" for i in range(6_000)]
    numbers = (random.normal(size=(len(words), SIZE)) * random.uniform(0.2, 3, (len(words), 1))).astype(np.float32)
    theirs = KeyedVectors(SIZE)
    theirs.add_vectors(words, numbers)
    for i, word in enumerate(words):
        theirs.set_vecattr(word, "count", 9_000 - i)
    return Vectors(words, numbers, 9_000 - np.arange(len(words))), theirs


def same(mine: object, theirs: object) -> None:
    """Holds that two answers are alike, numbers up to rounding."""
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


def made(size: int, dims: int, seed: int = 0) -> tuple[Vectors, KeyedVectors]:
    """The same random vectors here and in gensim."""
    words = [f"w{i}" for i in range(size)]
    numbers = np.random.default_rng(seed).normal(size=(size, dims)).astype(np.float32)
    theirs = KeyedVectors(dims)
    theirs.add_vectors(words, numbers)
    return Vectors(words, numbers), theirs

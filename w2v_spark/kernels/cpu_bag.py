"""Bags of words on CPU: the hidden vectors that CBOW makes of the words around its centres, and their way back.

A bag is up to 32 consecutive words of the strip as centres, and the words around them as contexts, whose rows of syn0
neighbouring centres share: they are read once and written once. A centre's hidden vector is the mean or the sum of its
contexts' rows. What is added to them is what word2vec.c and gensim add: for the mean (`cbow_mean=1`, and all that
word2vec.c knows) the whole step by the hidden vector to each context, which is as many times its gradient as there are
contexts; for the sum (`cbow_mean=0`, gensim alone) the step divided by their number.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from w2v_spark.array_types import Floats
from w2v_spark.kernels.aligned import aligned_zeros
from w2v_spark.kernels.cache import inner
from w2v_spark.kernels.cpu_strip import Strip, is_frozen, occurrences
from w2v_spark.kernels.simd import add_combination, copy
from w2v_spark.kernels.sizes import MOST_UPDATES

ROWS = 32  # centres in a bag


class Bag(NamedTuple):
    """What is computed for a bag, apart from its output layer; each row is of `width` floats."""

    context: Floats  # rows of syn0 of the words around, [ROWS + 2 * window, width]
    hidden: Floats  # [ROWS, width]
    steps: Floats  # by the hidden vectors: minus the gradient times the learning rate, [ROWS, width]
    pooling: Floats  # how much of a context's row goes into a hidden vector, [ROWS]
    shares: Floats  # how much of a step goes to a context, [ROWS, 2 * window + 1]
    ones: Floats  # [ROWS]


@inner
def make_bag(window: Any, width: Any) -> Bag:
    """A bag of zeros."""
    around = ROWS + 2 * window
    return Bag(
        aligned_zeros(around * width),
        aligned_zeros(ROWS * width),
        aligned_zeros(ROWS * width),
        np.zeros(ROWS, np.float32),
        np.zeros(ROWS * (2 * window + 1), np.float32),
        np.ones(ROWS, np.float32),
    )


@inner
def count_samples(strip: Strip, at: Any, rows: Any, window: Any) -> Any:
    """How many of the centres have a context."""
    samples = 0
    for i in range(at + window, at + window + rows):
        samples += strip.left[i] + strip.right[i] > 0
    return samples


@inner
def fill_bag(
    bag: Bag, strip: Strip, at: Any, rows: Any, filled: Any, syn0: Any, mean: Any, window: Any, width: Any
) -> None:
    """Read the rows of syn0 around the centres `at` words into a strip of `filled`, and form the hidden vectors."""
    reach = 2 * window
    band = reach + 1
    words = strip.words
    for j in range(max(0, window - at), min(rows + reach, filled + window - at)):
        copy(bag.context, j * width, syn0, np.int64(words[at + j]) * width, width)
    bag.hidden[:] = 0
    bag.steps[:] = 0
    bag.shares[:] = 0
    for i in range(rows):
        left, right = strip.left[at + window + i], strip.right[at + window + i]
        part = np.float32(1 / max(1, left + right))
        bag.pooling[i] = part if mean else 1
        share, middle = np.float32(1) if mean else part, i * band + window
        for k in range(middle - left, middle + right + 1):
            bag.shares[k] = share
        bag.shares[middle] = 0
        first, after = (i + window - left) * width, (i + window + 1) * width
        add_combination(bag.hidden, i * width, bag.pooling, i, 0, bag.context, first, width, left, width)
        add_combination(bag.hidden, i * width, bag.pooling, i, 0, bag.context, after, width, right, width)


@inner
def spread_steps(
    bag: Bag,
    strip: Strip,
    at: Any,
    rows: Any,
    filled: Any,
    syn0: Any,
    frozen: Any,
    updates: Any,
    window: Any,
    width: Any,
) -> None:
    """Add to each context's row of syn0 its share of the steps by the hidden vectors that it is part of; words that are
    frozen are left as they are.

    A bag adds up the changes of a word that it repeats, where one after another they would level off: beyond
    `MOST_UPDATES` the word's changes are as much smaller. `updates` is the learning rate times the number of updates
    that an occurrence gets, about.
    """
    reach, words = 2 * window, strip.words
    first, last = max(0, window - at), min(rows + reach, filled + window - at)
    for j in range(first, last):
        if is_frozen(frozen, words[at + j]):
            continue
        # the centres that have word j around them: in each further row it is one column to the left
        i, end = max(0, j - reach), min(rows, j + 1)
        shares, row = i * (reach + 1) + j - i, np.int64(words[at + j]) * width
        times = occurrences(words, at + first, at + last, words[at + j])
        if times * updates > MOST_UPDATES:
            for k in range(end - i):
                bag.shares[shares + k * reach] *= MOST_UPDATES / (times * updates)
        steps, count = i * width, end - i
        add_combination(syn0, row, bag.shares, shares, reach, bag.steps, steps, width, count, width)

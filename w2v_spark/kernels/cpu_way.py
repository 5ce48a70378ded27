"""A centre's way down the Huffman tree on CPU: the steps of hierarchical softmax for one centre at a time.

Its inputs are the rows of syn0 of the words around it (skip-gram), or one hidden vector (CBOW). Arrays are flat, and an
index into them is a row's number times the row's floats.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from w2v_spark.array_types import Floats, Ids
from w2v_spark.kernels.aligned import aligned_zeros, rounded_up
from w2v_spark.kernels.cache import inlined
from w2v_spark.kernels.cpu_strip import Strip, is_frozen
from w2v_spark.kernels.cpu_tile import slowing
from w2v_spark.kernels.simd import add_combination, copy, logistic_gradient, prefetch
from w2v_spark.kernels.simd_ways import dots_with_rows, exchange
from w2v_spark.kernels.sizes import LANES


class Tree(NamedTuple):
    """The ways of all words, end to end; see `corpus.huffman.HuffmanTree`."""

    starts: Any  # int64[V + 1]
    points: Ids
    labels: Floats  # 1.0 where the code is 0; with 16 more at the end


class Way(NamedTuple):
    """What is computed for one centre: a row for each of its inputs, a column for each node on its way."""

    nodes: Floats  # rows of syn1, [longest, width]
    inputs: Floats  # rows of syn0 of the words around, [2 * window, width]
    scores: Floats  # dot products, later gradients times the learning rate, [2 * window, longest]
    longest: int
    order: Ids  # 0, 1, 2 ...: the nodes' rows
    ones: Floats  # [LANES]
    rate: Floats  # the learning rate, [1]


@inlined
def make_way(nodes: Any, window: Any, width: Any) -> Way:
    """A way of zeros, with room for so many nodes."""
    longest = rounded_up(nodes)
    return Way(
        aligned_zeros(longest * width),
        aligned_zeros(2 * window * width),
        aligned_zeros(2 * window * longest),
        longest,
        np.arange(longest).astype(np.int32),
        np.ones(LANES, np.float32),
        np.zeros(1, np.float32),
    )


@inlined
def prefetch_way(tree: Tree, word: Any, syn1: Any, width: Any) -> None:
    """Ask for the nodes on a word's way, those near the root apart, which are used all the time."""
    for t in range(min(tree.starts[word] + 4, tree.starts[word + 1]), tree.starts[word + 1]):
        row = np.int64(tree.points[t]) * width
        for column in range(0, width, LANES):
            prefetch(syn1, row + column)


@inlined
def copy_nodes(way: Way, tree: Tree, start: Any, length: Any, syn1: Any, width: Any) -> None:
    """Read the nodes points[start : start + length]."""
    for k in range(length):
        row = np.int64(tree.points[start + k]) * width
        copy(way.nodes, k * width, syn1, row, width)


@inlined
def score(way: Way, at: Any, inputs: Any, x: Any, length: Any, matrix: Any, rows: Any, start: Any, width: Any) -> None:
    """Dot products of an input with the rows of a matrix whose numbers are rows[start : start + length].

    A few numbers past the end are read too; the scores of their rows are not used.
    """
    scores = way.scores
    for k in range(0, length, LANES):
        # one store for 16 scores: what reads them next would have to wait for two that overlap
        if length - k > 12:
            dots_with_rows(scores, at + k, inputs, x, matrix, 0, rows, start + k, width, 16)
        elif length - k > 8:
            dots_with_rows(scores, at + k, inputs, x, matrix, 0, rows, start + k, width, 12)
        elif length - k > 4:
            dots_with_rows(scores, at + k, inputs, x, matrix, 0, rows, start + k, width, 8)
        else:
            dots_with_rows(scores, at + k, inputs, x, matrix, 0, rows, start + k, width, 4)


@inlined
def softplus(x: Any) -> Any:
    """log(1 + exp(x)), which is -log of the logistic function of -x, without overflow."""
    return math.log1p(math.exp(-abs(x))) + max(x, 0.0)


@inlined
def loss(way: Way, tree: Tree, at: Any, start: Any, length: Any) -> Any:
    """The loss of a sample: -log of the probability that each decision falls as it should."""
    total = 0.0
    for k in range(length):
        x = np.float64(way.scores[at + k])
        total += softplus(-x if tree.labels[start + k] == 1 else x)
    return total


@inlined
def differentiate(way: Way, tree: Tree, at: Any, start: Any, length: Any, step: Any) -> None:
    """Turn scores into what the learning rate `step` makes of the gradients by them: step * (label - logistic)."""
    rate = np.float32(step)
    way.rate[0] = rate
    for k in range(0, length, LANES):
        logistic_gradient(way.scores, at + k, way.ones, 0, 0, rate)
        add_combination(way.scores, at + k, way.rate, 0, 0, tree.labels, start + k, 0, 1, LANES)


@inlined
def add_to_nodes(
    way: Way, tree: Tree, start: Any, length: Any, inputs: Any, x: Any, rows: Any, syn1: Any, width: Any
) -> None:
    """Add the changes by `rows` inputs from x on to the nodes' rows of syn1."""
    for k in range(length):
        row = np.int64(tree.points[start + k]) * width
        add_combination(syn1, row, way.scores, k, way.longest, inputs, x, width, rows, width)


@inlined
def context(first: Any, centre: Any, i: Any) -> Any:
    """Where the i-th word around a centre is, the first being at `first`."""
    return first + i + (first + i >= centre)


@inlined
def train_contexts(
    way: Way,
    tree: Tree,
    strip: Strip,
    centre: Any,
    step: Any,
    measure: Any,
    syn0: Any,
    frozen: Any,
    syn1: Any,
    width: Any,
) -> Any:
    """Skip-gram: train every context of the centre words[centre]; the loss of all of them if it is to be measured."""
    word = strip.words[centre]
    start, length = tree.starts[word], tree.starts[word + 1] - tree.starts[word]
    first, last = centre - strip.left[centre], centre + strip.right[centre] + 1
    copy_nodes(way, tree, start, length, syn1, width)
    total, rows = 0.0, last - first - 1
    for i in range(rows):
        row = np.int64(strip.words[context(first, centre, i)]) * width
        copy(way.inputs, i * width, syn0, row, width)
    for i in range(rows):
        score(way, i * way.longest, way.inputs, i * width, length, way.nodes, way.order, 0, width)
    for i in range(rows):
        at, j = i * way.longest, context(first, centre, i)
        if measure:
            total += loss(way, tree, at, start, length)
        differentiate(way, tree, at, start, length, step * slowing(strip, first, last, j, step * length))
    for i in range(rows):
        word = strip.words[context(first, centre, i)]
        if is_frozen(frozen, word):
            continue
        at, row = i * way.longest, np.int64(word) * width
        add_combination(syn0, row, way.scores, at, 1, way.nodes, 0, width, length, width)
    add_to_nodes(way, tree, start, length, way.inputs, 0, rows, syn1, width)
    return total


@inlined
def train_hidden(
    way: Way, tree: Tree, word: Any, hidden: Any, steps: Any, x: Any, step: Any, measure: Any, syn1: Any, width: Any
) -> Any:
    """CBOW: train the hidden vector at x to predict the word; adds to its steps; the loss if it is to be measured."""
    start, length = tree.starts[word], tree.starts[word + 1] - tree.starts[word]
    score(way, 0, hidden, x, length, syn1, tree.points, start, width)
    total = loss(way, tree, 0, start, length) if measure else 0.0
    differentiate(way, tree, 0, start, length, step)
    exchange(steps, x, hidden, x, way.scores, 0, syn1, 0, tree.points, start, width, length)
    return total

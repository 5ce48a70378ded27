"""The layers of word2vec as the textbook has them, and skip-gram with negative sampling made of them.

Embedding, sigmoid and softmax with their losses: plain array operations, the oracle of every fast kernel. Works on
numpy and cupy arrays alike, in the precision of the vectors it is given (the tests use float64). All architectures and
losses are in `reference_models.py`; here are the pairs of the tile that the fast kernels of skip-gram with negative
sampling train. A pair is a context, whose vector is a row of syn0, and an output word, whose vector is a row of syn1:
its label is 1 if that is the centre that was seen, 0 if it is a negative.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

Array = Any  # numpy.ndarray or cupy.ndarray


def array_module(array: Array) -> Any:
    """Numpy or cupy: whichever made the array."""
    return sys.modules[type(array).__module__.partition(".")[0]]


def gather(table: Array, ids: Array) -> Array:
    """The forward pass of an embedding layer: row ids[i] of the table for each i, as the product onehot(ids) @ table.

    Args:
        table: vectors, [V, D].
        ids: integers, [n].

    Returns:
        [n, D].
    """
    return table[ids]


def scatter_add(table: Array, ids: Array, rows: Array) -> None:
    """The backward pass of an embedding layer, in place: table += onehot(ids).T @ rows; rows of one id add up.

    Args:
        table: gradients or vectors, [V, D].
        ids: integers, [n].
        rows: what to add to each, [n, D].
    """
    array_module(table).add.at(table, ids, rows)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    xp = array_module(x)
    small = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1, small) / (1 + small)


def log_loss(score: Array, label: Array) -> Array:
    """-log sigmoid(score) where the label is 1, -log sigmoid(-score) where it is 0, without overflow."""
    xp = array_module(score)
    wrong = xp.where(label == 1, -score, score)
    return xp.maximum(wrong, 0) + xp.log1p(xp.exp(-xp.abs(wrong)))


def log_loss_gradient(score: Array, label: Array) -> Array:
    """The derivative of `log_loss` by the score: sigmoid(score) - label."""
    return sigmoid(score) - label


def log_sum_exp(scores: Array) -> Array:
    """The logarithm of the sum of exp(scores) along the last axis, without overflow."""
    xp = array_module(scores)
    top = scores.max(axis=-1)
    return top + xp.log(xp.exp(scores - top[..., None]).sum(axis=-1))


def softmax(scores: Array) -> Array:
    """exp(scores) divided by their sum along the last axis, without overflow: the probability of each class."""
    xp = array_module(scores)
    return xp.exp(scores - log_sum_exp(scores)[..., None])


def softmax_loss(scores: Array, target: Array) -> Array:
    """-log softmax(scores)[target] of each row.

    Its derivative by the scores is softmax(scores), less 1 at the target.

    Args:
        scores: [n, classes].
        target: classes, int[n].

    Returns:
        [n].
    """
    xp = array_module(scores)
    return log_sum_exp(scores) - scores[xp.arange(len(target)), target]


@dataclass(frozen=True)
class Pairs:
    """Pairs to train, each array of length n."""

    context: Array  # row of syn0, int
    output: Array  # row of syn1, int
    label: Array  # 1 for a centre, 0 for a negative
    weight: Array  # how many times the pair counts, float


def loss(syn0: Array, syn1: Array, pairs: Pairs) -> Array:
    """The weighted sum of the losses of the pairs (Mikolov et al. 2013b, equation 4, with its sign turned)."""
    scores = (gather(syn0, pairs.context) * gather(syn1, pairs.output)).sum(axis=1)
    return (pairs.weight * log_loss(scores, pairs.label)).sum()


def gradients(syn0: Array, syn1: Array, pairs: Pairs) -> tuple[Array, Array]:
    """The derivatives of `loss` by syn0 and by syn1, each of its table's shape [V, D]."""
    xp = array_module(syn0)
    x, u = gather(syn0, pairs.context), gather(syn1, pairs.output)
    by_score = (pairs.weight * log_loss_gradient((x * u).sum(axis=1), pairs.label))[:, None]
    by_syn0, by_syn1 = xp.zeros_like(syn0), xp.zeros_like(syn1)
    scatter_add(by_syn0, pairs.context, by_score * u)
    scatter_add(by_syn1, pairs.output, by_score * x)
    return by_syn0, by_syn1


def step(syn0: Array, syn1: Array, pairs: Pairs, step_size: float) -> None:
    """One step of gradient descent on all the pairs together, in place: what a kernel does with a tile."""
    by_syn0, by_syn1 = gradients(syn0, syn1, pairs)
    syn0 -= step_size * by_syn0
    syn1 -= step_size * by_syn1


def tile_pairs(
    contexts: Array, centres: Array, seen: Array, negatives: Array, negative: int, exclude_window: bool = False
) -> Pairs:
    """The pairs of a tile: those seen, and each context with each of the negatives that the tile shares.

    A negative's weight is negative / N times the number of the context's pairs whose centre is another word: a negative
    that equals the centre of a pair is never used as that pair's negative. With `exclude_window` it is used for none of
    the context's pairs, and each of the n that are left weighs pairs * negative / n: their mean is that of the noise
    distribution without the words that the context is seen with, so the expected gradient is that of negatives drawn
    from it.

    Args:
        contexts: words, int[rows].
        centres: words, int[columns].
        seen: whether context and centre are a pair, bool[rows, columns].
        negatives: words drawn from the noise distribution, int[N].
        negative: how many negatives a pair counts.
        exclude_window: whether words that a context is seen with are none of its negatives.

    Returns:
        Pairs of length seen.sum() + rows * N.
    """
    xp = array_module(contexts)
    row, column = xp.nonzero(seen)
    different = (centres[:, None] != negatives[None, :]).astype(xp.float64)
    weight = seen.astype(xp.float64) @ different * (negative / len(negatives))
    if exclude_window:
        pairs = seen.sum(axis=1)[:, None]
        left = xp.where(seen.astype(xp.float64) @ (1 - different) == 0, 1.0, 0.0)
        weight = left * pairs * negative / xp.maximum(1, left.sum(axis=1))[:, None]
    return Pairs(
        xp.concatenate([contexts[row], xp.repeat(contexts, len(negatives))]),
        xp.concatenate([centres[column], xp.tile(negatives, len(contexts))]),
        xp.concatenate([xp.ones(len(row)), xp.zeros(weight.size)]),
        xp.concatenate([xp.ones(len(row)), weight.reshape(-1)]),
    )

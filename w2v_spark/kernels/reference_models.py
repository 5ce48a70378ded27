"""Word2vec as the textbook has it: two architectures, three losses, plain array operations, the oracle of all kernels.

    sentence --samples--> contexts, target        which words predict which word
    contexts --hidden---> one vector a sample     rows of syn0: itself (skip-gram), their mean or sum (CBOW)
    vector   --loss-----> one number              with rows of syn1: of words, or of the nodes of a Huffman tree

Negative sampling and hierarchical softmax are both rows of yes-or-no decisions, each a logistic regression on the
hidden vector; softmax is one decision among all words, which the two approximate. Works on numpy and cupy arrays alike,
in the precision of the vectors it is given. The layers that all of it is made of are in `reference.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from w2v_spark.corpus.huffman import HuffmanTree
from w2v_spark.kernels.reference import (
    Array,
    array_module,
    gather,
    log_loss,
    log_loss_gradient,
    scatter_add,
    softmax,
    softmax_loss,
)


@dataclass(frozen=True)
class Samples:
    """Sample i predicts the word target[i] from each context[j] with sample[j] == i."""

    target: Array  # words, int[n]
    context: Array  # rows of syn0, int[m]
    sample: Array  # rising, int[m]

    def contexts(self) -> Array:
        """How many contexts each sample has, int[n]."""
        return array_module(self.target).bincount(self.sample, minlength=len(self.target))


def window_pairs(left: Array, right: Array) -> tuple[Array, Array]:
    """Who is in whose window.

    Args:
        left: how far each centre's window reaches to its left, within the sentence, int[words].
        right: and to its right.

    Returns:
        The positions of centres, rising, and for each that of one of the words around it.
    """
    xp = array_module(left)
    place = xp.arange(len(left))
    distance = place[None, :] - place[:, None]
    seen = (-left[:, None] <= distance) & (distance <= right[:, None]) & (distance != 0)
    centre, around = xp.nonzero(seen)
    return centre, around


def skip_gram_samples(words: Array, left: Array, right: Array) -> Samples:
    """A sample for each pair: the centre is predicted from one of the words around it, as word2vec.c turns it."""
    centre, around = window_pairs(left, right)
    return Samples(words[centre], words[around], array_module(words).arange(len(centre)))


def cbow_samples(words: Array, left: Array, right: Array) -> Samples:
    """A sample for each centre that has words around it: it is predicted from all of them together."""
    centre, around = window_pairs(left, right)
    centres, sample = array_module(words).unique(centre, return_inverse=True)
    return Samples(words[centres], words[around], sample)


def hidden_vectors(syn0: Array, samples: Samples, mean: bool) -> Array:
    """What is known of each sample: the mean or the sum of its contexts' rows of syn0, [n, D]."""
    xp = array_module(syn0)
    hidden = xp.zeros((len(samples.target), syn0.shape[1]), syn0.dtype)
    scatter_add(hidden, samples.sample, gather(syn0, samples.context))
    return hidden / samples.contexts()[:, None] if mean else hidden


def hidden_gradients(syn0: Array, samples: Samples, by_hidden: Array, mean: bool) -> Array:
    """The derivatives by syn0, [V, D], from those by the hidden vectors."""
    rows = by_hidden / samples.contexts()[:, None] if mean else by_hidden
    by_syn0 = array_module(syn0).zeros_like(syn0)
    scatter_add(by_syn0, samples.context, gather(rows, samples.sample))
    return by_syn0


# --- losses: each gives the loss, and its derivatives by the hidden vectors and by syn1 ---


@dataclass(frozen=True)
class Decisions:
    """Yes-or-no decisions: sample[d] says yes to row output[d] of syn1 if label[d] is 1, no if it is 0."""

    sample: Array  # int[d]
    output: Array  # rows of syn1, int[d]
    label: Array  # 0 or 1, [d]
    weight: Array  # how many times the decision counts, float[d]


def draw_noise(random: Array, noise: Array) -> Array:
    """Words from a noise distribution, by inverting its running sum.

    Args:
        random: uniform numbers in [0, 1), of any shape.
        noise: the probability of each word, [V]: see `corpus.noise.noise_distribution`.

    Returns:
        int, the shape of `random`.
    """
    xp = array_module(noise)
    running = xp.cumsum(noise)
    return xp.minimum(xp.searchsorted(running / running[-1], random, side="right"), len(noise) - 1)


def skip_gram_clashes(words: Array, left: Array, right: Array, negatives: Array) -> Array:
    """Which negatives of `skip_gram_samples` are words that the sample's context is seen with, bool[n, k]."""
    xp = array_module(words)
    centre, around = window_pairs(left, right)
    same_context = around[:, None] == around[None, :]
    same_word = words[centre][None, :, None] == negatives[:, None, :]
    return xp.any(same_context[:, :, None] & same_word, axis=1)


def cbow_clashes(samples: Samples, negatives: Array) -> Array:
    """Which negatives of `cbow_samples` are contexts of their sample, or its centre, bool[n, k]."""
    times = (samples.target[:, None] == negatives).astype(int)
    scatter_add(times, samples.sample, (samples.context[:, None] == gather(negatives, samples.sample)).astype(int))
    return times > 0


def negative_sampling(target: Array, negatives: Array, clashes: Array | None = None) -> Decisions:
    """Yes to the target, no to each of the words drawn for the sample; a negative that is the target does not count.

    Mikolov et al. 2013b, equation 4. With `clashes` (`exclude_window`) those negatives do not count, and the m others
    of a sample count k / m times: as if all k were drawn from the noise distribution without these words.

    Args:
        target: words, int[n].
        negatives: words, int[n, k].
        clashes: which negatives the sample's window has, the target among them, bool[n, k].
    """
    xp = array_module(target)
    n, k = negatives.shape
    output = xp.concatenate([target[:, None], negatives], axis=1)
    label = xp.concatenate([xp.ones((n, 1)), xp.zeros((n, k))], axis=1)
    used = (negatives != target[:, None]).astype(xp.float64)
    if clashes is not None:
        used = xp.where(clashes, 0.0, k / xp.maximum(1, k - clashes.sum(axis=1))[:, None])
    weight = xp.concatenate([xp.ones((n, 1)), used], axis=1)
    return Decisions(xp.repeat(xp.arange(n), k + 1), output.reshape(-1), label.reshape(-1), weight.reshape(-1))


def hierarchical_softmax(target: Array, tree: HuffmanTree) -> Decisions:
    """At each inner node on the target's way from the root: yes where its code is 0, no where it is 1.

    The product of the probabilities of all decisions is that of the word, and those of all words add up to one: Morin
    and Bengio 2005; Mikolov et al. 2013b, equation 3, with the sign of word2vec.c.

    Args:
        target: words, int[n].
        tree: its arrays made by the module of `target`.
    """
    xp = array_module(target)
    lengths = tree.starts[target + 1] - tree.starts[target]
    sample = xp.repeat(xp.arange(len(target)), lengths)
    before = xp.cumsum(lengths) - lengths
    way = xp.arange(len(sample)) - before[sample] + tree.starts[target][sample]
    return Decisions(sample, tree.points[way], 1 - tree.codes[way].astype(xp.float64), xp.ones(len(sample)))


def decision_loss(hidden: Array, syn1: Array, decisions: Decisions) -> tuple[Array, Array, Array]:
    """The weighted sum of the losses of all decisions, and its derivatives [n, D] and [rows of syn1, D]."""
    xp = array_module(hidden)
    h, u = gather(hidden, decisions.sample), gather(syn1, decisions.output)
    scores = (h * u).sum(axis=1)
    by_score = (decisions.weight * log_loss_gradient(scores, decisions.label))[:, None]
    by_hidden, by_syn1 = xp.zeros_like(hidden), xp.zeros_like(syn1)
    scatter_add(by_hidden, decisions.sample, by_score * u)
    scatter_add(by_syn1, decisions.output, by_score * h)
    return (decisions.weight * log_loss(scores, decisions.label)).sum(), by_hidden, by_syn1


def class_loss(hidden: Array, syn1: Array, target: Array) -> tuple[Array, Array, Array]:
    """The sum of -log softmax(hidden @ syn1.T)[target] (Mikolov et al. 2013b, equation 2), and its derivatives."""
    xp = array_module(hidden)
    scores = hidden @ syn1.T
    by_scores = softmax(scores)
    by_scores[xp.arange(len(target)), target] -= 1
    return softmax_loss(scores, target).sum(), by_scores @ syn1, by_scores.T @ hidden


# --- one step ---


def step(
    syn0: Array,
    syn1: Array,
    samples: Samples,
    by_hidden: Array,
    by_syn1: Array,
    step_size: float,
    mean: bool,
    slowed: Array | float = 1.0,
) -> None:
    """What word2vec programs make of the derivatives, in place.

    For syn1 and for skip-gram that is gradient descent. CBOW's contexts are changed as word2vec.c and gensim do it:
    with their mean, each by the whole derivative by the hidden vector, so by its gradient times the number of contexts;
    with their sum (`cbow_mean=0` of gensim), each by its gradient divided by that number.

    Args:
        syn0: [V, D].
        syn1: [rows, D].
        samples: what was trained.
        by_hidden: derivatives by the hidden vectors, [n, D].
        by_syn1: derivatives by syn1, [rows, D].
        step_size: the learning rate.
        mean: whether hidden vectors are means.
        slowed: factors on the changes of each of samples.context, [m].
    """
    rows = by_hidden if mean else by_hidden / samples.contexts()[:, None]
    factors = array_module(syn0).zeros((len(samples.context), 1)) - step_size
    scatter_add(syn0, samples.context, (factors.T * slowed).T * gather(rows, samples.sample))
    syn1 -= step_size * by_syn1

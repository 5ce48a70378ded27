"""How often a word is kept and how often it is drawn as a negative: subsampling and the noise distribution, from the
counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from w2v_spark.array_types import Counts, Doubles

_ONE = 1 << 32  # a probability of one, in the units of tables


def keep_probability(counts: Counts, sample: float) -> Doubles:
    """The probability that an occurrence of each word stays in its sentence: min(1, (sqrt(f / sample) + 1) * sample /
    f).

    The formula is that of word2vec.c (Mikolov et al. 2013b give a simpler one), f the word's share of all words.

    Args:
        counts: occurrences of each word, [V].
        sample: the share of all words from which on a word is thinned out; 0 keeps every word.

    Returns:
        float64[V], from 0 to 1.
    """
    keep = np.ones(len(counts))
    if sample > 0:
        share = np.asarray(counts, np.float64) / max(1, int(np.sum(counts)))
        seen = share > 0
        keep[seen] = np.minimum(1.0, (np.sqrt(share[seen] / sample) + 1.0) * sample / share[seen])
    return keep


def kept_words(counts: Counts, keep: npt.NDArray[np.uint32]) -> Doubles:
    """How many occurrences of each word stay after subsampling, on average, float64[V]; `keep` is the probability, of
    which 2**32 - 1 is one.
    """
    kept: Doubles = counts * (keep / np.float64(_ONE - 1))
    return kept


def noise_distribution(counts: Counts, exponent: float) -> Doubles:
    """The probability of each word as a negative: count**exponent, normalised (Mikolov et al. 2013b use 0.75).

    Args:
        counts: occurrences of each word, [V]; a word without any is never drawn.
        exponent: 1 draws as the text does, 0 draws every word alike, below 0 prefers rare words.

    Returns:
        float64[V] with sum 1.
    """
    distinct, which = np.unique(np.asarray(counts), return_inverse=True)
    # numpy's power has other bits on other processors
    weights = np.array([math.pow(count, exponent) if count > 0 else 0.0 for count in distinct.tolist()])[which]
    normalised: Doubles = weights / weights.sum()
    return normalised


@dataclass(frozen=True)
class AliasTable:
    """A distribution from which a word is drawn in constant time (Walker 1977).

    To draw: take a slot uniformly from [0, V) and a uniform 32-bit number; the slot's own word if the number is at most
    `probability[slot]`, else the word `alias[slot]`. Both lie in one number, so that a draw waits for memory once, and
    takes one of two registers without a branch that no processor could foresee.
    """

    slots: npt.NDArray[np.uint64]  # [V], the probability in the upper half, the alias in the lower

    @property
    def probability(self) -> npt.NDArray[np.uint32]:
        """[V], scaled: 2**32 - 1 is always the slot's own word."""
        return (self.slots >> np.uint64(32)).astype(np.uint32)

    @property
    def alias(self) -> npt.NDArray[np.int32]:
        """[V]."""
        return (self.slots & np.uint64(_ONE - 1)).astype(np.int32)

    def to_probabilities(self) -> Doubles:
        """The distribution that the table draws from, float64[V]."""
        own = (self.probability.astype(np.float64) + 1) / _ONE
        total = own.copy()
        np.add.at(total, self.alias, 1 - own)
        return total / len(total)


def alias_table(probabilities: Doubles) -> AliasTable:
    """Vose's table (1991) for probabilities [V] that sum to one, as array operations: 5 million words in about half a
    second.

    Vose pours heavy slots (more than 1/V) into light ones until each slot holds 1/V. Poured in order, the heavy slot
    that fills a light one follows from running sums alone (Hübschle-Schneider and Sanders 2019, "Parallel weighted
    random sampling", section 4.1). The sums are of integers, hence exact and the same on every machine.
    """
    size = len(probabilities)
    if size == 0:
        raise ValueError("an alias table needs at least one word")
    content = np.rint(np.asarray(probabilities, np.float64) * size * _ONE).astype(np.int64)
    content[np.argmax(content)] += size * _ONE - int(content.sum())
    light, heavy = np.flatnonzero(content < _ONE), np.flatnonzero(content >= _ONE)
    missing = np.concatenate([[0], np.cumsum(_ONE - content[light])])  # by all light slots before each
    surplus = np.cumsum(content[heavy] - _ONE)  # of all heavy slots up to each

    alias = np.arange(size)
    # a light slot is filled by the heavy slot that still has something when its turn comes
    alias[light] = heavy[np.searchsorted(surplus, missing[:-1], side="right")]
    # a heavy slot gives until it holds at most 1/V, and the next heavy slot makes up for what the last gift took too
    # much
    overdrawn = missing[np.searchsorted(missing, surplus, side="left")] - surplus
    alias[heavy[:-1]] = heavy[1:]
    content[heavy] = _ONE - overdrawn
    probability = np.maximum(content, 1) - 1
    return AliasTable(probability.astype(np.uint64) << np.uint64(32) | alias.astype(np.uint64))

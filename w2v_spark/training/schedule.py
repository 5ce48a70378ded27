"""When replicas merge, and how large a step they take.

Measured for many replicas on English text: rounds that are dense at first keep most of one replica's quality.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from w2v_spark.kernels.sizes import MOST_UPDATES
from w2v_spark.params import Params

# the first round is this much shorter than the last
_DENSE_START = 32.0
_GROWTH = 1.2
# measured in bench/results/merge.md on 32 million words: so many merges hold what one replica reaches; with AdaSum a
# quarter of the words needed a quarter of the merges
_MERGES_PER_REPLICA = 4
_MOST_MERGES = 32
_MOST_BLIND_MERGES = 128
_WORDS_PER_REPLICA_AND_ROUND = 4_000_000
# models written in an epoch by replicas that merge directly
_MOST_DIRECT_ROUNDS = 4


@dataclass(frozen=True)
class Round:
    """A stretch of training between two models on storage: number from 1, its start, and the ends of its parts, after
    each of which the replicas merge, in epochs (1.5 is half-way through the second).
    """

    number: int
    start: float
    ends: tuple[float, ...]

    @property
    def stop(self) -> float:
        """Its end."""
        return self.ends[-1]

    def stretches(self) -> list[Round]:
        """The round cut at its merges; stretches are numbered through the run, from 1."""
        before, merges = (self.number - 1) * len(self.ends), [self.start, *self.ends]
        return [Round(before + i, a, (b,)) for i, (a, b) in enumerate(pairwise(merges), start=1)]

    def parts(self) -> list[tuple[int, float, float]]:
        """(epoch, from, to) with from and to as shares of that epoch; a round may reach into the next epoch."""
        found, at = [], self.start
        while at < self.stop:
            epoch = int(at)
            end = min(self.stop, epoch + 1.0)
            found.append((epoch, at - epoch, end - epoch))
            at = end
        return found


def plan_rounds(max_iter: int, rounds_per_epoch: int, num_replicas: int, merges: int = 1) -> list[Round]:
    """All rounds of a run, with so many merges in each: they are even for one replica, for several dense at first, and
    farther and farther apart until they are even.
    """
    count = max_iter * rounds_per_epoch * merges
    if num_replicas == 1:
        ends = [max_iter * (i + 1) / count for i in range(count)]
    else:
        sizes = [min(1.0, _GROWTH ** min(i, 100) / _DENSE_START) for i in range(count)]
        total, at, ends = sum(sizes), 0.0, []
        for size in sizes:
            at += size
            ends.append(max_iter * at / total)
    ends[-1] = float(max_iter)
    of_rounds = [tuple(ends[i : i + merges]) for i in range(0, count, merges)]
    starts = [0.0, *(ends[-1] for ends in of_rounds)]
    return [Round(i + 1, start, ends) for i, (start, ends) in enumerate(zip(starts, of_rounds, strict=False))]


def auto_merges(num_replicas: int, words: int, rule: str) -> int:
    """How often in an epoch of so many words the replicas merge: four times for each replica, up to 32, or to 128 by
    a rule that knows no more than their changes; fewer where an epoch is short: the more replicas, the fewer words
    all of them together may train between two merges.
    """
    if num_replicas == 1:
        return 1
    needed = -(-words * num_replicas // _WORDS_PER_REPLICA_AND_ROUND)
    # a power of two, so that rounds of several merges make as many as rounds of one
    needed = 1 << max(0, needed - 1).bit_length()
    most = _MOST_MERGES if rule == "sequential" else _MOST_BLIND_MERGES
    return max(1, min(most, _MERGES_PER_REPLICA * num_replicas, needed))


def auto_rounds_per_epoch(num_replicas: int, words: int, rule: str, exchange: str) -> int:
    """How often in an epoch the model is written: whenever replicas merge or, where they do so directly, at most 4
    times.
    """
    merges = auto_merges(num_replicas, words, rule)
    return merges if exchange == "storage" else min(_MOST_DIRECT_ROUNDS, merges)


def merges_in_a_round(num_replicas: int, words: int, rule: str, rounds_per_epoch: int) -> int:
    """How often replicas that merge directly do so in a round."""
    return -(-auto_merges(num_replicas, words, rule) // rounds_per_epoch)


def learning_rate(params: Params, position: float) -> float:
    """The step that a replica takes at a `position` in epochs: linear decay over the planned words from `step_size` to
    `min_step_size`, and never more than `largest_step`.

    Each of several replicas starts from up to 1.5 times `step_size`, from 8 replicas on, where the rule averages what
    they agree on.
    """
    more = 1.0 if params.merge_rule == "sequential" else min(1.5, params.replicas**0.2)
    first, last = params.step_size * more, params.min_step_size
    return min(first + (last - first) * min(1.0, position / params.max_iter), largest_step(params))


def largest_step(params: Params) -> float:
    """What a tile of skip-gram with negative sampling bears of a wide window with many negatives: it adds up all that a
    word gets there, where word2vec.c takes one after another.
    """
    if (params.architecture, params.loss) != ("skip_gram", "negative_sampling"):
        return math.inf
    return MOST_UPDATES / ((params.window_size + 1) * (params.negative + 1))

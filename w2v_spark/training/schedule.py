"""When replicas merge, and how large a step they take.

Measured for many replicas on English text: rounds that are dense at first keep most of one replica's quality, and the
step must grow a little with the number of replicas, because AdaSum averages what they agree on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# the first round is this much shorter than the last
_DENSE_START = 32.0
_GROWTH = 1.2
# measured in bench/results/merge.md on 32 million words: so many merges hold what one replica reaches, and on a corpus
# of a quarter of that a quarter of them does as well
_ROUNDS_PER_REPLICA = 8
_MOST_ROUNDS = 128
_WORDS_PER_REPLICA_AND_ROUND = 4_000_000
# replicas that merge directly: merges of all words in an epoch, and of the first words beside one of these; models
# written in an epoch; words that a replica trains between two merges
_MOST_DIRECT_MERGES = 16
_FREQUENT = {32_000: 4, 8_000: 16, 2_000: 64}
_MOST_DIRECT_ROUNDS = 4
_WORDS_PER_REPLICA_AND_SYNC = 1_000


@dataclass(frozen=True)
class Round:
    """A stretch of training between two models on storage: number from 1, its start, and the ends of its parts, after
    each of which the replicas merge all words, in epochs (1.5 is half-way through the second).
    """

    number: int
    start: float
    ends: tuple[float, ...]

    @property
    def stop(self) -> float:
        """Its end."""
        return self.ends[-1]

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
    """All rounds of a run, with so many merges of all words in each: merges are even for one replica, for several dense
    at first, and farther and farther apart until they are even.
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


@dataclass(frozen=True)
class Ladder:
    """How often replicas that live on merge within a round: all words so often, and the first (by count) of them so
    many times as often, for each number of first words; these times divide one another.
    """

    merges: int = 1
    frequent: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Sync:
    """A stretch of training, and how many words, the most frequent, are merged at its end."""

    stretch: Round
    rows: int


def plan_syncs(round: Round, words: int, frequent: dict[int, int]) -> list[Sync]:
    """A round cut at its merges of all words, and between them at those of frequent ones (see Ladder). Stretches are
    numbered through the run, from 1.
    """
    finest, syncs, start = max(frequent.values(), default=1), [], round.start
    for i, end in enumerate(round.ends, start=(round.number - 1) * len(round.ends)):
        inner = [start + (end - start) * k / finest for k in range(1, finest)]
        for k, (begin, stop) in enumerate(zip([start, *inner], [*inner, end], strict=True), start=1):
            rows = max((rows for rows, times in frequent.items() if k % (finest // times) == 0), default=words)
            stretch = Round(i * finest + k, begin, (stop,))
            syncs.append(Sync(stretch, min(words if k == finest else rows, words)))
        start = end
    return syncs


def auto_merges(num_replicas: int, words: int, exchange: str) -> int:
    """How often in an epoch of so many words all of them are merged: eight times for each replica, up to 128, or to 16
    where replicas merge directly, frequent words more often; fewer where an epoch is short: the more replicas, the
    fewer words all of them together may train between two merges.
    """
    if num_replicas == 1:
        return 1
    needed = -(-words * num_replicas // _WORDS_PER_REPLICA_AND_ROUND)
    most = _MOST_ROUNDS if exchange == "storage" else _MOST_DIRECT_MERGES
    return max(1, min(most, _ROUNDS_PER_REPLICA * num_replicas, needed))


def auto_rounds_per_epoch(num_replicas: int, words: int, exchange: str) -> int:
    """How often in an epoch the model is written: whenever all words are merged or, where replicas merge directly, at
    most 4 times.
    """
    merges = auto_merges(num_replicas, words, exchange)
    return merges if exchange == "storage" else min(_MOST_DIRECT_ROUNDS, merges)


def auto_ladder(num_replicas: int, words: int, rounds_per_epoch: int) -> Ladder:
    """How often replicas that merge directly do so in a round: as bench/results/merge.md found best, frequent words
    less often where a replica would have few words to train in between.
    """
    merges = -(-auto_merges(num_replicas, words, "direct") // rounds_per_epoch)
    between, most = words // (rounds_per_epoch * merges * num_replicas), 1
    while 2 * most * _WORDS_PER_REPLICA_AND_SYNC <= between:
        most *= 2
    return Ladder(merges, {rows: min(times, most) for rows, times in _FREQUENT.items()} if most > 1 else {})


def replica_step_size(step_size: float, num_replicas: int, exchange: str) -> float:
    """The step that each of several replicas takes where one alone would take `step_size`: up to 1.5 times it from 8
    replicas on, or 1.2 times where they merge directly, and so often that they differ less.
    """
    return float(step_size * min(1.5 if exchange == "storage" else 1.2, num_replicas**0.2))


def step_at(position: float, max_iter: int, step_size: float, min_step_size: float) -> float:
    """Linear decay over the planned words: `position` in epochs."""
    return step_size + (min_step_size - step_size) * min(1.0, position / max_iter)

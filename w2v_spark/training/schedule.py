"""When replicas merge, and how large a step they take.

Measured for many replicas on English text: rounds that are dense at first keep most of one replica's quality, and the
step must grow a little
with the number of replicas, because AdaSum averages what they agree on.
"""

from __future__ import annotations

from dataclasses import dataclass

# the first round is this much shorter than the last
_DENSE_START = 32.0
_GROWTH = 1.2
# measured in bench/results/merge.md on 32 million words: so many merges hold what one replica reaches, and on a corpus
# of a quarter of that a quarter of them does as well
_ROUNDS_PER_REPLICA = 8
_MOST_ROUNDS = 128
_WORDS_PER_REPLICA_AND_ROUND = 4_000_000


@dataclass(frozen=True)
class Round:
    """A stretch of training between two merges: number from 1, start and stop in epochs (1.5 is half-way through the
    second).
    """

    number: int
    start: float
    stop: float

    def parts(self) -> list[tuple[int, float, float]]:
        """(epoch, from, to) with from and to as shares of that epoch; a round may reach into the next epoch."""
        found, at = [], self.start
        while at < self.stop:
            epoch = int(at)
            end = min(self.stop, epoch + 1.0)
            found.append((epoch, at - epoch, end - epoch))
            at = end
        return found


def plan_rounds(max_iter: int, rounds_per_epoch: int, num_replicas: int) -> list[Round]:
    """All rounds of a run: even for one replica, for several short at first and growing to the even length."""
    count = max_iter * rounds_per_epoch
    if num_replicas == 1:
        ends = [max_iter * (i + 1) / count for i in range(count)]
    else:
        sizes = [min(1.0, _GROWTH ** min(i, 100) / _DENSE_START) for i in range(count)]
        total, at, ends = sum(sizes), 0.0, []
        for size in sizes:
            at += size
            ends.append(max_iter * at / total)
    ends[-1] = float(max_iter)
    return [Round(i + 1, start, stop) for i, (start, stop) in enumerate(zip([0.0, *ends], ends, strict=False))]


def auto_rounds_per_epoch(num_replicas: int, words: int) -> int:
    """One round for one replica, else eight for each replica, up to 128; fewer where an epoch of so many words is
    short: the more replicas, the fewer words all of them together may train between two merges.
    """
    if num_replicas == 1:
        return 1
    needed = -(-words * num_replicas // _WORDS_PER_REPLICA_AND_ROUND)
    return max(1, min(_MOST_ROUNDS, _ROUNDS_PER_REPLICA * num_replicas, needed))


def replica_step_size(step_size: float, num_replicas: int) -> float:
    """The step that each of several replicas takes where one alone would take `step_size`: 1.5 times it from 8
    replicas on.
    """
    return float(step_size * min(1.5, num_replicas**0.2))


def step_at(position: float, max_iter: int, step_size: float, min_step_size: float) -> float:
    """Linear decay over the planned words: `position` in epochs."""
    return step_size + (min_step_size - step_size) * min(1.0, position / max_iter)

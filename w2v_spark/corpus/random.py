"""Random numbers that follow from what they are for, and so are the same wherever they are drawn: splitmix64 (Steele,
Lea and Flood 2014). Number i of the stream `key` is mix64(key + i * GOLDEN).
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

States = TypeVar("States", np.uint64, npt.NDArray[np.uint64])

# odd: 2**64 divided by the golden ratio
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix64(x: States) -> States:
    """The random numbers that belong to states of a stream: of a uint64, or of each in an array."""
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def random_key(*numbers: int) -> int:
    """A 64-bit key of a stream; any change of any number gives an unrelated key."""
    key = np.zeros(1, np.uint64)
    for number in numbers:
        key = mix64(key ^ np.uint64(number)) + GOLDEN
    return int(mix64(key)[0])

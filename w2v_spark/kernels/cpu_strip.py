"""What a CPU kernel trains on: the words that subsampling keeps, laid end to end, and the random numbers that decide.

Tiles are cut from such a strip without regard to sentences, so that short sentences fill them too; only windows respect
sentences.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import types

from w2v_spark.array_types import Ids
from w2v_spark.corpus.random import GOLDEN
from w2v_spark.kernels.aligned import rounded_up
from w2v_spark.kernels.cache import inlined, inner, read_only
from w2v_spark.kernels.simd import count_bits, find

STRIP = 8192  # words laid end to end before their tiles are trained
# words past the last one and its margins that may be looked at, such as those that a next tile would have; what lies
# there is a word's number, but of no one word
AHEAD = 32

_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFT_1, _SHIFT_2, _SHIFT_3 = np.uint64(30), np.uint64(27), np.uint64(31)
_ONE, _HALF, _LOW = np.uint64(1), np.uint64(32), np.uint64(0xFFFFFFFF)


def training_signature(freezing: bool, *between: Any) -> Any:
    """Numba's types of a function that trains, `between` those of its arguments between `frozen` and `step_from`.

    It takes ids, offsets, syn0, syn1, keep, frozen, those between, step_from, step_to and key, and returns what
    `cpu.Kernel.__call__` does. Unless it is `freezing`, `frozen` is None: by that type alone Numba leaves out all code
    that asks for it.
    """
    matrix = types.Array(types.float32, 2, "C")
    return types.Tuple([types.int64, types.int64, types.float64, types.int64])(
        *(read_only(types.int32), read_only(types.int64), matrix, matrix, read_only(types.uint32)),
        read_only(types.boolean) if freezing else types.none,
        *between,
        *(types.float64, types.float64, types.uint64),
    )


class Strip(NamedTuple):
    """Kept words end to end; each array has a margin of `window` on its left, of a band and `AHEAD` on its right."""

    words: Ids
    left: Ids  # how far the word's window reaches as a centre, cut at its sentence's ends; 0 in the margins
    right: Ids
    places: npt.NDArray[np.int64]  # where the word was among the call's words, for the learning rate


@inner
def random_number(state: Any) -> Any:
    """The uint64 that belongs to a state of a stream: `corpus.random.mix64`, compiled."""
    z = (state ^ (state >> _SHIFT_1)) * _MIX_1
    z = (z ^ (z >> _SHIFT_2)) * _MIX_2
    return z ^ (z >> _SHIFT_3)


@inlined
def is_frozen(frozen: Any, word: Any) -> Any:
    """Whether the word's row of syn0 is to stay as it is; where no word is frozen, by the type of None alone, Numba
    leaves out all that depends on it.
    """
    if frozen is None:
        return False
    return frozen[word]


@inner
def learning_rate(step_from: Any, slope: Any, place: Any) -> Any:
    """The learning rate at a place of a call's words. Rounding may take the last one below 0, and a step that is
    damped by its size would not be damped but turned round.
    """
    return max(0.0, step_from + slope * place)


@inner
def below(number: Any, limit: Any) -> Any:
    """A number of 32 random bits as one in [0, limit)."""
    return np.int64((number * np.uint64(limit)) >> _HALF)


@inner
def draw(number: Any, slots: Any) -> Any:
    """The word that an alias table gives for 64 random bits: `corpus.noise.AliasTable`."""
    own = below(number >> _HALF, len(slots))
    slot = slots[own]
    return own if (number & _LOW) <= (slot >> _HALF) else np.int64(slot & _LOW)


@inner
def draw_negatives(negatives: Any, at: Any, count: Any, number: Any, slots: Any, key: Any) -> None:
    """Draw the `count` negatives that tile `number` of a call shares, as negatives[at : at + count]."""
    first = number * count
    for j in range(count):
        negatives[at + j] = draw(random_number(key + np.uint64(first + j) * GOLDEN), slots)


@inner
def occurrences(words: Any, first: Any, last: Any, word: Any) -> Any:
    """How many of a strip's words[first:last] are the word."""
    times = 0
    for k in range(first, last, AHEAD):
        here = (_ONE << np.uint64(min(AHEAD, last - k))) - _ONE
        times += count_bits(find(words, k, word, AHEAD) & here)
    return times


@inner
def make_strip(offsets: Any, window: Any) -> Strip:
    """An empty strip that has room for the longest sentence behind a nearly full one."""
    longest = 0
    for s in range(len(offsets) - 1):
        longest = max(longest, offsets[s + 1] - offsets[s])
    size = min(STRIP + longest, offsets[-1] - offsets[0]) + window + rounded_up(2 * window + 1) + AHEAD + 1
    return Strip(np.zeros(size, np.int32), np.zeros(size, np.int32), np.zeros(size, np.int32), np.zeros(size, np.int64))


@inner
def _lay(
    strip: Strip, filled: Any, ids: Any, start: Any, stop: Any, origin: Any, keep: Any, window: Any, key: Any
) -> Any:
    """Lay what is kept of the sentence ids[start:stop] behind `filled` words; returns how many lie there now."""
    first = window + filled
    end = first
    for t in range(start, stop):
        number = random_number(key + np.uint64(t - origin) * GOLDEN)
        strip.words[end] = ids[t]
        strip.places[end] = t - origin
        strip.left[end] = 1 + below(number & _LOW, window)
        end += (number >> _HALF) <= keep[ids[t]]
    for i in range(first, end):
        reach = strip.left[i]
        strip.left[i] = min(reach, i - first)
        strip.right[i] = min(reach, end - 1 - i)
    return end - window


@inner
def lay_sentences(strip: Strip, ids: Any, offsets: Any, sentence: Any, keep: Any, window: Any, key: Any) -> Any:
    """Fill the strip anew with sentences from number `sentence` on; returns the next sentence and the strip's words."""
    filled = 0
    while sentence < len(offsets) - 1 and filled < STRIP:
        filled = _lay(strip, filled, ids, offsets[sentence], offsets[sentence + 1], offsets[0], keep, window, key)
        sentence += 1
    end = window + filled
    strip.left[end : end + rounded_up(2 * window + 1)] = 0
    strip.right[end : end + rounded_up(2 * window + 1)] = 0
    return sentence, filled

"""What the CUDA kernels compute, in numpy: with one block of threads they give these numbers, up to rounding.

Same random numbers, same tiles in the same order. The precision is that of the vectors: float64 to compare with
`reference.py`, float32 to compare with a GPU element by element.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from w2v_spark.array_types import Floats, Ids
from w2v_spark.corpus.random import GOLDEN, mix64
from w2v_spark.kernels import reference
from w2v_spark.kernels.cuda_plan import row_scale
from w2v_spark.kernels.sizes import MEASURED, MOST_UPDATES, TILE_NEGATIVES, TILE_ROWS

UInt64s = npt.NDArray[np.uint64]
Vectors = npt.NDArray[Any]

_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


class Strip(NamedTuple):
    """What subsampling keeps of a call's words, end to end."""

    words: Ids
    sentence: npt.NDArray[np.int64]
    reach: npt.NDArray[np.int64]  # how far the word's window reaches as a centre


@dataclass(frozen=True)
class TileReference:
    """Trains as the CUDA kernels do, with one block of threads or, like many at once, with `blocks` of them.

    Blocks of the model take turns: as many tiles as there are blocks start from the same vectors.
    """

    window_size: int
    negative: int
    keep: npt.NDArray[np.uint32]
    noise_slots: UInt64s
    crowding: tuple[Floats, Floats]  # of the rows of syn0 and of syn1, see cuda_plan.crowding
    rows: int = TILE_ROWS
    negatives: int = TILE_NEGATIVES
    exclude_window: bool = False
    rounded: bool = False  # operands of products to bf16, as tensor cores take them
    blocks: int = 1

    def train(
        self,
        ids: Ids,
        offsets: npt.NDArray[np.int64],
        syn0: Vectors,
        syn1: Vectors,
        step_from: float,
        step_to: float,
        key: int,
    ) -> tuple[int, int, float, int]:
        """Train in place; the arguments and what is returned are those of `TileModel.train`."""
        strip = lay_strip(ids, offsets, self.keep, self.window_size, mix64(np.uint64(key)))
        noise_key = mix64(~np.uint64(key))
        order = tile_order(-(-len(strip.words) // self.rows))
        pairs, loss_sum, loss_pairs = 0, 0.0, 0
        last = np.float32(max(1, len(order) - 1))
        for first in range(0, len(order), self.blocks):
            before0, before1 = (syn0, syn1) if self.blocks == 1 else (syn0.copy(), syn1.copy())
            for turn in range(first, min(first + self.blocks, len(order))):
                step = np.float32(step_from) + np.float32(step_to - step_from) * (np.float32(turn) / last)
                step = max(np.float32(0), step)
                tile = self.cut_tile(strip, order[turn], noise_key)
                found = int(tile.seen.sum())
                if found == 0:
                    continue
                pairs += found
                loss = self.train_tile(tile, (before0, before1), (syn0, syn1), float(step), len(order))
                if turn % MEASURED == 0:
                    loss_sum += loss
                    loss_pairs += found
        return len(strip.words), pairs, loss_sum, loss_pairs

    def cut_tile(self, strip: Strip, number: int, noise_key: np.uint64) -> Tile:
        """Tile `number` of a strip."""
        rows = np.arange(number * self.rows, min((number + 1) * self.rows, len(strip.words)))
        around = np.arange(max(0, rows[0] - self.window_size), min(len(strip.words), rows[-1] + self.window_size + 1))
        distance = np.abs(rows[:, None] - around)
        seen = (distance > 0) & (distance <= strip.reach[around]) & _same(strip.sentence[rows], strip.sentence[around])
        numbers = np.arange(number * self.negatives, (number + 1) * self.negatives).astype(np.uint64)
        drawn = draw(mix64(noise_key + numbers * GOLDEN), self.noise_slots)
        return Tile(strip.words[rows], strip.words[around], seen, drawn)

    def train_tile(
        self,
        tile: Tile,
        before: tuple[Vectors, Vectors],
        after: tuple[Vectors, Vectors],
        step: float,
        tiles: int,
    ) -> float:
        """Add to syn0 and syn1 in `after` what the tile changes, computed from `before`; returns the tile's loss."""
        # with a pair whose centre it equals, a negative is not used
        used: Vectors = tile.seen.astype(np.int64) @ ~_same(tile.centres, tile.negatives)
        if self.exclude_window:
            pairs = tile.seen.sum(axis=1)[:, None]
            left = used == pairs
            used = left * pairs * (self.negatives / np.maximum(1, left.sum(axis=1)))[:, None]
        columns = np.concatenate([tile.centres, tile.negatives])
        label = np.repeat([1.0, 0.0], [len(tile.centres), len(tile.negatives)])
        weight = np.concatenate([tile.seen, used * (self.negative / self.negatives)], axis=1)
        times = _same(tile.contexts, tile.contexts).sum(axis=1)
        most = MOST_UPDATES / ((self.window_size + 1) * (self.negative + 1) * step) if step else math.inf
        steps = step * np.minimum(1.0, most / times)
        in_flight = min(self.blocks, tiles) * self.rows
        scale0, scale1 = (row_scale(crowd, in_flight, step) for crowd in self.crowding)

        x, u = self._operand(before[0][tile.contexts]), self._operand(before[1][columns])
        scores = x @ u.T
        change = self._operand((steps[:, None] * weight * (label - reference.sigmoid(scores))).astype(x.dtype))
        np.add.at(after[0], tile.contexts, scale0[tile.contexts, None] * (change @ u))
        np.add.at(after[1], columns, scale1[columns, None] * (change.T @ x))
        return float((weight * reference.log_loss(scores, label)).sum())

    def _operand(self, vectors: Vectors) -> Vectors:
        return round_bf16(vectors) if self.rounded else vectors


class Tile(NamedTuple):
    """The words of a tile."""

    contexts: Ids
    centres: Ids  # all words around
    seen: npt.NDArray[np.bool_]  # whether context and centre are a pair, [contexts, centres]
    negatives: Ids


def below(number: UInt64s, limit: int) -> npt.NDArray[np.int64]:
    """Numbers of 32 random bits as numbers in [0, limit)."""
    return ((number * np.uint64(limit)) >> _HALF).astype(np.int64)


def draw(number: UInt64s, slots: UInt64s) -> Ids:
    """The words that an alias table gives for 64 random bits each."""
    own = below(number >> _HALF, len(slots))
    slot = slots[own]
    return np.where((number & _LOW) <= slot >> _HALF, own, slot & _LOW).astype(np.int32)


def lay_strip(
    ids: Ids, offsets: npt.NDArray[np.int64], keep: npt.NDArray[np.uint32], window: int, key: np.uint64
) -> Strip:
    """What subsampling keeps: words, sentences and reaches."""
    used = ids[offsets[0] : offsets[-1]]
    with np.errstate(over="ignore"):
        number = mix64(key + np.arange(len(used), dtype=np.uint64) * GOLDEN)
    sentence = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    kept = (number >> _HALF) <= keep[used]
    return Strip(used[kept], sentence[kept], 1 + below(number & _LOW, window)[kept])


def tile_order(tiles: int) -> list[int]:
    """The tile of each turn: far apart in the text, as scan_counts in cuda_strip.cu plans it."""
    stride = tiles * 618 // 1000 + 1
    while math.gcd(stride, tiles) > 1:
        stride += 1
    return [turn * stride % tiles for turn in range(tiles)]


def round_bf16(x: Vectors) -> Vectors:
    """The nearest bf16 numbers, ties to even, in the type of x."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return rounded.view(np.float32).astype(x.dtype)


def _same(left: Any, right: Any) -> npt.NDArray[np.bool_]:
    """Which of `left` equal which of `right`, bool[left, right]."""
    equal: npt.NDArray[np.bool_] = left[:, None] == right
    return equal

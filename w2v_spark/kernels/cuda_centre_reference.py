"""What the CUDA kernels that train centre by centre compute, in numpy; see `cuda_reference.py`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from w2v_spark.array_types import Floats, Ids
from w2v_spark.corpus.random import GOLDEN, mix64
from w2v_spark.kernels import reference
from w2v_spark.kernels.cuda_plan import row_scale
from w2v_spark.kernels.cuda_reference import Strip, Vectors, draw, lay_strip, tile_order
from w2v_spark.kernels.outputs import Outputs
from w2v_spark.kernels.sizes import MEASURED, MOST_UPDATES, TILE_ROWS


@dataclass(frozen=True)
class Decisions:
    """The rows of syn1 that a centre trains with."""

    rows: Ids
    labels: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]


@dataclass(frozen=True)
class CentreReference:
    """Trains as the kernel does with one block of threads or, like many at once, with `blocks` of them.

    Blocks of the model take turns: as many centres as there are blocks start from the same vectors.
    """

    cbow: bool
    window_size: int
    negative: int
    keep: npt.NDArray[np.uint32]
    outputs: Outputs
    crowding: tuple[Floats, Floats]  # of the rows of syn0 and of syn1, see cuda_centre_plan.centre_crowding
    mean: bool = True
    exclude_window: bool = False
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
        """Train in place; the arguments and what is returned are those of `DeviceModel.train`."""
        strip = lay_strip(ids, offsets, self.keep, self.window_size, mix64(np.uint64(key)))
        noise_key = mix64(~np.uint64(key))
        order = tile_order(-(-len(strip.words) // TILE_ROWS))
        samples, loss_sum, loss_samples = 0, 0.0, 0
        last = np.float32(max(1, len(order) - 1))
        for first in range(0, len(order), self.blocks):
            turns = range(first, min(first + self.blocks, len(order)))
            for r in range(TILE_ROWS):
                before = (syn0, syn1) if self.blocks == 1 else (syn0.copy(), syn1.copy())
                for turn in turns:
                    at = order[turn] * TILE_ROWS + r
                    around = self.window(strip, at)
                    if len(around) == 0:
                        continue
                    rate = np.float32(step_from) + np.float32(step_to - step_from) * (np.float32(turn) / last)
                    step = max(0.0, float(rate))
                    decisions = self.decisions(strip, at, around, noise_key)
                    contexts, word = strip.words[around], strip.words[at]
                    in_flight = min(self.blocks, len(order))
                    loss = self.train_centre(contexts, word, decisions, before, (syn0, syn1), step, in_flight)
                    found = 1 if self.cbow else len(around)
                    samples += found
                    if turn % MEASURED == 0:
                        loss_sum += loss
                        loss_samples += found
        return len(strip.words), samples, loss_sum, loss_samples

    def window(self, strip: Strip, at: int) -> npt.NDArray[np.int64]:
        """The places of the contexts of the strip's word `at`."""
        if at >= len(strip.words):
            return np.zeros(0, np.int64)
        around = np.arange(max(0, at - strip.reach[at]), min(len(strip.words), at + strip.reach[at] + 1))
        found: npt.NDArray[np.int64] = around[(around != at) & (strip.sentence[around] == strip.sentence[at])]
        return found

    def decisions(self, strip: Strip, at: int, around: npt.NDArray[np.int64], noise_key: np.uint64) -> Decisions:
        """What the strip's word `at` decides."""
        word = strip.words[at]
        if self.outputs.loss == "hierarchical_softmax":
            starts, points, labels = self.outputs.tables
            way = slice(starts[word], starts[word + 1])
            return Decisions(points[way], labels[way].astype(np.float64), np.ones(len(points[way])))
        numbers = np.arange(at * self.negative, (at + 1) * self.negative).astype(np.uint64)
        drawn = draw(mix64(noise_key + numbers * GOLDEN), *self.outputs.tables)
        used = drawn != word
        if self.exclude_window:
            used &= ~np.isin(drawn, strip.words[around])
            used = used * (self.negative / max(1, used.sum()))
        rows = np.concatenate([[word], drawn]).astype(np.int32)
        return Decisions(rows, np.eye(1, len(rows))[0], np.concatenate([[1.0], used]))

    def train_centre(
        self,
        contexts: Ids,
        word: int,
        decisions: Decisions,
        before: tuple[Vectors, Vectors],
        after: tuple[Vectors, Vectors],
        step: float,
        in_flight: int,
    ) -> float:
        """Add to syn0 and syn1 in `after` what a centre changes, computed from `before`; returns its loss."""
        times = (contexts[:, None] == np.append(contexts, word)).sum(axis=1)
        damping = np.minimum(1.0, MOST_UPDATES / np.maximum(times * len(decisions.rows) * step, 1e-30))
        scale0 = row_scale(self.crowding[0][contexts], in_flight, step)
        scale1 = row_scale(self.crowding[1][decisions.rows], in_flight, step)
        x, u = before[0][contexts], before[1][decisions.rows]
        if self.cbow:
            x = x.mean(axis=0, keepdims=True) if self.mean else x.sum(axis=0, keepdims=True)
        scores = x @ u.T
        change = step * decisions.weights * (decisions.labels - reference.sigmoid(scores))
        if self.cbow:
            factor = damping * (1.0 if self.mean else 1 / len(contexts))
        else:
            change, factor = damping[:, None] * change, np.ones(len(contexts))
        np.add.at(after[0], contexts, (scale0 * factor)[:, None] * (change @ u))
        np.add.at(after[1], decisions.rows, scale1[:, None] * (change.T @ x))
        return float((decisions.weights * reference.log_loss(scores, decisions.labels)).sum())

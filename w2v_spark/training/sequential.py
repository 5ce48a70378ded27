"""The rule `sequential`: replicas' changes count for what one model would have made of their shares one after another.

Near its end a row moves by a share of the way that is left for each gradient term that touches it: (step x curvature),
along an axis of that curvature. So a replica that trains n terms leaves q = exp(-n step curvature) of the way, and R
replicas' shares, one after another, q**R: what they changed adds up to (1 - q**R) / (1 - q) of its mean. A rare word's
changes add up (R times the mean), and a frequent word's are averaged: all replicas have arrived where they went. And
in one row both holds: along the few axes in which the partners' vectors are long it has arrived, along all others it
has hardly moved.

Models are combined by such matrices in SymSGD (Maleki, Musuvathi and Mytkowicz 2017, arXiv 1705.08030). Here they come
from what all replicas know, the model they started from and the words' counts, so that each replica weighs what it
sends, and the merge is a sum. Instead of the power of q it has (1 + x) / (1 + R x) with x = -log q: the same at both
ends, and what a mix of speeds gives in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from w2v_spark.corpus.noise import noise_distribution
from w2v_spark.kernels.axes import add_second_moment, principal_axes, weigh_along
from w2v_spark.params import Params
from w2v_spark.training.schedule import Round, step_at
from w2v_spark.workdir import MATRICES, SYN0, SYN1, Float32Matrix, rows_per_block

if TYPE_CHECKING:
    from w2v_spark.training.replica import Sampling

Doubles = npt.NDArray[np.float64]
# rows of a matrix, from first to stop
ReadRows = Callable[[str, int, int], Float32Matrix]

# x = 0.16 x step x terms x curvature**0.7, fitted to what one model made of the shares of 8 and of 32 replicas
# (bench/results/merge.md). By theory the power is 1; long vectors predict surely, and the surer, the less they pull
_PULL = 0.16
_POWER = 0.7
_PARTNER = {SYN0: SYN1, SYN1: SYN0}


@dataclass(frozen=True)
class Damping:
    """How much of what a replica changes in a stretch counts: along the axes of each matrix, float64[D, D], whose
    curvatures are float64[D], of rows that so many terms touch for a word, float64[V], when it trains so many `words`
    with this `step`.
    """

    replicas: int
    step: float
    words: float
    terms: Mapping[str, Doubles]
    axes: Mapping[str, Doubles]
    curvature: Mapping[str, Doubles]

    def weighed(self, matrix: str, rows: npt.NDArray[np.integer], values: Float32Matrix) -> Float32Matrix:
        """What counts of the changes `values`, float32[n, D], of these rows."""
        pull = self.step * self.words * self.terms[matrix][rows]
        return weigh_along(values, self.axes[matrix], pull, self.curvature[matrix], self.replicas)


@dataclass(frozen=True)
class Terms:
    """How many gradient terms touch each row of a matrix for a word of the corpus, float64[V]; and the words of it that
    a replica trains in an epoch.
    """

    params: Params
    of_rows: Mapping[str, Doubles]
    words_of_a_replica: float

    @classmethod
    def of_sampling(cls, sampling: Sampling, params: Params, words: int, sentences: int) -> Self:
        """In a corpus of so many words in so many sentences."""
        kept = sampling.counts / max(1, sampling.counts.sum()) * (sampling.keep / 2.0**32)
        # a window reaches (window + 1) / 2 words to either side on average, but not beyond its sentence
        around = min(params.window_size + 1.0, kept.sum() * words / max(1, sentences))
        targets = _targets(sampling, kept / max(kept.sum(), 1e-300), params)
        samples = kept.sum() * (around if params.architecture == "skip_gram" else 1.0)
        of_rows = {SYN0: kept * around * targets.sum(), SYN1: samples * targets}
        return cls(params, of_rows, words / (params.num_replicas or 1))

    def damping(self, stretch: Round, rows: ReadRows) -> Damping:
        """For a stretch that starts from the model whose rows `rows` reads."""
        params, words = self.params, self.words_of_a_replica * (stretch.stop - stretch.start)
        middle = (stretch.start + stretch.stop) / 2
        step = step_at(middle, params.max_iter, params.step_size, params.min_step_size)
        found = {matrix: self._axes(_PARTNER[matrix], rows) for matrix in MATRICES}
        axes = {matrix: axes for matrix, (_, axes) in found.items()}
        curvature = {matrix: _PULL * values**_POWER for matrix, (values, _) in found.items()}
        return Damping(params.num_replicas or 1, step, words, self.of_rows, axes, curvature)

    def _axes(self, matrix: str, rows: ReadRows) -> tuple[Doubles, Doubles]:
        """Curvatures and axes that the rows of a matrix give to those that they train with."""
        size, terms = self.params.vector_size, self.of_rows[matrix]
        moment, step, weights = np.zeros((size, size)), rows_per_block(size), terms / max(terms.sum(), 1e-300)
        for first in range(0, len(terms), step):
            stop = min(first + step, len(terms))
            add_second_moment(rows(matrix, first, stop), weights[first:stop], moment)
        return principal_axes(moment)


def _targets(sampling: Sampling, shares: Doubles, params: Params) -> Doubles:
    """How many gradient terms touch each row of syn1 for one sample, float64[V]; of the samples' centres each word has
    its share.
    """
    if params.loss == "negative_sampling":
        return shares + params.negative * noise_distribution(sampling.counts, params.noise_exponent)
    if params.loss == "hierarchical_softmax":
        starts, points, _ = sampling.outputs.tables
        of_nodes = np.repeat(shares, np.diff(starts))
        return np.bincount(points[: starts[-1]], of_nodes, minlength=len(shares)).astype(np.float64)
    # every row at every sample, but by no more than its probability
    return 2 * shares

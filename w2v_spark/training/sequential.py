"""The rule `sequential`: replicas' changes count for what one model would have made of their shares one after another.

Near its end a row moves, with each gradient term that touches it, by a part (step * curvature) of the way that is left,
along an axis of that curvature. So a replica that trains n terms leaves q = exp(-x) of the way, x = n * step *
curvature, and the shares of R replicas one after another leave q**R. What these change is thus (1 - q**R) / (1 - q)
times the mean of what the replicas changed, each from the same start: R times for a rare word, whose changes add up,
and once for a frequent one, which has arrived in every replica. In one row both hold: along the few axes in which its
partners' vectors are long it has arrived, along all others it has hardly moved.

Rows and moments of a stretch differ in speed. With 1 / (1 + x), the mean of exp(-x) over speeds that are spread
exponentially, in place of exp(-x), and the same for R x, the multiple is R (1 + x) / (1 + R x).

SymSGD combines models by such matrices (Maleki, Musuvathi and Mytkowicz 2017, arXiv 1705.08030). Here they come from
what each replica knows, the words' counts and its own model at the end of its share: it weighs its own changes before
it sends them, and the merge is their mean. The model from which all started would not do: at first its rows are short
or zero, so that changes would count R times along axes in which every replica has arrived by then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from w2v_spark.array_types import Doubles, Floats
from w2v_spark.corpus.noise import kept_words, noise_distribution
from w2v_spark.params import Params
from w2v_spark.training.schedule import Round, learning_rate
from w2v_spark.workdir.blocks import MATRICES, SYN0, SYN1, rows_per_block

if TYPE_CHECKING:
    from w2v_spark.training.replica import Sampling

# rows of a matrix, from first to stop
ReadRows = Callable[[str, int, int], Floats]

# x = 0.16 * step * terms * eigenvalue**0.7, fitted to what one model made of the shares of 8 and of 32 replicas
# (bench/results/merge.md). By theory the power is 1; long vectors predict surely, and the surer, the less they pull
_RATE = 0.16
_POWER = 0.7
# so many rows, those that train most, tell the axes, and of blocks with less than such a share of the training each
# eighth row: more cost more time than they would change (eigenvalues by 0.2 % at 93,000 words)
_AXES_ROWS = 1 << 17
_SMALL_SHARE, _EACH_OF_SMALL = 0.01, 8
_PARTNER = {SYN0: SYN1, SYN1: SYN0}


@dataclass(frozen=True)
class Weights:
    """What a replica's changes of a stretch count for."""

    replicas: int
    # step times the words that a replica trains
    exposure: float
    # of each matrix: the gradient terms that touch each row for a word, float64[V]; the axes, float64[D, D]; and the
    # rate along each, float64[D]: x = exposure * terms * rate
    terms: Mapping[str, Doubles]
    axes: Mapping[str, Doubles]
    rates: Mapping[str, Doubles]

    def weighed(self, matrix: str, rows: npt.NDArray[np.integer], values: Floats) -> Floats:
        """The changes `values`, float32[n, D], of these rows, between once and `replicas` times."""
        from w2v_spark.kernels.axes import weigh_along  # here, so that a driver loads no compiler

        exposure = self.exposure * self.terms[matrix][rows]
        return weigh_along(values, self.axes[matrix], exposure, self.rates[matrix], self.replicas)


@dataclass(frozen=True)
class Terms:
    """How many gradient terms touch each row of a matrix for a word of the corpus, float64[V]; by how much the partners
    of a matrix, as they train with it, are longer than rows, squared; and the words that a replica trains in an epoch.
    """

    params: Params
    of_rows: Mapping[str, Doubles]
    longer: Mapping[str, float]
    words_of_a_replica: float

    @classmethod
    def of_sampling(cls, sampling: Sampling, params: Params, words: int, sentences: int) -> Self:
        """In a corpus of so many words in so many sentences."""
        kept = kept_words(sampling.counts, sampling.keep) / max(1, sampling.counts.sum())
        # a window reaches (window + 1) / 2 words to either side on average, but not beyond its sentence
        around = min(params.window_size + 1.0, max(0.0, kept.sum() * words / max(1, sentences) - 1.0))
        targets, cbow = _targets(sampling, kept / max(kept.sum(), 1e-300), params), params.architecture == "cbow"
        of_rows = {SYN0: kept * around * targets.sum(), SYN1: kept.sum() * (1.0 if cbow else around) * targets}
        # a bag's sum is so many times its mean, which is taken to be as long as a row
        sums = cbow and not params.cbow_mean
        longer = {SYN0: around if sums else 1.0, SYN1: around**2 if sums else 1.0}
        return cls(params, of_rows, longer, words / params.replicas)

    def weights(self, stretch: Round, rows: ReadRows) -> Weights:
        """For a stretch that has ended in the model whose rows `rows` reads."""
        params, words = self.params, self.words_of_a_replica * (stretch.stop - stretch.start)
        step = learning_rate(params, (stretch.start + stretch.stop) / 2)
        axes, rates = {}, {}
        for matrix in MATRICES:
            values, axes[matrix] = self._axes(_PARTNER[matrix], rows)
            # numpy's power has other bits on other processors
            rates[matrix] = np.array([_RATE * math.pow(v * self.longer[matrix], _POWER) for v in values])
        return Weights(params.replicas, step * words, self.of_rows, axes, rates)

    def _axes(self, matrix: str, rows: ReadRows) -> tuple[Doubles, Doubles]:
        """Eigenvalues and axes of the rows of a matrix, each as often as it trains."""
        from w2v_spark.kernels.axes import add_second_moment, principal_axes  # as above

        size, terms = self.params.vector_size, self.of_rows[matrix]
        # words are by count, nodes of a tree the other way round
        half = len(terms) // 2
        first = 0 if terms[:half].sum() >= terms[half:].sum() else max(0, len(terms) - _AXES_ROWS)
        last = min(len(terms), first + _AXES_ROWS)
        moment, step, total = np.zeros((size, size)), rows_per_block(size), max(terms[first:last].sum(), 1e-300)
        for start in range(first, last, step):
            stop = min(start + step, last)
            share = terms[start:stop].sum() / total
            some = slice(None, None, _EACH_OF_SMALL if share < _SMALL_SHARE else 1)
            weights = terms[start:stop][some]
            add_second_moment(rows(matrix, start, stop)[some], weights * (share / max(weights.sum(), 1e-300)), moment)
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

"""A corpus with vectors to train on it, for the CUDA kernels and their numpy model."""

from dataclasses import dataclass

import numpy as np

from w2v_spark.corpus.noise import AliasTable, alias_table, noise_distribution
from w2v_spark.kernels.cuda_centre_plan import centre_crowding
from w2v_spark.kernels.cuda_centre_reference import CentreReference
from w2v_spark.kernels.cuda_plan import crowding
from w2v_spark.kernels.cuda_reference import TileReference
from w2v_spark.kernels.outputs import Outputs

FULL = 2**32 - 1
KEY = 77


@dataclass
class Corpus:
    """Sentences, a model to train on them, and how to."""

    ids: np.ndarray
    offsets: np.ndarray
    counts: np.ndarray
    keep: np.ndarray
    noise: AliasTable
    syn0: np.ndarray
    syn1: np.ndarray
    window: int
    negative: int

    @property
    def crowding(self):
        return crowding(self.counts, self.keep, self.noise, self.window, self.negative)

    def model(self, **settings):
        tables = (self.keep, self.noise.slots)
        return TileReference(self.window, self.negative, *tables, **({"crowding": self.crowding} | settings))

    def train(self, model, precision=np.float64, step_from=0.05, step_to=0.02):
        syn0, syn1 = self.syn0.astype(precision), self.syn1.astype(precision)
        return syn0, syn1, model.train(self.ids, self.offsets, syn0, syn1, step_from, step_to, KEY)


def make_corpus(lengths, vocabulary, size, window=5, negative=5, keep=1.0, counts=None):
    random = np.random.default_rng(3)
    counts = np.arange(vocabulary, 0, -1) * 100 if counts is None else counts
    return Corpus(
        random.integers(0, vocabulary, sum(lengths)).astype(np.int32),
        np.cumsum([0, *lengths]).astype(np.int64),
        counts,
        np.full(vocabulary, int(FULL * keep), np.uint32),
        alias_table(noise_distribution(counts, 0.75)),
        *(random.normal(0, size**-0.5, (vocabulary, size)).astype(np.float32) for _matrix in "01"),
        window,
        negative,
    )


@dataclass
class Centres:
    """A corpus, and what is trained on it centre by centre."""

    architecture: str
    corpus: Corpus
    outputs: Outputs
    mean: bool = True
    exclude: bool = False

    @classmethod
    def of(cls, architecture, loss, lengths, vocabulary, size, window=5, negative=5, keep=1.0, counts=None, **options):
        counts = np.arange(vocabulary, 0, -1) ** 2 if counts is None else counts
        corpus = make_corpus(lengths, vocabulary, size, window, negative, keep, counts)
        return cls(architecture, corpus, Outputs.of_counts(loss, counts), **options)

    @property
    def crowding(self):
        corpus = self.corpus
        return centre_crowding(
            self.architecture, self.outputs, corpus.counts, corpus.keep, corpus.window, corpus.negative
        )

    def model(self, **settings):
        corpus = self.corpus
        of = (self.architecture == "cbow", corpus.window, corpus.negative, corpus.keep, self.outputs)
        given = {"crowding": self.crowding, "mean": self.mean, "exclude_window": self.exclude} | settings
        return CentreReference(*of, **given)

    def uncrowded(self, **settings):
        return self.model(crowding=tuple(0 * crowd for crowd in self.crowding), **settings)


def assert_close(before, found, exact, tolerance):
    change = np.linalg.norm(exact - before)
    assert np.linalg.norm(found - exact) < tolerance * change + 3e-7 * np.linalg.norm(before)

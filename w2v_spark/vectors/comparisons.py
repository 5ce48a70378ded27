"""Words compared with words: similarities, distances, ranks and the odd one out."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from w2v_spark.array_types import Floats
from w2v_spark.errors import ParamError
from w2v_spark.vectors import metrics, search
from w2v_spark.vectors.given import Item, Key, Vector, finite, listed, matrix, shown, vector_of
from w2v_spark.vectors.metrics import Matrix, Rows
from w2v_spark.vectors.words import Words

logger = logging.getLogger("w2v_spark")


class EmptyListError(ParamError, ZeroDivisionError):
    """A list of words to compare is empty; gensim raises ZeroDivisionError there."""


class Comparisons(Words):
    """The comparisons of gensim's KeyedVectors. A metric's value is a similarity for cosine and dot (higher is nearer)
    and a distance for euclidean, manhattan and chebyshev (lower is nearer).
    """

    def similarity(self, w1: Item, w2: Item, metric: str = "cosine") -> float:
        """The cosine of two words, or another metric's value."""
        value = float(metrics.between(metrics.checked(metric), self._row(w1), self._row(w2)))
        # rounding takes a word's cosine with itself beyond 1, of which acos and sqrt(distance) are undefined
        return min(1.0, max(-1.0, value)) if metric == "cosine" else value

    def distance(self, w1: Key, w2: Key) -> float:
        """1 - the cosine of two words."""
        return 1 - self.similarity(w1, w2)

    def distances(self, word_or_vector: Item, other_words: Sequence[Key] | None = ()) -> Floats:
        """1 - the cosines of a word or vector with each of the other words, or with all, (words,) float32."""
        query, others = self._row(word_or_vector), [] if other_words is None else listed("other_words", other_words)
        rows = Rows.of(self.vectors[[self.get_index(word) for word in others]]) if others else self.rows
        distances: Floats = 1 - search.values(rows, query[None])[0]
        return distances

    @staticmethod
    def cosine_similarities(vector_1: Vector, vectors_all: Matrix | Sequence[Vector]) -> Floats:
        """The cosines of a vector (D,) with each row of (n, D), (n,) float32."""
        one, every = vector_of(vector_1), matrix("vectors_all", vectors_all)
        if one is None or one.shape != every.shape[-1:]:
            raise ParamError(f"vector_1 must be a vector of {every.shape[-1]} numbers, got {shown(vector_1)}")
        cosines: Floats = metrics.between("cosine", finite("vectors_all", every), finite("vector_1", one))
        return cosines

    def n_similarity(self, ws1: Sequence[Key], ws2: Sequence[Key]) -> float:
        """The cosine of the means of two lists of words; words that have no vector are passed over."""
        first, second = listed("ws1", ws1), listed("ws2", ws2)
        if not (first and second):
            raise EmptyListError(f"n_similarity needs two lists of words, got lists of {len(first)} and {len(second)}")
        means = [self.get_mean_vector(words, pre_normalize=False) for words in (first, second)]
        return float(metrics.between("cosine", *means))

    def most_similar_to_given(self, key1: Key, keys_list: Sequence[Key]) -> Key:
        """The word of the list that is nearest to `key1`."""
        keys: list[Key] = listed("keys_list", keys_list)
        if not keys:
            raise ParamError("most_similar_to_given needs at least one word to choose from, got none")
        return keys[int(np.argmax([self.similarity(key1, key) for key in keys]))]

    def closer_than(self, key1: Key, key2: Key) -> list[str]:
        """The words that are nearer to `key1` than `key2` is, by id."""
        distances = self.distances(key1)
        first, second = self.get_index(key1), self.get_index(key2)
        return [self._word(int(i)) for i in np.flatnonzero(distances < distances[second]) if i != first]

    def rank(self, key1: Key, key2: Key) -> int:
        """The place of `key2` among the neighbours of `key1`: 1 for the nearest."""
        return len(self.closer_than(key1, key2)) + 1

    def rank_by_centrality(self, words: Sequence[Key], use_norm: bool = True) -> list[tuple[float, Key]]:
        """(cosine, word) for each word with the mean of all, best first; words that have no vector are left out."""
        found: list[tuple[Key, int | None]] = [(word, self._find(word)) for word in listed("words", words)]
        known = [word for word, index in found if index is not None]
        if len(known) < len(found):
            missing = ", ".join(sorted({str(word) for word, index in found if index is None}))
            logger.warning("words that have no vector are left out: %s", missing)
        if not known:
            raise ParamError("cannot choose from no words: at least one must be in the vocabulary")
        rows = np.stack([self.get_vector(word, norm=use_norm).astype(np.float32) for word in known])
        mean = self.get_mean_vector(rows, post_normalize=True)
        return sorted(zip((rows @ mean).tolist(), known, strict=True), key=lambda ranked: -ranked[0])

    def doesnt_match(self, words: Sequence[Key]) -> Key:
        """The word that is farthest from the mean of all."""
        return self.rank_by_centrality(words)[-1][1]

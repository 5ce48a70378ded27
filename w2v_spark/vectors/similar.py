"""The words nearest to words and vectors, by the exact search or by an index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, overload

import numpy as np

from w2v_spark.array_types import Floats
from w2v_spark.errors import ParamError
from w2v_spark.vectors import metrics, search
from w2v_spark.vectors.comparisons import Comparisons
from w2v_spark.vectors.given import Item, Items, Key, Vector, checked_int, item, items, listed
from w2v_spark.vectors.metrics import Matrix

Neighbours = list[tuple[str, float]]

# 3CosMul multiplies, and of a dozen factors no larger than these float32 holds the product
LONGEST_FACTOR = 1000


class Indexer(Protocol):
    """An index that answers instead of the exact search, as gensim's AnnoyIndexer and our `ann.Index` do."""

    def most_similar(self, vector: Any, num_neighbors: int) -> Neighbours: ...


class Similar(Comparisons):
    """The searches of gensim's KeyedVectors."""

    @overload
    def most_similar(
        self,
        positive: Items | None = None,
        negative: Items | None = None,
        topn: int = 10,
        clip_start: int = 0,
        clip_end: int | None = None,
        restrict_vocab: int | None = None,
        indexer: Indexer | None = None,
        *,
        metric: str = "cosine",
    ) -> Neighbours: ...
    @overload
    def most_similar(
        self,
        positive: Items | None = None,
        negative: Items | None = None,
        *,
        topn: None,
        clip_start: int = 0,
        clip_end: int | None = None,
        restrict_vocab: int | None = None,
        metric: str = "cosine",
    ) -> Floats: ...
    def most_similar(
        self,
        positive: Items | None = None,
        negative: Items | None = None,
        topn: int | None = 10,
        clip_start: int = 0,
        clip_end: int | None = None,
        restrict_vocab: int | None = None,
        indexer: Indexer | None = None,
        *,
        metric: str = "cosine",
    ) -> Neighbours | Floats:
        """The topn words nearest to the sum of the positive less the negative items, as (word, cosine), best first;
        with topn=None the cosines of all words, (words,) float32.

        An item is a word (its vector at length one) or a vector (as it is), or a pair of one of these and its weight.
        The words given are not among the answers. Only the ids clip_start..clip_end are looked at; `restrict_vocab`
        stands for 0..restrict_vocab. An `indexer` answers by itself: its answers hold the words given, and it knows
        nothing of the range. Metrics other than cosine take words' vectors as they are, and divide the sum by that of
        the weights, so that two words ask for what lies between them.
        """
        query, given = self._query(items(positive, 1.0) + items(negative, -1.0), metrics.checked(metric))
        start, stop = self._range(clip_start, clip_end, restrict_vocab)
        most = checked_int("topn", topn, none=True)
        if most is None:
            return np.asarray(search.values(self.rows[start:stop], query[None], metric)[0])
        if indexer is not None:
            return indexer.most_similar(query, most) if most > 0 else []
        return self._nearest(query[None], [given], most, start, stop, metric)[0]

    def most_similar_each(
        self,
        words: Sequence[Item] | Matrix,
        topn: int = 10,
        *,
        restrict_vocab: int | None = None,
        metric: str = "cosine",
    ) -> list[Neighbours]:
        """`most_similar` of each word or vector by itself, in one pass over the vectors."""
        start, stop = self._range(0, None, restrict_vocab)
        asked = [item(word) for word in listed("words", words)]
        most = checked_int("topn", topn)
        if not asked:
            return []
        ids = iter(self.get_indices([word for word in asked if not isinstance(word, np.ndarray)]))
        known = [word if isinstance(word, np.ndarray) else next(ids) for word in asked]
        given = [set[int]() if isinstance(word, np.ndarray) else {word} for word in known]
        queries = self._searchable(np.stack([self._row(word) for word in known]), metrics.checked(metric))
        return self._nearest(queries, given, most, start, stop, metric)

    def similar_by_key(
        self, key: Key, topn: int = 10, restrict_vocab: int | None = None, *, metric: str = "cosine"
    ) -> Neighbours:
        """The topn words nearest to a word."""
        return self.most_similar([key], topn=topn, restrict_vocab=restrict_vocab, metric=metric)

    def similar_by_word(
        self, word: Key, topn: int = 10, restrict_vocab: int | None = None, *, metric: str = "cosine"
    ) -> Neighbours:
        """`similar_by_key` under its older name."""
        return self.similar_by_key(word, topn, restrict_vocab, metric=metric)

    def similar_by_vector(
        self, vector: Vector, topn: int = 10, restrict_vocab: int | None = None, *, metric: str = "cosine"
    ) -> Neighbours:
        """The topn words nearest to a vector (D,)."""
        return self.most_similar([vector], topn=topn, restrict_vocab=restrict_vocab, metric=metric)

    def most_similar_cosmul(
        self,
        positive: Items | None = None,
        negative: Items | None = None,
        topn: int | None = 10,
        restrict_vocab: int | None = None,
    ) -> Neighbours | Floats:
        """The topn words by 3CosMul: the product of the cosines with the positive items by that with the negative
        ones, all cosines shifted to 0..1; with topn=None the scores of all words, (words,) float32.
        """
        above, below = items(positive, 1.0), items(negative, 1.0)
        if not above:
            raise ParamError("most_similar_cosmul needs at least one positive word or vector, got none")
        if weights := [weight for _, weight in above + below if weight != 1]:
            raise ParamError(f"most_similar_cosmul has no weights but 1, got {weights[0]}: leave it out")
        most, (_, stop) = checked_int("topn", topn, none=True), self._range(0, None, restrict_vocab)
        given = {self.get_index(word) for word, _ in above + below if not isinstance(word, np.ndarray)}
        rows = self.rows[:stop]
        score = metrics.cosmul_scorer(
            rows, *([self._factor(word)[None] for word, _ in side] for side in (above, below))
        )
        if most is None:
            return np.asarray(search.scores(score, rows, 1)[0])
        if most < 1:
            return []
        ids, scores = search.best(score, rows, 1, min(most + len(given), stop))
        found = zip(ids[0].tolist(), scores[0].tolist(), strict=True)
        return [(self._word(i), value) for i, value in found if i not in given][:most]

    def relative_cosine_similarity(self, wa: Key, wb: Key, topn: int = 10) -> float:
        """The cosine of two words by the sum of those of the topn words nearest to the first: where it is above
        1 / topn, the two are nearer than most (Leeuwenberg et al. 2016).
        """
        nearest = self.similar_by_key(wa, checked_int("topn", topn, 1))
        if not nearest:
            raise ParamError("relative_cosine_similarity needs a vocabulary of two words or more, got one")
        return self.similarity(wa, wb) / float(metrics.nonzero(sum(cosine for _, cosine in nearest)))

    def _query(self, asked: list[tuple[Key | Matrix, float]], metric: str) -> tuple[Floats, set[int]]:
        """The vector that the items ask for, (D,) float32, and the ids of those that are words."""
        if not asked:
            raise ParamError("most_similar needs at least one positive or negative word or vector, got none")
        given = {self.get_index(word) for word, _ in asked if not isinstance(word, np.ndarray)}
        keys, weights = [word for word, _ in asked], [weight for _, weight in asked]
        if metric == "cosine":
            return self.get_mean_vector(keys, weights, post_normalize=True, ignore_missing=False), given
        total = abs(sum(weights))
        with np.errstate(over="ignore", invalid="ignore"):
            summed = sum((np.float32(weight) * self._row(word) for word, weight in asked), np.zeros(1, np.float32))
            query = np.asarray(summed / (total if total > 1e-6 else 1), np.float32)
        return self._searchable(query[None], metric)[0], given

    def _searchable(self, queries: Floats, metric: str) -> Floats:
        """Queries as they are, refused where what a metric other than cosine computes of them is beyond float32."""
        if metric != "cosine" and not np.isfinite(metrics.norms(queries)).all():
            _ = self.norms  # says where the model itself is to blame
            raise ParamError(
                f"a vector is longer than 1.8e19, beyond which {metric} cannot be told: give smaller numbers"
            )
        return queries

    def _factor(self, word: Key | Matrix) -> Floats:
        """A factor of 3CosMul: a word's vector at length one, or the vector given."""
        if not isinstance(word, np.ndarray):
            return self.get_vector(word, norm=True)
        factor = self._checked(word)
        if not (length := float(np.linalg.norm(factor.astype(np.float64)))) <= LONGEST_FACTOR:
            raise ParamError(
                f"most_similar_cosmul takes vectors of about length one, got one of {length:.3g}: divide it by that"
            )
        return factor

    def _range(self, clip_start: int, clip_end: int | None, restrict_vocab: int | None) -> tuple[int, int]:
        """The ids to look at: from the first, up to but without the second."""
        most = checked_int("restrict_vocab", restrict_vocab, 1, none=True)
        start = checked_int("clip_start", clip_start, 0)
        end = checked_int("clip_end", clip_end, 0, none=True)
        if most is not None:
            return 0, min(most, len(self))
        stop = min(end or len(self), len(self))
        return min(start, stop), stop

    def _nearest(
        self, queries: Floats, given: list[set[int]], topn: int, start: int, stop: int, metric: str
    ) -> list[Neighbours]:
        """The topn words nearest to each query, without the ids given with it."""
        if topn < 1:
            return [[] for _ in given]
        extra = max(map(len, given), default=0)
        ids, values = search.top_k(self.rows[start:stop], queries, topn + extra, metric)
        answers = []
        for own, row, value in zip(given, (ids + start).tolist(), values.tolist(), strict=True):
            others = [(self._word(i), c) for i, c in zip(row, value, strict=True) if i not in own]
            answers.append(others[:topn])
        return answers

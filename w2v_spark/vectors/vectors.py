"""Word vectors opened from Parquet, asked as gensim's KeyedVectors are: same names, same order of arguments."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, overload

import numpy as np
import numpy.typing as npt

from w2v_spark import store
from w2v_spark.array_types import Floats
from w2v_spark.errors import ParamError, W2VError
from w2v_spark.kernels.arrays import arrays_on
from w2v_spark.vectors import metrics, search
from w2v_spark.vectors.comparisons import Comparisons
from w2v_spark.vectors.metrics import Matrix
from w2v_spark.vectors.words import Key

if TYPE_CHECKING:
    from w2v_spark.vectors.correlation import Correlation

Item = Key | npt.NDArray[np.floating]
Items = Item | Sequence[Item | tuple[Item, float]]
Neighbours = list[tuple[str, float]]

DTYPES = ("float32", "float16")


class Indexer(Protocol):
    """An index that answers instead of the exact search, as gensim's AnnoyIndexer and our `ann.Index` do."""

    def most_similar(self, vector: Any, num_neighbors: int) -> Neighbours: ...


class Vectors(Comparisons):
    """Words and their vectors, by id: the most frequent word first.

    A word is looked up as it is spelt, then as the model's text was normalised: NFC, and lower-cased where training did
    so; an integer is an id. The vectors lie in memory once, as they are, read-only; of the unit vectors only the
    lengths are kept.
    """

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], *, dtype: str = "float32", mmap: bool = False, device: str = "cpu"
    ) -> Vectors:
        """The vectors of a finished model, OUT or OUT/vectors, a local path or any URI that pyarrow opens; or a local
        .npy or .safetensors file that `convert` wrote.

        dtype "float16" halves the memory and rounds each number to 11 bits. `mmap` leaves the numbers of a file on
        disk and reads what a query touches; Parquet is compressed, which leaves nothing to map. device "cuda" searches
        on the GPU, to which the vectors are copied once.
        """
        arrays_on(device)  # what is missing is told before anything is read
        if dtype not in DTYPES:
            raise ParamError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
        name = os.fspath(path)
        if name.endswith((".npy", ".safetensors")):
            from w2v_spark.vectors.formats import read_file

            found = read_file(name, mmap=mmap)
            if mmap and found.vectors.dtype != dtype:
                raise ParamError(f"{name} holds {found.vectors.dtype}: it can be mapped as that alone, not as {dtype}")
            matrix = found.vectors.astype(dtype, copy=False)
            return cls(found._words, matrix, found.counts, lowercase=found.lowercase, device=device)
        if mmap:
            raise ParamError(
                f"{name} is Parquet, whose compressed pages cannot be mapped: write a .npy once, with "
                "convert --to numpy, and open that with mmap=True"
            )
        from w2v_spark.vectors.load import read_model

        model = store.open_model(name)
        words, counts, vectors = read_model(model, dtype)
        return cls(words, vectors, counts, lowercase=bool(model.params.get("lowercase", False)), device=device)

    @classmethod
    def load_word2vec_format(
        cls,
        fname: str | os.PathLike[str],
        fvocab: str | os.PathLike[str] | None = None,
        binary: bool = False,
        encoding: str = "utf8",
        unicode_errors: str = "strict",
        limit: int | None = None,
        datatype: npt.DTypeLike = np.float32,
        no_header: bool = False,
    ) -> Vectors:
        """The vectors of a local file in word2vec's text or binary format, with the counts of a file FNAME.vocab where
        that is named; `formats.read_file` knows others. `no_header` is there for gensim's sake: the file tells.
        """
        from w2v_spark.vectors.as_gensim import checked_encoding, format_name
        from w2v_spark.vectors.formats import read_file

        checked_encoding(encoding)
        if (dtype := np.dtype(datatype).name) not in DTYPES:
            raise ParamError(f"datatype must be one of {', '.join(DTYPES)}, got {dtype}")
        found = read_file(fname, format_name(fname, fvocab, binary), unicode_errors=unicode_errors, limit=limit)
        return cls(found._words, found.vectors.astype(dtype, copy=False), found.counts)

    def save_word2vec_format(
        self, fname: str | os.PathLike[str], fvocab: str | os.PathLike[str] | None = None, binary: bool = False
    ) -> None:
        """Write word2vec's text or binary format, and the counts to FNAME.vocab where that is named;
        `formats.write_file` knows others.
        """
        from w2v_spark.vectors.as_gensim import format_name
        from w2v_spark.vectors.formats import write_file

        write_file(self, fname, format_name(fname, fvocab, binary))

    def to_gensim(self) -> Any:
        """A KeyedVectors of gensim with these words, counts and a copy of the vectors."""
        try:
            from gensim.models import KeyedVectors
        except ImportError as e:
            raise W2VError("to_gensim needs gensim: install it with pip install gensim") from e
        found = KeyedVectors(self.vector_size)
        found.add_vectors(self.index_to_key, self.vectors.astype(np.float32, copy=False))
        if self.counts is not None:
            found.expandos["count"] = self.counts.copy()
        return found

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
        query, given = self._query(_items(positive, 1.0) + _items(negative, -1.0), metrics.checked(metric))
        start, stop = self._range(clip_start, clip_end, restrict_vocab)
        if topn is None:
            return np.asarray(search.values(self.rows[start:stop], query[None], metric)[0])
        if indexer is not None:
            return indexer.most_similar(query, topn) if topn > 0 else []
        return self._nearest(query[None], [given], topn, start, stop, metric)[0]

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
        if not len(words):
            return []
        ids = iter(self.get_indices([word for word in words if not isinstance(word, np.ndarray)]))
        items = [word if isinstance(word, np.ndarray) else next(ids) for word in words]
        given = [set[int]() if isinstance(item, np.ndarray) else {item} for item in items]
        queries = np.stack([self._row(item) for item in items])
        return self._nearest(queries, given, topn, start, stop, metrics.checked(metric))

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
        self, vector: Matrix, topn: int = 10, restrict_vocab: int | None = None, *, metric: str = "cosine"
    ) -> Neighbours:
        """The topn words nearest to a vector (D,)."""
        return self.most_similar([vector], topn=topn, restrict_vocab=restrict_vocab, metric=metric)

    def most_similar_cosmul(
        self,
        positive: Item | Sequence[Item] | None = None,
        negative: Item | Sequence[Item] | None = None,
        topn: int | None = 10,
        restrict_vocab: int | None = None,
    ) -> Neighbours | Floats:
        """The topn words by 3CosMul: the product of the cosines with the positive items by that with the negative
        ones, all cosines shifted to 0..1; with topn=None the scores of all words, (words,) float32.
        """
        above, below = ([item for item, _ in _items(items, 1.0)] for items in (positive, negative))
        if not above:
            raise ParamError("most_similar_cosmul needs at least one positive word or vector, got none")
        _, stop = self._range(0, None, restrict_vocab)
        given = {self.get_index(item) for item in above + below if not isinstance(item, np.ndarray)}
        terms = [
            [self._checked(i)[None] if isinstance(i, np.ndarray) else self.get_vector(i, norm=True)[None] for i in side]
            for side in (above, below)
        ]
        rows = self.rows[:stop]
        score = metrics.cosmul_scorer(rows, *terms)
        if topn is None:
            return np.asarray(search.scores(score, rows, 1)[0])
        if topn < 1:
            return []
        ids, scores = search.best(score, rows, 1, min(topn + len(given), stop))
        found = zip(ids[0].tolist(), scores[0].tolist(), strict=True)
        return [(self._word(i), value) for i, value in found if i not in given][:topn]

    def evaluate_word_analogies(
        self,
        analogies: str | os.PathLike[str],
        restrict_vocab: int = 300_000,
        case_insensitive: bool = True,
        dummy4unknown: bool = False,
        similarity_function: str = "most_similar",
    ) -> tuple[float, list[dict[str, Any]]]:
        """Gensim's report of a file of analogies: the share answered correctly, and a section's questions, the last
        the total; `evaluate.evaluate_analogies` gives counts. 3CosMul where similarity_function is most_similar_cosmul.
        """
        from w2v_spark.vectors.as_gensim import word_analogies

        return word_analogies(self, analogies, restrict_vocab, case_insensitive, dummy4unknown, similarity_function)

    def evaluate_word_pairs(
        self,
        pairs: str | os.PathLike[str],
        delimiter: str = "\t",
        encoding: str = "utf8",
        restrict_vocab: int = 300_000,
        case_insensitive: bool = True,
        dummy4unknown: bool = False,
    ) -> tuple[Correlation, Correlation, float]:
        """Gensim's report of a file of rated word pairs: Pearson's and Spearman's correlation, each with its p-value,
        and the percentage of pairs with an unknown word. `delimiter` is there for gensim's sake: the line tells it.
        """
        from w2v_spark.vectors.as_gensim import word_pairs

        return word_pairs(self, pairs, encoding, restrict_vocab, case_insensitive, dummy4unknown)

    def _query(self, items: list[tuple[Item, float]], metric: str) -> tuple[Floats, set[int]]:
        """The vector that the items ask for, (D,) float32, and the ids of those that are words."""
        if not items:
            raise ParamError("most_similar needs at least one positive or negative word or vector, got none")
        given = {self.get_index(item) for item, _ in items if not isinstance(item, np.ndarray)}
        keys, weights = [item for item, _ in items], [weight for _, weight in items]
        if metric == "cosine":
            return self.get_mean_vector(keys, weights, post_normalize=True, ignore_missing=False), given
        total = abs(sum(weights))
        summed = sum((np.float32(weight) * self._row(item) for item, weight in items), np.zeros(1, np.float32))
        return np.asarray(summed / (total if total > 1e-6 else 1), np.float32), given

    def _range(self, clip_start: int, clip_end: int | None, restrict_vocab: int | None) -> tuple[int, int]:
        """The ids to look at: from the first, up to but without the second."""
        if restrict_vocab is not None and restrict_vocab < 1:
            raise ParamError(f"restrict_vocab must be at least 1, got {restrict_vocab}")
        if clip_start < 0 or (clip_end or 0) < 0:
            raise ParamError(f"clip_start and clip_end must be ids from 0, got {clip_start} and {clip_end}")
        if restrict_vocab is not None:
            return 0, min(restrict_vocab, len(self))
        stop = min(clip_end or len(self), len(self))
        return min(clip_start, stop), stop

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


def _items(given: Items | None, sign: float) -> list[tuple[Item, float]]:
    """What most_similar was given, as (word or vector, weight); a weight given by hand keeps its sign, as in gensim."""
    if given is None:
        return []
    if isinstance(given, str | int | np.integer) or (isinstance(given, np.ndarray) and given.ndim < 2):
        given = [given]
    return [item if isinstance(item, tuple) else (item, sign) for item in given]

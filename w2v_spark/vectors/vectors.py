"""Word vectors opened from Parquet, asked as gensim's KeyedVectors are: same names, same order of arguments."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from w2v_spark import store
from w2v_spark.corpus.tokens import normalize_word
from w2v_spark.errors import FormatError, ParamError, UnknownWordError
from w2v_spark.vectors import search
from w2v_spark.vectors.search import Float32Array
from w2v_spark.vectors.spelling import near_spellings

Item = str | npt.NDArray[np.floating]
Items = Item | Sequence[Item | tuple[Item, float]]
Neighbours = list[tuple[str, float]]


class Vectors:
    """Words and their vectors, by id: the most frequent word first.

    A word is looked up as it is spelt, then as the model's text was normalised: NFC, and lower-cased where training did
    so. The vectors lie in memory once, as they are, read-only; of the unit vectors only the lengths are kept.
    """

    def __init__(
        self,
        words: Sequence[str] | pa.StringArray,
        vectors: Float32Array,
        counts: npt.NDArray[np.int64] | None = None,
        *,
        lowercase: bool = False,
    ):
        """Words (V), vectors (V, D) float32 and, where known, counts (V) int64, all by id."""
        if vectors.ndim != 2 or len(words) != len(vectors):
            raise ParamError(f"{len(words)} words and vectors of shape {vectors.shape}: must be one row for each word")
        self._words = words if isinstance(words, pa.StringArray) else pa.array(words, pa.string())
        self.vectors: Float32Array = vectors.astype(np.float32, copy=False).view()
        self.vectors.flags.writeable = False
        self.counts = counts
        self.lowercase = lowercase

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Vectors:
        """The vectors of a finished model: OUT or OUT/vectors, a local path or any URI that pyarrow opens."""
        model = store.open_model(os.fspath(path))
        words, counts, vectors = store.read_vectors(model)
        return cls(words, vectors, counts, lowercase=bool(model.params.get("lowercase", False)))

    @cached_property
    def index_to_key(self) -> list[str]:
        """The words, by id."""
        return self._words.to_pylist()  # type: ignore[no-any-return]

    @cached_property
    def key_to_index(self) -> dict[str, int]:
        """The id of each word."""
        return {word: i for i, word in enumerate(self.index_to_key)}

    @cached_property
    def norms(self) -> Float32Array:
        """Length of each vector, (V,) float32; FormatError where one is not finite."""
        lengths = search.norms(self.vectors)
        broken = np.flatnonzero(~np.isfinite(lengths))
        if len(broken):
            word = self.index_to_key[broken[0]]
            raise FormatError(f"{len(broken):,} of the vectors are not finite, the first that of {word!r}: train again")
        return lengths

    @property
    def vector_size(self) -> int:
        """Length D of a vector."""
        return int(self.vectors.shape[1])

    def __len__(self) -> int:
        return len(self.vectors)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._find(key) is not None

    @overload
    def __getitem__(self, key: str) -> Float32Array: ...
    @overload
    def __getitem__(self, key: list[str]) -> Float32Array: ...
    def __getitem__(self, key: str | list[str]) -> Float32Array:
        """The vector of a word, (D,); of a list of words, (words, D)."""
        if isinstance(key, str):
            return self.get_vector(key)
        return self.vectors[[self.get_index(word) for word in key]]

    def get_index(self, key: str) -> int:
        """The id of a word; UnknownWordError names near spellings."""
        found = self._find(key)
        if found is None:
            raise UnknownWordError(self._unknown(key))
        return found

    def get_vector(self, key: str, norm: bool = False) -> Float32Array:
        """The vector of a word, (D,) float32; with `norm` at length one."""
        row: Float32Array = self.vectors[self.get_index(key)]
        if norm:
            row = search.unit(row[None])[0]
        return row

    def similarity(self, w1: str, w2: str) -> float:
        """The cosine of two words."""
        return float(self.get_vector(w1, norm=True) @ self.get_vector(w2, norm=True))

    def most_similar(
        self,
        positive: Items | None = None,
        negative: Items | None = None,
        topn: int = 10,
        *,
        restrict_vocab: int | None = None,
    ) -> Neighbours:
        """The topn words nearest to the sum of the positive less the negative items, as (word, cosine), best first.

        An item is a word (its vector at length one) or a vector (as it is), or a pair of one of these and its weight.
        The words given are not among the answers. `restrict_vocab` looks at so many most frequent words alone.
        """
        mean, given = self._mean(_items(positive, 1.0) + _items(negative, -1.0))
        return self._nearest(mean[None], [given], topn, restrict_vocab)[0]

    def most_similar_each(
        self, words: Sequence[str], topn: int = 10, *, restrict_vocab: int | None = None
    ) -> list[Neighbours]:
        """`most_similar` of each word by itself, in one pass over the vectors."""
        ids = [self.get_index(word) for word in words]
        return self._nearest(self.vectors[ids], [{i} for i in ids], topn, restrict_vocab)

    def _mean(self, items: list[tuple[Item, float]]) -> tuple[Float32Array, set[int]]:
        """The direction of the items' weighted mean, (D,) float32, and the ids of those that are words."""
        if not items:
            raise ParamError("most_similar needs at least one positive or negative word or vector, got none")
        mean = np.zeros(self.vector_size, np.float32)
        ids = set()
        for item, weight in items:
            if isinstance(item, str):
                ids.add(self.get_index(item))
                mean += np.float32(weight) * self.get_vector(item, norm=True)
            else:
                if item.shape != (self.vector_size,) or not np.isfinite(item).all():
                    raise ParamError(
                        f"a vector of {item.shape} was given: must be ({self.vector_size},) finite numbers"
                    )
                mean += np.float32(weight) * item.astype(np.float32, copy=False)
        return mean, ids

    def _nearest(
        self, queries: Float32Array, given: list[set[int]], topn: int, restrict_vocab: int | None
    ) -> list[Neighbours]:
        """The topn words nearest to each query, without the ids given with it."""
        if restrict_vocab is not None and restrict_vocab < 1:
            raise ParamError(f"restrict_vocab must be at least 1, got {restrict_vocab}")
        if topn < 1:
            return [[] for _ in given]
        extra = max(map(len, given), default=0)
        rows = slice(0, restrict_vocab)
        ids, cosines = search.top_k(self.vectors[rows], self.norms[rows], queries, topn + extra)
        answers = []
        for own, row, cosine in zip(given, ids.tolist(), cosines.tolist(), strict=True):
            others = [(self.index_to_key[i], c) for i, c in zip(row, cosine, strict=True) if i not in own]
            answers.append(others[:topn])
        return answers

    def _find(self, key: str) -> int | None:
        """The id of a word as it is spelt or as the model's text was normalised."""
        found = self.key_to_index.get(key)
        return self.key_to_index.get(self.normalise(key)) if found is None else found

    def normalise(self, word: str) -> str:
        """The word as the tokeniser left the words of the model's text."""
        return normalize_word(word, self.lowercase)

    def _unknown(self, key: str) -> str:
        """The message for a word that has no vector."""
        near = near_spellings(self.normalise(key), self._words)
        hint = f"; near spellings: {', '.join(near)}" if near else ""
        return f"word {key!r} is not in the vocabulary of {len(self):,} words{hint}"


def _items(given: Items | None, sign: float) -> list[tuple[Item, float]]:
    """What most_similar was given, as (word or vector, weight); a weight given by hand keeps its sign, as in gensim."""
    if given is None:
        return []
    if isinstance(given, str | np.ndarray) and np.ndim(given) < 2:
        given = [given]
    return [item if isinstance(item, tuple) else (item, sign) for item in given]

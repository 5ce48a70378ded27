"""Words and the rows of a matrix that belong to them: looked up, spelt, and averaged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from w2v_spark.array_types import Floats
from w2v_spark.corpus.tokens import normalize_word, plain_spelling
from w2v_spark.errors import FormatError, ParamError, UnknownWordError
from w2v_spark.kernels.arrays import arrays_on
from w2v_spark.vectors import metrics
from w2v_spark.vectors.given import KEYS, Item, Key, finite, is_list, item, listed, matrix, no_word, weights_of
from w2v_spark.vectors.metrics import Matrix, Rows
from w2v_spark.vectors.spelling import near_spellings

# so many words are looked up by scanning, milliseconds each, before a dictionary of all of them is made
SCANS = 8


class Words:
    """What `Vectors` hold, and how a word is looked up; see there."""

    def __init__(
        self,
        words: Sequence[str] | pa.StringArray,
        vectors: Matrix | Sequence[Sequence[float]],
        counts: npt.NDArray[np.int64] | None = None,
        *,
        lowercase: bool = False,
        device: str = "cpu",
    ):
        """Words (V), vectors (V, D) float32 or float16 and, where known, counts (V) int64, all by id; `device` is
        where they are searched, "cpu" or "cuda".
        """
        rows = matrix("vectors", vectors)
        if rows.ndim != 2 or len(words) != len(rows):
            raise ParamError(f"{len(words)} words and vectors of shape {rows.shape}: must be one row for each word")
        self._words = words if isinstance(words, pa.StringArray) else pa.array(words, pa.string())
        self.vectors: Matrix = (rows if rows.dtype == np.float16 else rows.astype(np.float32, copy=False)).view()
        self.vectors.flags.writeable = False
        self.counts = counts
        self.lowercase = lowercase
        self._arrays = arrays_on(device)
        self._scans = 0

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        # numpy forgets it in a pickle, and `norms` may be there already
        self.vectors.flags.writeable = False

    @cached_property
    def index_to_key(self) -> list[str]:
        """The words, by id."""
        return self._words.to_pylist()  # type: ignore[no-any-return]

    @cached_property
    def key_to_index(self) -> dict[str, int]:
        """The id of each word."""
        return {word: i for i, word in enumerate(self.index_to_key)}

    @cached_property
    def norms(self) -> Floats:
        """Length of each vector, (V,) float32; FormatError where one is not finite."""
        lengths = metrics.norms(self.vectors)
        broken = np.flatnonzero(~np.isfinite(lengths))
        if len(broken):
            word = self._word(int(broken[0]))
            raise FormatError(f"{len(broken):,} of the vectors are not finite, the first that of {word!r}: train again")
        return lengths

    @cached_property
    def rows(self) -> Rows:
        """The vectors where they are searched: those in memory, or a copy on the GPU, made when first asked for."""
        return Rows(self._arrays.put(self.vectors), self._arrays.put(self.norms), self._arrays)

    @property
    def vector_size(self) -> int:
        """Length D of a vector."""
        return int(self.vectors.shape[1])

    def __len__(self) -> int:
        return len(self.vectors)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self):,} words, vector_size={self.vector_size}, {self.vectors.dtype})"

    def __contains__(self, key: object) -> bool:
        return isinstance(key, KEYS) and self._find(key) is not None

    @overload
    def __getitem__(self, key: Key) -> Matrix: ...
    @overload
    def __getitem__(self, key: Iterable[Key]) -> Matrix: ...
    def __getitem__(self, key: Key | Iterable[Key]) -> Matrix:
        """The vector of a word, (D,); of several words, (words, D)."""
        if isinstance(key, KEYS):
            return self.get_vector(key)
        if not is_list(key):
            raise no_word(key)
        return self.vectors[self.get_indices(list(key))]

    def has_index_for(self, key: Key) -> bool:
        """Whether the word has a vector."""
        return key in self

    def get_index(self, key: Key, default: int | None = None) -> int:
        """The id of a word; where it has none, the default or, without one, UnknownWordError with near spellings."""
        found = self._find(key)
        if found is None:
            if default is None:
                raise UnknownWordError(self._unknown(key))
            return default
        return found

    def get_indices(self, keys: Sequence[Key]) -> list[int]:
        """`get_index` of each of several words; many are looked up in one pass, without a dictionary of all words."""
        if len(keys) <= SCANS or "key_to_index" in self.__dict__:
            return [self.get_index(key) for key in keys]
        texts = [key if isinstance(key, str) and _is_text(key) else None for key in keys]
        found = pc.index_in(pa.array(texts, pa.string()), self._words).to_pylist()
        pa.default_memory_pool().release_unused()  # the table of words that Arrow made for it
        return [self.get_index(key) if index is None else index for key, index in zip(keys, found, strict=True)]

    def get_vector(self, key: Key, norm: bool = False) -> Matrix:
        """The vector of a word, (D,), read-only; with `norm` at length one, float32."""
        row: Matrix = self.vectors[self.get_index(key)]
        return metrics.unit(row[None])[0] if norm else row

    def get_normed_vectors(self) -> Floats:
        """All vectors at length one, (V, D) float32: a second matrix in memory, which no query here needs."""
        units: Floats = self.vectors / metrics.nonzero(self.norms)[:, None]
        return units

    def get_vecattr(self, key: Key, attr: str) -> int:
        """The count of a word, which is the only attribute; KeyError where the counts are not known."""
        index = self.get_index(key)
        if attr != "count" or self.counts is None:
            known = "no attribute is known" if self.counts is None else "the only attribute is 'count'"
            raise UnknownWordError(f"words have no attribute {attr!r} here: {known}")
        return int(self.counts[index])

    def get_mean_vector(
        self,
        keys: Sequence[Item] | Matrix,
        weights: Sequence[float] | npt.NDArray[np.floating] | None = None,
        pre_normalize: bool = True,
        post_normalize: bool = False,
        ignore_missing: bool = True,
    ) -> Floats:
        """The weighted mean of words and vectors, (D,) float32: their weighted sum by the sum of the weights' sizes.

        `pre_normalize` takes words (not vectors) at length one, `post_normalize` gives the mean length one. A word that
        has no vector is passed over, or with ignore_missing=False an UnknownWordError.
        """
        asked = [item(key) for key in listed("keys", keys)]
        if not asked:
            raise ParamError("get_mean_vector needs at least one word or vector, got none")
        shares = np.ones(len(asked), np.float32) if weights is None else weights_of(weights)
        if len(shares) != len(asked):
            raise ParamError(
                f"{len(asked)} words and {len(shares)} weights were given: must be one weight for each word"
            )
        mean = np.zeros(self.vector_size, np.float32)
        total = 0.0
        for key, weight in zip(asked, shares, strict=True):
            if isinstance(key, np.ndarray):
                row = self._checked(key)
            elif not ignore_missing or key in self:
                row = self.get_vector(key, norm=pre_normalize)
            else:
                continue
            with np.errstate(over="ignore", invalid="ignore"):
                mean += weight * row
            total += abs(float(weight))
        if not np.isfinite(mean).all():
            _ = self.norms  # says where the model itself is to blame
            finite("the weighted sum of what is given", mean)
        if total > 0:
            mean /= np.float32(total)
        return metrics.unit(mean[None])[0] if post_normalize else mean

    def normalise(self, word: str) -> str:
        """The word as the tokeniser left the words of the model's text."""
        return normalize_word(word, self.lowercase)

    def _checked(self, vector: Matrix) -> Floats:
        """A vector that was given, (D,) float32."""
        if vector.shape != (self.vector_size,):
            raise ParamError(f"a vector of {vector.shape} was given: must be ({self.vector_size},) numbers")
        return finite("a vector", vector)

    def _row(self, given: Item) -> Floats:
        """The vector of a word, or the vector given, (D,) float32."""
        found = item(given)
        return self._checked(found) if isinstance(found, np.ndarray) else self.get_vector(found).astype(np.float32)

    def _find(self, key: Key) -> int | None:
        """The id of a word in the first of its spellings that has one; of an id, itself."""
        if not isinstance(key, KEYS):
            raise no_word(key)
        if not isinstance(key, str):
            return int(key) if 0 <= key < len(self) else None
        if not _is_text(key):
            return None
        return next((found for word in self._spellings(key) if (found := self._position(word)) is not None), None)

    def _spellings(self, word: str) -> Iterator[str]:
        """A word as it is spelt, as the text was normalised, and as the tokeniser `words` left it, each once."""
        yield word
        normal = self.normalise(word)
        yield from dict.fromkeys(spelling for spelling in (normal, plain_spelling(normal)) if spelling != word)

    def _position(self, word: str) -> int | None:
        """The id of a word spelt exactly so."""
        if self._scans < SCANS and "key_to_index" not in self.__dict__:
            self._scans += 1
            found = int(pc.index(self._words, pa.scalar(word, pa.string())).as_py())
            return found if found >= 0 else None
        return self.key_to_index.get(word)

    def _word(self, index: int) -> str:
        """The word of an id."""
        if "index_to_key" in self.__dict__:
            return self.index_to_key[index]
        return self._words[index].as_py()  # type: ignore[no-any-return]

    def _unknown(self, key: Key) -> str:
        """The message for a word that has no vector."""
        if not isinstance(key, str):
            return f"id {key} is none of the {len(self):,} words: ids go from 0 to {len(self) - 1}"
        near = near_spellings(self.normalise(key), self._words) if _is_text(key) else []
        hint = f"; near spellings: {', '.join(near)}" if near else ""
        return f"word {key!r} is not in the vocabulary of {len(self):,} words{hint}"


def _is_text(word: str) -> bool:
    """Whether UTF-8 can spell it: not half of a surrogate pair, as a command line has for bytes that are no text."""
    return not any("\ud800" <= letter <= "\udfff" for letter in word)

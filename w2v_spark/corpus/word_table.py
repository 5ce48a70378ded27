"""Ids of words, from a table on disk that all processes of a machine share: each has only those pages in memory that it
touches, and they are in memory once.

    words, offsets   the words by id, one after another in UTF-8, and where each begins
    hashes, ids      a hash of each word, rising, and the word's id

A word is looked up by its hash and then compared, so that words with one hash are told apart.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from w2v_spark.corpus.random import GOLDEN, mix64
from w2v_spark.errors import StorageError
from w2v_spark.executor_files import executor_folder, kept_on_executor

# a corpus is encoded once, so that no more than a few are ever in use
_KIND, _KEPT_ON_DISK = "words", 2
# there is one, as GOLDEN is odd
_INVERSE = np.uint64(pow(int(GOLDEN), -1, 2**64))


class WordTable:
    """The table in a folder."""

    def __init__(self, folder: Path):
        self._hashes = np.memmap(folder / "hashes", np.uint64, "r")
        self._ids = np.memmap(folder / "ids", np.int32, "r")
        parts = [pa.memory_map(str(folder / name)).read_buffer() for name in ("offsets", "words")]
        self._words = pa.Array.from_buffers(pa.large_string(), len(self._ids), [None, *parts])

    def __len__(self) -> int:
        return len(self._ids)

    def ids(self, words: pa.Array) -> npt.NDArray[np.int32]:
        """The id of each word, -1 where it has none: (n,) int32 of n strings."""
        encoded = words.dictionary_encode()
        distinct = encoded.dictionary.cast(pa.large_string())
        found = np.full(len(distinct), -1, np.int32)
        hashes = hash_words(distinct)
        at, left = np.searchsorted(self._hashes, hashes), np.arange(len(distinct))
        while len(left):
            left = left[at[left] < len(self._hashes)]
            left = left[self._hashes[at[left]] == hashes[left]]
            ids = self._ids[at[left]]
            same = pc.equal(self._words.take(pa.array(ids)), distinct.take(pa.array(left))).to_numpy(False)
            found[left[same]] = ids[same]
            left = left[~same]
            at[left] += 1
        ids_of_all: npt.NDArray[np.int32] = found[encoded.indices.to_numpy()]
        return ids_of_all


def hash_words(words: pa.LargeStringArray) -> npt.NDArray[np.uint64]:
    """A hash of each word, (n,) uint64: the polynomial of its bytes modulo 2**64, scrambled."""
    letters, offsets = _letters(words)
    terms = (letters + np.uint64(1)) * _powers(GOLDEN, len(letters))
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms)])
    starts, stops = offsets[:-1], offsets[1:]
    shifts = _powers(_INVERSE, len(letters) + 1)[starts]
    return mix64((sums[stops] - sums[starts]) * shifts + (stops - starts).astype(np.uint64))


def shared_table(content: str, words: Callable[[], Iterable[pa.Array]]) -> WordTable:
    """The table of the `words` by id, on the executor's disk; `content` tells it from others. StorageError where the
    disk does not hold it.
    """
    with disk_errors("the table of words", _KIND):
        return kept_on_executor(_KIND, content, lambda folder: write_table(folder, words()), _opened, _KEPT_ON_DISK)


@contextmanager
def disk_errors(what: str, kind: str) -> Iterator[None]:
    """Turns what the executor's disk has against files of a kind into a StorageError."""
    try:
        yield
    except StorageError:  # of what is to be written, not of this disk
        raise
    except OSError as e:
        raise StorageError(
            f"{what} cannot be written to {executor_folder(kind)}: {e.strerror or e}; it takes about 40 bytes a word "
            "in the first folder of spark.local.dir (LOCAL_DIRS on YARN)"
        ) from e


@functools.lru_cache(maxsize=1)
def _opened(folder: Path) -> WordTable:
    return WordTable(folder)


def write_table(folder: Path, words: Iterable[pa.Array]) -> None:
    """Write a table into a folder."""
    hashes, end = [np.zeros(0, np.uint64)], 0
    with (folder / "words").open("wb") as texts, (folder / "offsets").open("wb") as offsets:
        offsets.write(np.zeros(1, np.int64).tobytes())
        for some in words:
            some = some.cast(pa.large_string())
            hashes.append(hash_words(some))
            letters, bounds = _letters(some)
            texts.write(letters.tobytes())
            offsets.write((bounds[1:] + end).tobytes())
            end += len(letters)
    every = np.concatenate(hashes)
    order = np.argsort(every, kind="stable")
    every[order].tofile(folder / "hashes")
    order.astype(np.int32).tofile(folder / "ids")


def _letters(words: pa.LargeStringArray) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The bytes of all words in a row, and where each begins and the last ends."""
    _, offsets, data = words.buffers()
    bounds = np.frombuffer(offsets, np.int64)[words.offset : words.offset + len(words) + 1]
    letters = np.frombuffer(data or b"", np.uint8)[bounds[0] : bounds[-1]]
    return letters, bounds - bounds[0]


def _powers(base: np.uint64, count: int) -> npt.NDArray[np.uint64]:
    """base**0, base**1, ... modulo 2**64."""
    powers = np.full(count, base)
    powers[:1] = 1
    return np.multiply.accumulate(powers)

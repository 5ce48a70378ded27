"""Phrases: pairs of words that stand side by side more often than chance has it, joined to one word (Mikolov et al.
2013b, "Distributed representations of words and phrases and their compositionality", section 4).

The words of all documents come in a row (`flat`), with the number of each document's words (`lengths`, int64).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from w2v_spark import store
from w2v_spark.corpus.word_table import WordTable, disk_errors, write_table
from w2v_spark.executor_files import kept_on_executor
from w2v_spark.place import FileEntry, Place

Positions = npt.NDArray[np.int64]

JOINED_BY = "_"
_PAIRS = "pairs"
# as many passes as there are at most
_KIND, _KEPT_ON_DISK = "phrases", 10
_ROWS_AT_ONCE = 1 << 16


class Phrases:
    """The phrases of one pass, for look-up in a folder of files that all workers of an executor map: a table of the
    words that they are made of, each once, and 8 bytes for each phrase.
    """

    def __init__(self, folder: Path):
        self._words = WordTable(folder)
        # first * len(words) + second, rising, by the words' ids
        self._pairs = np.memmap(folder / _PAIRS, np.int64, "r")

    @classmethod
    def write(cls, folder: Path, first: pa.ChunkedArray, second: pa.ChunkedArray) -> None:
        """Fill a folder, from the first and the second word of each phrase."""
        words = pc.unique(pa.chunked_array([*first.chunks, *second.chunks], pa.string()))
        start, end = (pc.index_in(part, value_set=words).to_numpy().astype(np.int64) for part in (first, second))
        write_table(folder, [words])
        np.unique(start * len(words) + end).tofile(folder / _PAIRS)

    def join(self, flat: pa.Array, lengths: npt.NDArray[np.int64]) -> tuple[pa.Array, npt.NDArray[np.int64]]:
        """The words with phrases joined, from left to right in each document and without overlap, and its lengths."""
        start = _first_of_overlapping(self._found(flat, lengths))
        if not len(start):
            return flat, lengths
        kept, joined = np.ones(len(flat), bool), np.zeros(len(flat), bool)
        kept[start + 1], joined[start] = False, True
        phrases = pc.binary_join_element_wise(flat.take(pa.array(start)), flat.take(pa.array(start + 1)), JOINED_BY)
        words = pc.replace_with_mask(flat.filter(pa.array(kept)), pa.array(joined[kept]), phrases)
        before = np.concatenate(([0], np.cumsum(kept)))  # words that are left before each position
        return words, np.diff(before[np.concatenate(([0], np.cumsum(lengths)))])

    def _found(self, flat: pa.Array, lengths: npt.NDArray[np.int64]) -> Positions:
        """Positions of words that make a phrase with the next, rising."""
        ids = self._words.ids(flat).astype(np.int64)
        at = _followed(lengths)
        at = at[(ids[at] >= 0) & (ids[at + 1] >= 0)]
        pairs = ids[at] * len(self._words) + ids[at + 1]
        place = np.searchsorted(self._pairs, pairs)
        there = place < len(self._pairs)
        there[there] = self._pairs[place[there]] == pairs[there]
        found: Positions = at[there]
        return found


@dataclass(frozen=True)
class PhraseTable:
    """Where the phrases of one pass lie: the directory with the columns first and second, and its files."""

    parent: str
    files: tuple[FileEntry, ...]

    def open(self) -> Phrases:
        """The phrases, on the disk of the executor whose task this is. StorageError where it does not hold them."""

        def fill(folder: Path) -> None:
            table = store.read_files(Place.open(self.parent), self.files)
            Phrases.write(folder, table["first"], table["second"])

        content = json.dumps([self.parent, [file.name for file in self.files]])
        with disk_errors("the table of phrases", _KIND):
            return kept_on_executor(_KIND, content, fill, Phrases, _KEPT_ON_DISK)


def count_tokens(flat: pa.Array, lengths: npt.NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
    """token, count, joined: the words, and each two that are neighbours joined to one token. `joined` is how many of
    the count are such two.

    Words and pairs share one table, as in word2phrase and gensim: a word `new_york` and the words `new york` are one
    token.
    """
    encoded = flat.dictionary_encode()
    words, ids = encoded.dictionary, encoded.indices.to_numpy().astype(np.int64)
    at = _followed(lengths)
    pairs, pair_counts = np.unique(ids[at] * len(words) + ids[at + 1], return_counts=True)
    first, second = (words.take(pa.array(part)) for part in np.divmod(pairs, max(1, len(words))))
    tokens = pa.concat_arrays([words, pc.binary_join_element_wise(first, second, JOINED_BY)])
    joined = np.concatenate([np.zeros(len(words), np.int64), pair_counts])
    counts = np.concatenate([np.bincount(ids, minlength=len(words)), pair_counts])
    batch = pa.RecordBatch.from_arrays([tokens, pa.array(counts), pa.array(joined)], names=["token", "count", "joined"])
    for start in range(0, len(batch), _ROWS_AT_ONCE):
        yield batch.slice(start, _ROWS_AT_ONCE)


def _followed(lengths: npt.NDArray[np.int64]) -> Positions:
    """Positions of words that another follows in the same document, rising."""
    ends = np.cumsum(lengths)
    followed = np.ones(int(ends[-1]) if len(ends) else 0, bool)
    followed[ends[lengths > 0] - 1] = False
    return np.flatnonzero(followed)


def _first_of_overlapping(at: Positions) -> Positions:
    """Of pairs that begin at these rising positions those that are joined: in a run of neighbours every other one."""
    number = np.arange(len(at))
    run = np.maximum.accumulate(np.where(np.diff(at, prepend=-2) != 1, number, 0))
    first: Positions = at[(number - run) % 2 == 0]
    return first

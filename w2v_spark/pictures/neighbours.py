"""Nearest words for a report, read from the vectors' Parquet in blocks: whoever writes it never holds the matrix.

Only the most frequent words are looked at, so many that their numbers are `NUMBERS` at most. So the work has a limit
for models of any size: 40 MB to decode, and a quarter of that once more for the words asked about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from w2v_spark import store
from w2v_spark.array_types import Floats
from w2v_spark.place import Place
from w2v_spark.vectors.metrics import unit

# 100,000 words of 100 numbers: a quarter of a second
NUMBERS = 10_000_000
BLOCK_ROWS = 2048
ASKED, SHOWN = 8, 6


@dataclass(frozen=True)
class FrequentWords:
    """The first words of a model, the most frequent, and their counts (None where one is unknown), by id."""

    words: pa.StringArray
    counts: npt.NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(self.words)


def frequent_words(output: Place, manifest: Mapping[str, Any]) -> FrequentWords:
    """As many of the most frequent words as `nearest_words` looks at."""
    most = max(1, NUMBERS // int(manifest["params"]["vector_size"]))
    batches = list(_first_rows(output, manifest, ["word", "count"], most))
    words = pa.chunked_array([batch["word"] for batch in batches], pa.string()).combine_chunks()
    counts = pa.chunked_array([batch["count"] for batch in batches], pa.int64())
    return FrequentWords(words, None if counts.null_count else counts.to_numpy())


def words_to_ask(frequent: FrequentWords) -> list[int]:
    """Ids spread over frequency, by equal steps of its logarithm, from behind the function words to the rarer ones; of
    each the next word that is made of letters, and of more than a few.
    """
    rows = len(frequent)
    if not rows:
        return []
    wanted = np.unique(np.geomspace(max(1, rows / 500), max(1, rows / 4), ASKED).astype(int)) - 1
    chosen = list[int]()
    for start, stop in zip(wanted, [*wanted[1:], 2 * wanted[-1] + 1], strict=True):
        nearby = range(start, max(start + 1, min(stop, start + 50)))
        chosen.append(next((int(i) for i in nearby if _is_telling(frequent.words[int(i)].as_py())), int(start)))
    return chosen


def nearest_words(
    output: Place, manifest: Mapping[str, Any], frequent: FrequentWords, asked: Sequence[int]
) -> list[list[tuple[str, float]]]:
    """Of each id asked about the words with the highest cosines among `frequent`, as (word, cosine), best first."""
    if not asked:
        return []
    size, rows = int(manifest["params"]["vector_size"]), len(frequent)
    queries = unit(_rows_of(output, manifest, asked, size))
    cosines = np.empty((len(asked), rows), np.float32)
    for start, block in _blocks(output, manifest, rows, size):
        cosines[:, start : start + len(block)] = queries @ unit(block).T
    cosines[np.arange(len(asked)), asked] = -np.inf  # not itself
    best = np.argsort(-cosines, axis=1, kind="stable")[:, : min(SHOWN, rows - 1)]
    return [
        [(frequent.words[int(i)].as_py(), float(row[i])) for i in ids] for ids, row in zip(best, cosines, strict=True)
    ]


def _is_telling(word: str) -> bool:
    """Whether a word is likely to have a meaning of its own: two ideographs, or four letters."""
    return word.isalpha() and len(word.encode()) > 3


def _rows_of(output: Place, manifest: Mapping[str, Any], ids: Sequence[int], size: int) -> Floats:
    """The vectors of some ids, (ids, size)."""
    found, wanted = np.empty((len(ids), size), np.float32), np.asarray(ids)
    for start, block in _blocks(output, manifest, max(ids) + 1, size):
        here = (wanted >= start) & (wanted < start + len(block))
        found[here] = block[wanted[here] - start]
    return found


def _blocks(output: Place, manifest: Mapping[str, Any], rows: int, size: int) -> Iterator[tuple[int, Floats]]:
    """The first rows of the matrix, block by block, each with its first id."""
    start = 0
    for batch in _first_rows(output, manifest, ["vector"], rows):
        yield start, batch["vector"].flatten().to_numpy(zero_copy_only=False).reshape(len(batch), size)
        start += len(batch)


def _first_rows(output: Place, manifest: Mapping[str, Any], columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
    """Some columns of the first rows of OUT/vectors, whose files lie in the order of ids."""
    place = output.child(store.VECTORS)
    for entry in store.files_from_json(manifest["files"][store.VECTORS]):
        with store.opened(place, entry) as file:
            # not by threads, which would hold much of the file
            for batch in file.iter_batches(BLOCK_ROWS, columns=columns, use_threads=False):
                yield batch.slice(0, rows)
                rows -= len(batch)
                if rows <= 0:
                    return

"""Near spellings of a word that has no vector, quick for a big vocabulary and in any script."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

# beyond these a word is too rare to be what was meant, and the scan would be felt
MOST_WORDS = 1_000_000


def near_spellings(word: str, words: pa.StringArray, most: int = 3) -> list[str]:
    """At most so many of `words` (by id) that differ from `word` in case alone, or that a typing mistake or two turn
    into it: those first, then the nearest, then by id.

    A mistake is a letter added, left out, replaced, or swapped with its neighbour; one is allowed in a word of two to
    five letters, two in longer ones.
    """
    words = words.slice(0, MOST_WORDS)
    same = pc.and_not(pc.equal(pc.utf8_lower(words), pc.utf8_lower(word)), pc.equal(words, word))
    alike = words.filter(same).to_pylist()
    return [*alike, *(near for near in _mistaken(word, words, most) if near not in alike)][:most]


def _mistaken(word: str, words: pa.StringArray, most: int) -> list[str]:
    """Those of the words that a mistake or two turn into `word`, nearest first."""
    allowed = 0 if len(word) < 2 else 1 if len(word) < 6 else 2
    if not allowed:
        return []
    lengths = pc.utf8_length(words).to_numpy(zero_copy_only=False)
    ids = np.flatnonzero(np.abs(lengths - len(word)) <= allowed)
    if not len(ids):
        return []
    near = words.take(pa.array(ids))
    distance = _edit_distances(word, _letters(near, len(word) + allowed), lengths[ids])
    order = np.argsort(distance, kind="stable")[:most]
    return [near[int(i)].as_py() for i in order if distance[i] <= allowed]


def _letters(words: pa.StringArray, width: int) -> npt.NDArray[np.uint32]:
    """Code points of the words: (width, words) uint32, padded with zeros."""
    fixed = words.to_numpy(zero_copy_only=False).astype(f"U{width}")
    return np.ascontiguousarray(fixed.view(np.uint32).reshape(len(words), width).T)


def _edit_distances(
    word: str, letters: npt.NDArray[np.uint32], lengths: npt.NDArray[np.int32]
) -> npt.NDArray[np.int16]:
    """Distances (optimal string alignment) of one word from many, (words,) int16.

    The usual table of prefixes, row by row; each of its cells is an array over the words.
    """
    width, count = letters.shape
    before: list[npt.NDArray[np.int16]] = []
    row = [np.full(count, j, np.int16) for j in range(width + 1)]
    for i, letter in enumerate(map(ord, word), start=1):
        earlier, before, row = before, row, [np.full(count, i, np.int16)]
        for j in range(1, width + 1):
            replaced = before[j - 1] + (letters[j - 1] != letter)
            cell = np.minimum(np.minimum(before[j], row[j - 1]) + 1, replaced)
            if i > 1 and j > 1:
                swapped = (letters[j - 2] == letter) & (letters[j - 1] == ord(word[i - 2]))
                cell = np.where(swapped, np.minimum(cell, earlier[j - 2] + 1), cell)
            row.append(cell)
    return np.stack(row)[lengths, np.arange(count)]

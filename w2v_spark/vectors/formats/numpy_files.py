"""NAME.npy (words x numbers, float32 or float16), NAME.words.txt with a word a line, NAME.counts.npy (int64)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from w2v_spark.errors import FormatError, one_line
from w2v_spark.vectors.formats.words import read_words, unique
from w2v_spark.vectors.vectors import Vectors


def files(path: Path) -> list[Path]:
    """The files of one model, the one that names it first."""
    return [path, path.with_suffix(".words.txt"), path.with_suffix(".counts.npy")]


def unwritable(word: str) -> str | None:
    """Why a word has no place in this format."""
    return "a line end ends a word there" if "\n" in word or "\r" in word else None


def write(vectors: Vectors, handles: Sequence[IO[bytes]]) -> None:
    """Fill the handles of `files`."""
    np.save(handles[0], np.ascontiguousarray(vectors.vectors), allow_pickle=False)
    handles[1].write("".join(f"{word}\n" for word in vectors.index_to_key).encode())
    if vectors.counts is not None:
        np.save(handles[2], vectors.counts, allow_pickle=False)


def read(path: Path, limit: int | None = None, mmap: bool = False) -> Vectors:
    """Without NAME.counts.npy the counts are not known. `mmap` leaves the numbers on disk."""
    _, vocabulary, counted = files(path)
    vectors = _array(path, 2, "f", mmap, limit)
    words = read_words(vocabulary.read_bytes().removesuffix(b"\n").split(b"\n"), "strict", vocabulary)
    if words == [""] and not len(vectors):
        words = []
    if len(words) < len(vectors) or (limit is None and len(words) > len(vectors)):
        raise FormatError(
            f"{vocabulary} has {len(words)} words and {path} has {len(vectors)} rows: must be one for each"
        )
    counts = _array(counted, 1, "iu", False, limit).astype(np.int64) if counted.exists() else None
    if counts is not None and len(counts) != len(vectors):
        raise FormatError(
            f"{counted} has {len(counts)} counts and {path} has {len(vectors)} rows: must be one for each"
        )
    return unique(path, words[: len(vectors)], vectors, counts)


def _array(path: Path, dimensions: int, kinds: str, mmap: bool, limit: int | None) -> np.ndarray:
    """The first rows of an array of the kind expected, float16 and float32 as they are, other floats as float32."""
    with open(path, "rb") as stream:
        start = stream.read(12)
    # numpy makes room for a header of the length that the file says
    if (
        start.startswith(b"\x93NUMPY")
        and start[6:7] > b"\1"
        and int.from_bytes(start[8:], "little") > path.stat().st_size
    ):
        raise FormatError(f"{path} is no array that numpy can read without pickle: its header is cut off")
    try:
        # mapped first: a header that says more than the file holds is found before memory is asked for
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, MemoryError):
        raise
    except Exception as e:  # a damaged header may end in an error of any kind
        raise FormatError(f"{path} is no array that numpy can read without pickle: {one_line(e)[:300]}") from e
    if not isinstance(array, np.ndarray) or array.ndim != dimensions or array.dtype.kind not in kinds:
        found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else "an archive"
        raise FormatError(f"{path} must hold {'numbers, words x size' if dimensions == 2 else 'counts'}, got {found}")
    array = array[:limit] if mmap else np.array(array[:limit])
    return array if array.dtype.kind != "f" or array.dtype in ("<f2", "<f4") else array.astype(np.float32)

"""The text format of word2vec.c: `words numbers` on the first line, then a word and its numbers on each line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from w2v_spark.array_types import Floats
from w2v_spark.errors import FormatError
from w2v_spark.vectors.formats.files import check_size, lines_of, unpacked
from w2v_spark.vectors.formats.words import read_words, unique
from w2v_spark.vectors.metrics import Matrix
from w2v_spark.vectors.vectors import Vectors

SPACES = frozenset(" \t\n\r\v\f")  # what C's isspace knows; word2vec.c and split() cut there
BLOCK = 2048


def files(path: Path) -> list[Path]:
    """The files of one model, the one that names it first."""
    return [path]


def unwritable(word: str) -> str | None:
    """Why a word has no place in this format."""
    if not word:
        return "an empty word leaves nothing on its line"
    return "white space ends a word there" if SPACES.intersection(word) else None


def write(vectors: Vectors, handles: Sequence[IO[bytes]]) -> None:
    """Each number is the shortest decimal that gives the same float32 back."""
    handles[0].write(f"{len(vectors)} {vectors.vector_size}\n".encode())
    for start in range(0, len(vectors), BLOCK):
        words = pa.array(vectors.index_to_key[start : start + BLOCK], pa.string())
        handles[0].write(line_bytes(vectors.vectors[start : start + BLOCK], " ", words))


def read(path: Path, limit: int | None = None, unicode_errors: str = "strict") -> Vectors:
    """A first line of two integers is the header; without one (GloVe) the lines are counted first. Blank lines at the
    end are passed over. A word may hold spaces: the numbers are told from the end of the line.
    """
    with unpacked(path) as stream:
        lines = lines_of(path, stream)
        line = next(lines, b"")
        first = line.split()
        header = len(first) == 2 and all(field.isdigit() and len(field) < 100 for field in first)
        if not first:
            raise FormatError(f"{path} is empty: expected a line 'words numbers', or a word and its numbers")
        rows = int(first[0]) if header else max((n for n, line in enumerate(lines, 2) if not line.isspace()), default=1)
        size = int(first[1]) if header else len(first) - 1
    if size < 1:
        raise FormatError(f"{path}, line 1: expected 'words numbers', or a word and its numbers, got {first[0][:60]!r}")
    if not header:
        # running text has a first line, too, of which "too short" would say nothing
        _numbers(path, [(1, line)], size, [])
    check_size(path, rows, size, 2 * size)
    wanted = rows if limit is None else min(limit, rows)
    vectors, words = np.empty((wanted, size), np.float32), list[bytes]()
    with unpacked(path) as stream:
        lines = lines_of(path, stream)
        if header:
            next(lines)
        numbered = enumerate(islice(lines, wanted), start=2 if header else 1)
        while block := list(islice(numbered, BLOCK)):
            numbers = _numbers(path, block, size, words)
            vectors[len(words) - len(block) : len(words)] = numbers
        if len(words) < wanted:
            raise FormatError(f"{path} ends after {len(words)} vectors, its first line says {rows}")
        rest = next((line for line in lines if line.strip()), b"") if header and limit is None else b""
        if rest:
            raise FormatError(f"{path} holds more than the {rows} vectors that its first line says: {rest[:60]!r}")
    return unique(path, read_words(words, unicode_errors, path), vectors)


def _numbers(path: Path, lines: list[tuple[int, bytes]], size: int, words: list[bytes]) -> Floats:
    """The numbers of some lines, (lines, size) float32; their words are appended to `words`."""
    fields = list[bytes]()
    for number, line in lines:
        parts = line.rsplit(None, size)
        if len(parts) != size + 1:
            raise FormatError(f"{path}, line {number}: expected a word and {size} numbers, got {line[:60]!r}")
        words.append(parts[0])
        fields += parts[1:]
    try:
        column = pa.array(fields, pa.binary()).cast(pa.string()).cast(pa.float32())
    except pa.ArrowInvalid:
        bad = next((number, f) for number, line in lines for f in line.rsplit(None, size)[1:] if not _is_number(f))
        raise FormatError(
            f"{path}, line {bad[0]}: expected {size} numbers after the word, got {bad[1][:60]!r}"
        ) from None
    return column.to_numpy(zero_copy_only=False).reshape(len(lines), size)  # type: ignore[no-any-return]


def _is_number(field: bytes) -> bool:
    try:
        pa.array([field], pa.binary()).cast(pa.string()).cast(pa.float32())
    except pa.ArrowInvalid:
        return False
    return True


def line_bytes(rows: Matrix, separator: str, words: pa.StringArray | None = None) -> memoryview:
    """A line for each row, (rows, size): its word where there are words, and its numbers."""
    offsets = pa.array(np.arange(len(rows) + 1, dtype=np.int32) * rows.shape[1])
    numbers = pa.array(rows.astype(np.float32, copy=False).ravel()).cast(pa.string())
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, numbers), separator)
    parts = [joined] if words is None else [words, separator, joined]
    lines = pc.binary_join_element_wise(*parts, "\n", "")
    ends = np.frombuffer(lines.buffers()[1], np.int32)[lines.offset : lines.offset + len(lines) + 1]
    return memoryview(lines.buffers()[2])[int(ends[0]) : int(ends[-1])]


def number_lines(path: Path, size: int, limit: int | None = None) -> Iterator[Floats]:
    """Lines of `size` numbers and nothing else, in blocks of (lines, size) float32."""
    with open(path, "rb") as stream:
        lines = enumerate(islice(lines_of(path, stream), limit), start=1)
        while block := list(islice(lines, BLOCK)):
            yield _numbers(path, [(number, b"- " + line) for number, line in block], size, [])

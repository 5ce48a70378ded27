"""The binary format of word2vec.c: `words numbers` and a line end, then each word, a space, its numbers as
little-endian float32, and a line end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np

from w2v_spark.errors import FormatError
from w2v_spark.vectors.formats.files import check_size, unpacked
from w2v_spark.vectors.formats.word2vec_text import files as files
from w2v_spark.vectors.formats.word2vec_text import unwritable as unwritable
from w2v_spark.vectors.formats.words import read_words, unique
from w2v_spark.vectors.vectors import Vectors

CHUNK = 1 << 20
LONGEST_WORD = 1 << 20


def write(vectors: Vectors, handles: Sequence[IO[bytes]]) -> None:
    """Fill the handles of `files`."""
    handles[0].write(f"{len(vectors)} {vectors.vector_size}\n".encode())
    for start in range(0, len(vectors), 4096):
        words = vectors.index_to_key[start : start + 4096]
        rows = vectors.vectors[start : start + 4096].astype("<f4", copy=False)
        handles[0].write(
            b"".join(b"%b %b\n" % (word.encode(), row.tobytes()) for word, row in zip(words, rows, strict=True))
        )


def read(path: Path, limit: int | None = None, unicode_errors: str = "strict") -> Vectors:
    """Line ends after the vectors may be there or not: gensim writes none."""
    with unpacked(path) as stream:
        first = stream.readline(100).split()
        if len(first) != 2 or not all(field.isdigit() for field in first) or int(first[1]) < 1:
            raise FormatError(f"{path}: expected a first line 'words numbers', got {b' '.join(first)[:60]!r}")
        rows, size = map(int, first)
        check_size(path, rows, size, 4 * size + 1)
        wanted = rows if limit is None else min(limit, rows)
        vectors, words = np.empty((wanted, size), np.float32), list[bytes]()
        for word, row in _records(path, stream, wanted, size, whole=wanted == rows):
            vectors[len(words)] = row
            words.append(word)
    return unique(path, read_words(words, unicode_errors, path), vectors)


def _records(path: Path, stream: BinaryIO, rows: int, size: int, whole: bool) -> Iterator[tuple[bytes, np.ndarray]]:
    """Words and their numbers; `whole`: nothing but white space may follow them."""
    buffer, at, bytes_of_row = b"", 0, 4 * size
    for row in range(rows):
        while (space := buffer.find(b" ", at)) < 0 or len(buffer) - space - 1 < bytes_of_row:
            more = stream.read(CHUNK)
            if not more or len(buffer) - at > bytes_of_row + LONGEST_WORD:
                raise FormatError(f"{path} is cut or damaged after {row} vectors, its first line says {rows}")
            buffer, at = buffer[at:] + more, 0
        yield buffer[at:space].lstrip(b"\n"), np.frombuffer(buffer, "<f4", size, space + 1)
        at = space + 1 + bytes_of_row
    if whole and (buffer[at:] + stream.read(CHUNK)).strip():
        raise FormatError(f"{path} holds more than the {rows} vectors that its first line says")

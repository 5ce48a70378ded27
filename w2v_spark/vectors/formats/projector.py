"""TensorBoard's Embedding Projector: NAME.tsv with a line of numbers for each word, NAME.metadata.tsv.

With counts the words' file has two columns and, as the projector wants it then, a header; else one column and none.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from w2v_spark.errors import FormatError
from w2v_spark.vectors.formats.files import lines_of
from w2v_spark.vectors.formats.word2vec_text import BLOCK, line_bytes, number_lines
from w2v_spark.vectors.formats.words import LONGEST_COUNT, read_words, unique
from w2v_spark.vectors.vectors import Vectors

HEADER = b"word\tcount"


def files(path: Path) -> list[Path]:
    """The files of one model, the one that names it first."""
    return [path, path.with_suffix(".metadata.tsv")]


def unwritable(word: str) -> str | None:
    """Why a word has no place in this format."""
    if not word.strip():
        return "the projector passes over blank lines"
    return "tabs and line ends end a word there" if set("\t\n\r").intersection(word) else None


def write(vectors: Vectors, handles: Sequence[IO[bytes]]) -> None:
    """Fill the handles of `files`."""
    for start in range(0, len(vectors), BLOCK):
        joined = line_bytes(vectors.vectors[start : start + BLOCK], "\t")
        handles[0].write(joined)
    words = vectors.index_to_key
    if vectors.counts is None:
        handles[1].write("".join(f"{word}\n" for word in words).encode())
    else:
        pairs = zip(words, vectors.counts.tolist(), strict=True)
        handles[1].write(HEADER + b"\n" + "".join(f"{word}\t{count}\n" for word, count in pairs).encode())


def read(path: Path, limit: int | None = None, unicode_errors: str = "strict") -> Vectors:
    """The words are the first column; a header is there where there are several columns; counts are read from the
    column `count`.
    """
    vocabulary = files(path)[1]
    lines = vocabulary.read_bytes().removesuffix(b"\n").split(b"\n")
    columns = lines[0].split(b"\t")
    rows = [line.rstrip(b"\r").split(b"\t") for line in (lines[1:] if len(columns) > 1 else lines) if line.strip()]
    short = next((number for number, row in enumerate(rows, start=2) if len(row) < len(columns)), None)
    if short is not None:
        raise FormatError(f"{vocabulary}, line {short}: expected {len(columns)} columns, as in the header")
    words = read_words([row[0] for row in rows[:limit]], unicode_errors, vocabulary)
    counts = None
    if b"count" in columns[1:]:
        found = [row[columns.index(b"count")] for row in rows[:limit]]
        odd = next((field for field in found if not (field.isdigit() and len(field) <= LONGEST_COUNT)), None)
        if odd is not None:
            raise FormatError(f"{vocabulary}: a count is not an integer: {odd[:60]!r}")
        counts = np.array(list(map(int, found)), np.int64)
    with open(path, "rb") as stream:
        size = len(next(lines_of(path, stream), b"").split())
    if len(words) * size * 2 > path.stat().st_size + 1:
        raise _unequal(vocabulary, len(words), path)
    vectors = np.empty((len(words), size), np.float32)
    at = 0
    for block in number_lines(path, size, None if limit is None else len(words)):
        if at + len(block) > len(words):
            break
        vectors[at : at + len(block)] = block
        at += len(block)
    else:
        if at == len(words):
            return unique(path, words, vectors, counts)
    raise _unequal(vocabulary, len(words), path)


def _unequal(vocabulary: Path, words: int, path: Path) -> FormatError:
    return FormatError(f"{vocabulary} has {words} words and {path} has another number of lines: must be one for each")

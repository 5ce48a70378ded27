"""What gensim loads with its counts: word2vec's binary, and FILE.vocab with `word count` on each line.

KeyedVectors.load_word2vec_format(FILE, fvocab=FILE + ".vocab", binary=True). gensim's own save and load are pickle,
which runs code when it is read, so it is neither written nor read here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from w2v_spark.errors import FormatError
from w2v_spark.vectors.formats import word2vec_binary
from w2v_spark.vectors.formats.words import LONGEST_COUNT, read_words, shortened
from w2v_spark.vectors.vectors import Vectors


def files(path: Path) -> list[Path]:
    """The files of one model, the one that names it first."""
    return [path, path.with_name(f"{path.name}.vocab")]


def unwritable(word: str) -> str | None:
    """Why a word has no place in this format: gensim cuts the lines of the counts at any of Unicode's spaces."""
    if not word:
        return "an empty word leaves nothing on its line"
    return "white space ends a word there" if any(map(str.isspace, word)) else None


def write(vectors: Vectors, handles: Sequence[IO[bytes]]) -> None:
    """Fill the handles of `files`."""
    word2vec_binary.write(vectors, handles)
    if vectors.counts is not None:
        pairs = zip(vectors.index_to_key, vectors.counts.tolist(), strict=True)
        handles[1].write("".join(f"{word} {count}\n" for word, count in pairs).encode())


def read(path: Path, limit: int | None = None, unicode_errors: str = "strict") -> Vectors:
    """Where FILE.vocab is missing the counts are not known."""
    found = word2vec_binary.read(path, limit, unicode_errors)
    vocabulary = files(path)[1]
    if not vocabulary.exists():
        return found
    counts = dict[str, int]()
    for number, line in enumerate(vocabulary.read_bytes().split(b"\n"), start=1):
        word, _, count = line.rstrip().rpartition(b" ")
        if line.strip() and not (count.isdigit() and len(count) <= LONGEST_COUNT):
            raise FormatError(f"{vocabulary}, line {number}: expected 'word count', got {line[:60]!r}")
        if line.strip():
            counts[read_words([word], unicode_errors, vocabulary)[0]] = int(count)
    missing = next((word for word in found.index_to_key if word not in counts), None)
    if missing is not None:
        raise FormatError(
            f"{vocabulary} has no count for {shortened(missing)}: give the file that was written with {path.name}"
        )
    known = np.array([counts[word] for word in found.index_to_key], np.int64)
    return Vectors(found.index_to_key, found.vectors, known)

"""Words on their way into a file and out of one: refused, replaced, repeated."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from w2v_spark.errors import FormatError, InputError, ParamError
from w2v_spark.vectors.metrics import Matrix
from w2v_spark.vectors.vectors import Vectors

LONGEST_COUNT = 18  # digits that int64 holds whatever they are

logger = logging.getLogger("w2v_spark")


def written_words(
    words: Sequence[str], name: str, unwritable: Callable[[str], str | None], replacement: str | None
) -> Sequence[str]:
    """The words as a format holds them; InputError names the first that it cannot hold."""
    if replacement is not None:
        if re.search(r"\s", replacement):
            raise ParamError(f"what replaces white space must hold none, got {replacement!r}")
        changed = [re.sub(r"\s+", replacement, word) for word in words]
        first: dict[str, str] = {}
        for word, new in zip(words, changed, strict=True):
            if first.setdefault(new, word) != word:
                raise InputError(
                    f"words {first[new]!r} and {word!r} would both be written as {new!r}: replace by another"
                )
        words = changed
    for word in words:
        what = unwritable(word)
        if what is not None:
            hint = "; replace white space with --replace-spaces TEXT" if re.search(r"\s", word) else ""
            raise InputError(f"word {shortened(word)} cannot be written as {name}: {what}{hint}")
    return words


def shortened(word: str) -> str:
    """A word in quotes, cut where it is long."""
    return repr(word if len(word) <= 60 else word[:57] + "...")


def read_words(raw: Sequence[bytes], errors: str, path: Path) -> list[str]:
    """The words of a file; InputError names one that is not UTF-8."""
    words = []
    for number, word in enumerate(raw, start=1):
        try:
            words.append(word.decode("utf-8", errors))
        except UnicodeDecodeError as e:
            raise InputError(
                f"{path}: word {number}, {word[:60]!r}, is not UTF-8: give --unicode-errors replace or ignore"
            ) from e
    return words


def unique(
    path: Path, words: Sequence[str], vectors: Matrix, counts: np.ndarray | None = None, lowercase: bool = False
) -> Vectors:
    """Vectors of a file: of a repeated word the first, as in gensim; FormatError where a number is not finite; what is
    mapped is not looked at before the first query.
    """
    seen = dict[str, int]()
    for i, word in enumerate(words):
        seen.setdefault(word, i)
    if len(seen) < len(words):
        logger.warning("%s: %d words are there more than once, the first of each is kept", path, len(words) - len(seen))
        kept = np.fromiter(seen.values(), np.int64, len(seen))
        words, vectors, counts = list(seen), vectors[kept], None if counts is None else counts[kept]
    try:
        texts = pa.array(words, pa.string())
    except UnicodeEncodeError as e:
        raise InputError(f"{path}: a word holds half of a surrogate pair, {ascii(e.object)[:60]}: it is no text") from e
    for start in range(0, 0 if isinstance(vectors, np.memmap) else len(vectors), 4096):
        broken = np.flatnonzero(~np.isfinite(vectors[start : start + 4096]).all(axis=1))
        if len(broken):
            raise FormatError(f"{path}: the vector of {shortened(words[start + broken[0]])} is not finite")
    return Vectors(texts, vectors, counts, lowercase=lowercase)

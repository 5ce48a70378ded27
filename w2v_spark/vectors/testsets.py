"""Files that vectors are tested with: analogies, rated word pairs and odd ones out, read and checked line by line."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

from w2v_spark.errors import InputError

QUESTION = "expected four words 'A B C D' (A is to B as C is to D) or ': section'"
ODD = "expected three words or more, the last the one that does not belong, or ': section'"
PAIR = "expected two words and a number, separated by "

# the names of the sections, and of each question the number of its section and its four words
Questions = tuple[list[str], list[tuple[int, list[str]]]]
# word, word, rating
Pairs = list[tuple[str, str, float]]


def read_questions(path: str | os.PathLike[str]) -> Questions:
    """The names of the sections of an analogy file, and its questions as (number of the section, four words)."""
    names: list[str] = []
    questions = []
    for number, line in _lines(path, QUESTION):
        if line.startswith(":"):
            names.append(line.lstrip(": "))
            continue
        words = line.split()
        if not names:
            raise _malformed(path, number, line, "expected a line ': section' before the first question")
        if len(words) != 4:
            raise _malformed(path, number, line, QUESTION)
        questions.append((len(names) - 1, words))
    if not questions:
        raise InputError(f"{os.fspath(path)} holds no questions: {QUESTION} on each line")
    return names, questions


def read_odd_ones(path: str | os.PathLike[str]) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The names of the sections of a file of odd ones out, and its lines as (number of the section, words); lines
    before the first section make one without a name.
    """
    names: list[str] = []
    found = []
    for number, line in _lines(path, ODD):
        if line.startswith(":"):
            names.append(line.lstrip(": "))
            continue
        words = line.split()
        if len(words) < 3:
            raise _malformed(path, number, line, ODD)
        if not names:
            names.append("")
        found.append((len(names) - 1, words))
    if not found:
        raise InputError(f"{os.fspath(path)} holds no words to choose from: {ODD} on each line")
    return names, found


def read_pairs(path: str | os.PathLike[str], delimiter: str | None = None) -> Pairs:
    """The rated pairs of a file: word, word, rating; where no delimiter is given each line tells its own."""
    expected = PAIR + ("tabs, commas or spaces" if delimiter is None else repr(delimiter))
    pairs: Pairs = []
    header = True
    for number, line in _lines(path, expected):
        if line.startswith("#"):
            continue
        told = "\t" if "\t" in line else "," if "," in line else None
        fields = [field.strip() for field in line.split(told if delimiter is None else delimiter)]
        rating = _number(fields[-1])
        if len(fields) == 3 and all(fields) and rating is not None:
            pairs.append((fields[0], fields[1], rating))
        elif not (header and len(fields) >= 3 and rating is None):
            raise _malformed(path, number, line, expected)
        header = False
    if not pairs:
        raise InputError(f"{os.fspath(path)} holds no word pairs: {expected} on each line")
    return pairs


def _lines(path: str | os.PathLike[str], expected: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, stripped, with their numbers from 1."""
    try:
        data = Path(path).read_bytes()
    except OSError as e:
        raise InputError(f"cannot read {os.fspath(path)}: {e.strerror or e}") from e
    for number, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        try:
            line = raw.decode("utf-8").strip()
        except UnicodeDecodeError as e:
            raise InputError(f"{os.fspath(path)}, line {number} is not UTF-8 text: {expected}") from e
        if line:
            yield number, line


def _number(text: str) -> float | None:
    """A finite number, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _malformed(path: str | os.PathLike[str], number: int, line: str, expected: str) -> InputError:
    shown = line if len(line) <= 60 else line[:57] + "..."
    return InputError(f"{os.fspath(path)}, line {number}: {expected}, got {shown!r}")

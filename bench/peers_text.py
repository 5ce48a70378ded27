"""The text that peers train on: the words that our tokeniser finds, a document a line, and what is in it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import job
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from w2v_spark.corpus.docstrings import python_sources, write_docstrings
from w2v_spark.corpus.tokens import flatten, make_tokenizer

# gensim takes no longer lines
LONGEST_LINE = 10_000
_LINES_AT_ONCE = 5_000
# partial counts are added up when there are so many
_MOST_PARTS = 200


@dataclass(frozen=True)
class Text:
    """The files that were given, the tokenised text made of them, and what is in it: words, lines, documents that were
    cut, the words that occur often enough, and how often they occur in all. The checksum is SHA-256 of the files'
    content, decompressed, in their order.
    """

    files: tuple[Path, ...]
    path: Path
    checksum: str
    words: int
    lines: int
    cut: int
    vocabulary: int
    known: int

    def about(self) -> dict[str, object]:
        """What must be the same for figures to be compared."""
        return {name: getattr(self, name) for name in ("checksum", "words", "lines", "cut", "vocabulary", "known")}


def input_or_docstrings(paths: Sequence[str] | None, scratch: Path) -> list[Path]:
    """The files of the input; without any, the docstrings of the demo corpus."""
    if paths is None:
        job.say("no --input: reading docstrings of Python packages ...")
        write_docstrings(scratch / "docstrings", python_sources())
    return job.input_files(paths or [str(scratch / "docstrings")])


def prepare(files: Sequence[Path], target: Path, min_count: int) -> Text:
    """Tokenise the files into one, and count."""
    job.say(f"tokenising {len(files)} files for the peers (not timed) ...")
    tokenize, digest = make_tokenizer("words", lowercase=True), hashlib.sha256()
    words = lines = cut = 0
    counts = list[pa.Table]()
    with target.open("w", encoding="utf-8") as out:
        for file in files:
            with pa.input_stream(str(file), compression="detect") as stream:
                summed = io.BufferedReader(_Summed(stream, digest))
                text = io.TextIOWrapper(summed, encoding="utf-8", errors="replace")
                while block := [line.rstrip("\n") for line in islice(text, _LINES_AT_ONCE)]:
                    flat, lengths = flatten(tokenize(pa.array(block)))
                    pieces = cut_long(lengths)
                    out.write(_joined(flat, pieces))
                    words, lines = words + len(flat), lines + len(pieces)
                    cut += int((lengths > LONGEST_LINE).sum())
                    counts.append(pa.table([*pc.value_counts(flat).flatten()], ["word", "count"]))
                    counts = [_added_up(counts)] if len(counts) > _MOST_PARTS else counts
    all = _added_up(counts)["count"].to_numpy()
    often = all[all >= min_count]
    return Text(tuple(files), target, digest.hexdigest(), words, lines, cut, len(often), int(often.sum()))


class _Summed(io.RawIOBase):
    """A stream whose bytes go into a checksum as they are read."""

    def __init__(self, stream: pa.NativeFile, digest: hashlib._Hash):
        self._stream, self._digest = stream, digest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        self._digest.update(data)
        buffer[: len(data)] = data
        return len(data)


def _added_up(counts: Sequence[pa.Table]) -> pa.Table:
    if not counts:
        return pa.table({"word": pa.array([], pa.string()), "count": pa.array([], pa.int64())})
    return pa.concat_tables(counts).group_by("word").aggregate([("count", "sum")]).rename_columns(["word", "count"])


def cut_long(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Lengths of the lines for documents of these lengths: none for an empty one, several for a long one."""
    if lengths.max(initial=0) <= LONGEST_LINE:
        return lengths[lengths > 0]
    step = LONGEST_LINE
    return np.array([min(step, n - at) for n in lengths.tolist() for at in range(0, n, step)], np.int64)


def _joined(flat: pa.Array, lengths: npt.NDArray[np.int64]) -> str:
    """Lines of so many words each."""
    if not len(lengths):
        return ""
    offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))), pa.int32())
    return "\n".join(pc.binary_join(pa.ListArray.from_arrays(offsets, flat), " ").to_pylist()) + "\n"

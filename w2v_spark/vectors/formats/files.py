"""Files that appear whole or not at all, and streams that unpack what ends in .gz."""

from __future__ import annotations

import gzip
import os
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, cast

from w2v_spark.errors import FormatError, InputError, OutputError

# no line of vectors is longer: 100,000 numbers and a word
LONGEST_LINE = 4 << 20
# what deflate makes of one byte at most: runs of 258 bytes in two bits each
_MOST_UNPACKED = 1032
_LONGEST_VECTOR = 1 << 24


@contextmanager
def fresh_files(paths: Sequence[Path], refused: Sequence[Path]) -> Iterator[list[IO[bytes]]]:
    """Handles to write new files through; all get their names at the end, the first last. OutputError where one of
    `refused` is there already; on an error nothing is left.
    """
    for path in refused:
        if path.exists():
            raise OutputError(f"output {path} is there already: give another name, or remove it first")
    temporary = [path.with_name(f".{path.name}.{uuid.uuid4().hex}") for path in paths]
    try:
        with ExitStack() as stack:
            try:
                handles: list[IO[bytes]] = [stack.enter_context(open(path, "xb")) for path in temporary]
            except OSError as e:
                raise OutputError(f"output {paths[0]} cannot be written: {e.strerror or e}") from e
            yield handles
        for written, path in reversed(list(zip(temporary, paths, strict=True))):
            os.replace(written, path)
    finally:
        for path in temporary:
            path.unlink(missing_ok=True)


def refuse_pickle(path: Path) -> None:
    """InputError where a file begins as pickles do, which a file of word2vec does not, whatever its name is."""
    # what cannot be read is told where the rest of it is read
    with suppress(OSError), open(path, "rb") as file:
        if file.read(2) in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
            raise pickled(path)


def pickled(path: Path) -> InputError:
    """What is said of a pickle."""
    loaded = f"Word2Vec.load({path.name!r}).wv" if path.suffix == ".model" else f"KeyedVectors.load({path.name!r})"
    return InputError(
        f"{path} is a pickle of gensim, which runs code when it is read: in gensim, write it anew with "
        f"{loaded}.save_word2vec_format('{path.stem}.bin', binary=True)"
    )


@contextmanager
def unpacked(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, unpacked where its name ends in .gz."""
    refuse_pickle(path)
    with open(path, "rb") as raw:
        if not path.name.endswith(".gz"):
            yield raw
            return
        try:
            with gzip.GzipFile(fileobj=raw) as stream:
                yield cast(BinaryIO, stream)
        except (EOFError, zlib.error) as e:
            raise FormatError(f"{path} is cut off or damaged: {e}") from e


def most_bytes(path: Path) -> int:
    """So many bytes `unpacked` can give at most: what a file says of its size is held against it."""
    return path.stat().st_size * (_MOST_UNPACKED if path.name.endswith(".gz") else 1)


def lines_of(path: Path, stream: IO[bytes]) -> Iterator[bytes]:
    """The lines of a stream, FormatError for one so long that it is no vector: it may not fit in memory."""
    while line := stream.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise FormatError(f"{path} is no text of vectors: it has a line of more than {LONGEST_LINE:,} bytes")
        yield line


def check_size(path: Path, rows: int, size: int, bytes_of_row: int) -> None:
    """FormatError where a first line says more than the file can hold, before memory is asked for."""
    if rows * bytes_of_row > most_bytes(path) or size > _LONGEST_VECTOR:
        said = f"{_shown(rows)} vectors of {_shown(size)} numbers"
        raise FormatError(f"{path} is too short for the {said} that its first line says")


def _shown(number: int) -> str:
    return str(number) if number < 10**18 else f"{number:.0e}" if number < 10**300 else "too many"

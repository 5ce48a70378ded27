"""Files that appear whole or not at all, and streams that unpack what ends in .gz."""

from __future__ import annotations

import gzip
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from w2v_spark.errors import OutputError


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


@contextmanager
def unpacked(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, unpacked where its name ends in .gz."""
    with open(path, "rb") as raw:
        yield cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if path.name.endswith(".gz") else raw

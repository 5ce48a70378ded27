"""Files that pictures and pages are written to, looked at before any work is done for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from w2v_spark.errors import OutputError, ParamError


def file_to_write(option: str, name: str, endings: Sequence[str]) -> Path:
    """The path that an option names; ParamError where it has none of the endings, OutputError where its folder is
    missing. A file that is there will be replaced: the endings see to it that it is no text or model.
    """
    path = Path(name)
    if path.suffix.lower() not in endings:
        raise ParamError(f"{option} must end in {' or '.join(endings)}, got {name!r}")
    if not path.parent.is_dir():
        raise OutputError(f"cannot write {name}: there is no folder {path.parent}")
    if path.is_dir():
        raise OutputError(f"cannot write {name}: it is a folder")
    return path


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Writes to the path; OutputError where that fails."""
    try:
        yield
    except OSError as e:
        raise OutputError(f"cannot write {path}: {e.strerror or e}") from e

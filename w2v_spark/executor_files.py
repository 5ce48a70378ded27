"""Files for the Python workers of an executor: made by the first that needs them, then mapped by all."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

_Mapped = TypeVar("_Mapped")


def executor_folder(kind: str) -> Path:
    """Where files of a kind lie: in the executor's own directory, which Spark removes when the executor ends."""
    return Path(os.environ["SPARK_LOCAL_DIRS"].split(",")[0], "w2v_spark", kind)


def kept_on_executor(
    kind: str, content: str, make: Callable[[Path], object], map_files: Callable[[Path], _Mapped], most: int
) -> _Mapped:
    """What `map_files(folder)` gives of a folder that `make(folder)` has filled, made once for all that ask for the
    same content at any time. So many of a kind stay on the disk, those asked for last; who has files of another one
    mapped keeps what it has.
    """
    import fcntl  # Windows has none, and may be where a Spark Connect client runs

    parent = executor_folder(kind)
    folder, draft = parent / hashlib.sha256(content.encode()).hexdigest()[:32], parent / "draft"
    parent.mkdir(parents=True, exist_ok=True)
    with open(parent / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            shutil.rmtree(draft, ignore_errors=True)  # of a worker that was killed
            draft.mkdir()
            try:
                make(draft)
                os.rename(draft, folder)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        os.utime(folder)
        _remove_oldest(parent, most)
        # under the lock: another worker may remove the folder as soon as it is released
        return map_files(folder)


def _remove_oldest(parent: Path, most: int) -> None:
    folders = sorted((path for path in parent.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for path in folders[:-most]:
        shutil.rmtree(path)

"""Vectors for the Python workers of an executor: read from Parquet by the first of them, then mapped by all."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
from pathlib import Path

from w2v_spark import store
from w2v_spark.vectors.formats import write_file
from w2v_spark.vectors.vectors import Vectors

# models that an executor keeps on its disk, and a worker in its memory
_KEPT_ON_DISK, _KEPT_OPEN = 4, 2


def open_on_worker(directory: str) -> Vectors:
    """The vectors of a model, in a Python worker of Spark. All workers of the executor share the pages of one file."""
    model = store.open_model(directory)
    # Spark gives the files of each run names of their own
    content = json.dumps([directory, model.manifest["files"][store.VECTORS]])
    return _mapped(directory, hashlib.sha256(content.encode()).hexdigest()[:32])


@functools.lru_cache(_KEPT_OPEN)
def _mapped(directory: str, key: str) -> Vectors:
    import fcntl  # Windows has none, and may be where a Spark Connect client runs

    # the executor's own directory, which Spark removes when the executor ends
    folder = Path(os.environ["SPARK_LOCAL_DIRS"].split(",")[0], "w2v_spark")
    path = folder / key / "vectors.safetensors"
    folder.mkdir(exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            write_file(Vectors.open(directory), path, "safetensors")
            _remove_oldest(folder)
        return Vectors.open(path, mmap=True)


def _remove_oldest(folder: Path) -> None:
    """Keep the models written last. A worker that has one of the others mapped keeps what it has."""
    models = sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for path in models[:-_KEPT_ON_DISK]:
        shutil.rmtree(path)

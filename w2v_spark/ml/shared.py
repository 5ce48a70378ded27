"""Vectors for the Python workers of an executor: read from Parquet by the first of them, then mapped by all."""

from __future__ import annotations

import functools
import json

from w2v_spark import store
from w2v_spark.executor_files import kept_on_executor
from w2v_spark.vectors.formats import write_file
from w2v_spark.vectors.vectors import Vectors

# models that an executor keeps on its disk, and a worker in its memory
_KEPT_ON_DISK, _KEPT_OPEN = 4, 2
_FILE = "vectors.safetensors"


def open_on_worker(directory: str) -> Vectors:
    """The vectors of a model, in a Python worker of Spark. All workers of the executor share the pages of one file."""
    model = store.open_model(directory)
    # the files of each model have names of their own
    return _mapped(directory, json.dumps([directory, model.manifest["files"][store.VECTORS]]))


@functools.lru_cache(_KEPT_OPEN)
def _mapped(directory: str, content: str) -> Vectors:
    return kept_on_executor(
        "vectors",
        content,
        lambda folder: write_file(Vectors.open(directory), folder / _FILE, "safetensors"),
        lambda folder: Vectors.open(folder / _FILE, mmap=True),
        _KEPT_ON_DISK,
    )

"""An approximate index over the vectors (HNSW, by usearch): a question costs a walk through a graph, not all words.

Below a few hundred thousand words the exact search of `Vectors` is fast enough, and never wrong.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from w2v_spark.array_types import Floats
from w2v_spark.errors import FormatError, InputError, MissingExtraError, OutputError, ParamError, one_line
from w2v_spark.vectors.metrics import Matrix
from w2v_spark.vectors.vectors import Neighbours, Vectors

METRICS = {"cosine": "cos", "dot": "ip", "euclidean": "l2sq"}
DTYPES = {"float32": "f32", "float16": "f16", "int8": "i8"}


class Index:
    """An index of the words of `vectors`. As `indexer` it answers `most_similar`, as gensim's indexers do."""

    def __init__(self, vectors: Vectors, index: Any, metric: str):
        self.vectors, self.index, self.metric = vectors, index, metric

    @classmethod
    def build(
        cls,
        vectors: Vectors,
        metric: str = "cosine",
        *,
        dtype: str = "float32",
        connectivity: int = 16,
        expansion_add: int = 128,
        expansion_search: int = 64,
        threads: int = 0,
    ) -> Self:
        """An index of all words. Higher connectivity and expansion cost time and memory and find more of the true
        neighbours; dtype is what the index keeps of each number; threads 0 are all cores, 1 builds the same index
        each time: several that add at once may each miss what another has not added yet.
        """
        made = _usearch_index(vectors, metric, dtype, connectivity, expansion_add, expansion_search)
        if not len(vectors):
            raise ParamError("an index needs at least one word, got none")
        _ = vectors.norms  # not finite: said now
        made.add(np.arange(len(vectors)), np.ascontiguousarray(vectors.vectors), threads=threads)
        return cls(vectors, made, metric)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index to a new file. It holds vectors' numbers and ids, not the words."""
        if Path(path).exists():
            raise OutputError(f"output {os.fspath(path)} is there already: give another name, or remove it first")
        temporary = Path(path).with_name(f".{Path(path).name}.part")
        try:
            self.index.save(str(temporary))
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], vectors: Vectors, metric: str = "cosine", *, mmap: bool = False
    ) -> Self:
        """An index that `save` wrote, of the same vectors and metric; `mmap` leaves it on disk."""
        made, name = _usearch_index(vectors, metric), os.fspath(path)
        if not Path(path).is_file():
            raise InputError(f"cannot read {name}: there is no such file")
        try:
            about = made.metadata(name)
            found = (about["count_present"], about["dimensions"], about["kind_metric"])
            expected = (*vectors.vectors.shape, made.metric_kind)
            if found == expected:
                (made.view if mmap else made.load)(name)
        except Exception as e:  # usearch raises what it likes
            raise FormatError(f"{name} is no index of usearch: {one_line(e)}") from e
        if found != expected:
            raise FormatError(
                f"{name} is an index of {found[0]} vectors of {found[1]} numbers by {found[2].name}, not of these "
                f"{expected[0]} of {expected[1]} by {expected[2].name}: give what it was built with"
            )
        return cls(vectors, made, metric)

    def search(self, queries: Matrix, k: int) -> tuple[npt.NDArray[np.int64], Floats]:
        """Ids and the metric's values of the k words nearest to each query, by and large: (n, size) -> (n, k), best
        first.
        """
        k = min(k, len(self.vectors))
        found = self.index.search(np.atleast_2d(queries).astype(np.float32, copy=False), k)
        keys = np.asarray(found.keys).reshape(-1, k).astype(np.int64)
        distances = np.asarray(found.distances, np.float32).reshape(-1, k)
        if self.metric == "euclidean":
            return keys, np.sqrt(np.maximum(distances, 0))
        return keys, 1 - distances

    def most_similar(self, vector: Matrix, num_neighbors: int) -> Neighbours:
        """The words nearest to a vector, as (word, value), best first; a word's own vector finds the word."""
        ids, values = self.search(np.asarray(vector)[None], num_neighbors)
        words = self.vectors.index_to_key
        return [(words[i], value) for i, value in zip(ids[0].tolist(), values[0].tolist(), strict=True)]


def _usearch_index(
    vectors: Vectors, metric: str, dtype: str = "float32", connectivity: int = 16, add: int = 128, search: int = 64
) -> Any:
    if metric not in METRICS:
        raise ParamError(f"metric of an index must be one of {', '.join(METRICS)}, got {metric!r}")
    if dtype not in DTYPES:
        raise ParamError(f"dtype of an index must be one of {', '.join(DTYPES)}, got {dtype!r}")
    if dtype == "int8" and metric != "cosine":
        raise ParamError(f"dtype int8 goes with cosine alone, whose numbers are at most 1: give float16 for {metric}")
    try:
        usearch = import_module("usearch.index")
    except ImportError as e:
        raise MissingExtraError("an approximate index", "ann") from e
    return usearch.Index(
        ndim=vectors.vector_size,
        metric=METRICS[metric],
        dtype=DTYPES[dtype],
        connectivity=connectivity,
        expansion_add=add,
        expansion_search=search,
    )

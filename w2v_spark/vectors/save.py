"""Writing vectors that came from elsewhere as a model: OUT/vocab and OUT/vectors in Parquet, and model.json last."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from w2v_spark import store
from w2v_spark.errors import OutputError
from w2v_spark.place import FileEntry, Place
from w2v_spark.vectors.vectors import Vectors

# 80 MB of vectors at 300 numbers: a reader skips and parallelises by row group
GROUP_ROWS = 65_536


def write_model(vectors: Vectors, address: str, about: dict[str, Any]) -> None:
    """Write a model to a new or empty directory, any that pyarrow opens; `about` goes into its manifest.

    Counts that are not known are nulls. Until model.json is there no reader takes the directory for a model; what a
    failed try left is removed.
    """
    place = Place.open(address)
    was_there = place.exists()
    if was_there and (place.filesystem.get_file_info(place.path).is_file or place.names()):
        raise OutputError(f"output {place.uri} is there already: give a new or empty directory")
    try:
        files: dict[str, list[FileEntry]] = {store.METRICS: []}
        for name, schema in ((store.VOCAB, store.VOCAB_SCHEMA), (store.VECTORS, store.VECTORS_SCHEMA)):
            child = place.child(name)
            child.make()
            _write(vectors, child, schema)
            files[name] = child.files()
        params = {"vector_size": vectors.vector_size, "lowercase": vectors.lowercase}
        place.write_json(store.MANIFEST, store.model_manifest(params, files, **about))
    except BaseException:
        for name in (store.VOCAB, store.VECTORS):
            place.delete(name)
        if not was_there:
            place.delete()
        raise


def _write(vectors: Vectors, place: Place, schema: pa.Schema) -> None:
    # a name of its own, as Spark's writers give: executors keep vectors by the names of their files
    path, options = place.file(f"part-00000-{uuid.uuid4()}.parquet"), {"compression": "zstd", "use_dictionary": False}
    with pq.ParquetWriter(path, schema, filesystem=place.filesystem, **options) as writer:
        for start in range(0, len(vectors), GROUP_ROWS):
            writer.write_table(_table(vectors, start, schema), row_group_size=GROUP_ROWS)


def _table(vectors: Vectors, start: int, schema: pa.Schema) -> pa.Table:
    """Some rows in our schema."""
    stop = min(start + GROUP_ROWS, len(vectors))
    counts = pa.nulls(stop - start, pa.int64()) if vectors.counts is None else pa.array(vectors.counts[start:stop])
    columns: dict[str, Any] = {
        "id": pa.array(np.arange(start, stop, dtype=np.int32)),
        "word": pa.array(vectors.index_to_key[start:stop], pa.string()),
        "count": counts,
    }
    if "vector" in schema.names:
        offsets = pa.array(np.arange(stop - start + 1, dtype=np.int32) * vectors.vector_size)
        numbers = vectors.vectors[start:stop].astype(np.float32, copy=False).ravel()
        columns["vector"] = pa.ListArray.from_arrays(offsets, pa.array(numbers))
    return pa.table(columns, schema=schema)

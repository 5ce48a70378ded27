"""The rows in which models and what replicas change in them travel and lie on disk: blocks of a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

SYN0, SYN1, ROUND_METRICS = "syn0", "syn1", "metrics"
MATRICES = (SYN0, SYN1)
BLOCK_SCHEMA = pa.schema(
    [("matrix", pa.string()), ("block", pa.int32()), ("shard", pa.int32()), ("values", pa.binary())]
)
# what a replica sends: of a block only the rows that it changed, by how much in half precision, and how many words of
# each it trained
CHANGE_SCHEMA = pa.schema([*BLOCK_SCHEMA, ("rows", pa.binary()), ("counts", pa.binary())])
# the shard number of the model itself, which sorts before all replicas
BASE = -1
# with a JVM of 1 GB, larger blocks run out of memory in Spark's Parquet writer (4 MB) or reader (2 MB)
BLOCK_BYTES = 1 << 20
# of a model's files: a few blocks are read at once
ROW_GROUP_BYTES = 16 << 20


def rows_per_block(vector_size: int) -> int:
    """How many rows of a matrix travel together."""
    return BLOCK_BYTES // (4 * vector_size)


def block_count(words: int, vector_size: int) -> int:
    """How many blocks a matrix with a row for each word has."""
    return -(-words // rows_per_block(vector_size))


def block_batch(matrix: str, block: int, shard: int, values: Any) -> pa.RecordBatch:
    """One row of BLOCK_SCHEMA; `values` is anything with a buffer, and is not copied."""
    columns = [pa.array([matrix]), pa.array([block], pa.int32()), pa.array([shard], pa.int32()), _binary(values)]
    return pa.RecordBatch.from_arrays(columns, schema=BLOCK_SCHEMA)


def change_batch(
    matrix: str, block: int, shard: int, values: Any, rows: Any = None, counts: Any = None
) -> pa.RecordBatch:
    """One row of CHANGE_SCHEMA; without `rows` the values are those of all rows of the block, or metrics."""
    columns = block_batch(matrix, block, shard, values).columns
    return pa.RecordBatch.from_arrays([*columns, _binary(rows), _binary(counts)], schema=CHANGE_SCHEMA)


def _binary(values: Any) -> pa.Array:
    if values is None:
        return pa.nulls(1, pa.binary())
    data = pa.py_buffer(values)
    return pa.Array.from_buffers(pa.binary(), 1, [None, pa.py_buffer(np.array([0, data.size], np.int32)), data])

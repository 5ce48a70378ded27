"""Reading the vectors of a model into one matrix, batch by batch: no second copy of them is ever in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from w2v_spark import store
from w2v_spark.errors import FormatError, W2VError
from w2v_spark.place import FileEntry, Place
from w2v_spark.vectors.metrics import Matrix

# rows that are decoded together: 1 MB at 300 numbers
BATCH_ROWS = 1024


def read_model(
    model: store.Model, dtype: npt.DTypeLike = np.float32
) -> tuple[pa.StringArray, npt.NDArray[np.int64] | None, Matrix]:
    """Words, counts (None where one is unknown) and vectors (words, vector_size) of the dtype given, by id."""
    size, files = model.params["vector_size"], model.files(store.VECTORS)
    place = model.place.child(store.VECTORS)
    rows = _rows(place, files)
    for batch in islice(_batches(place, files), 1):
        _matrix(place, batch, size)  # memory is not asked for by what a manifest says alone
    try:
        vectors, seen = np.empty((rows, size), dtype), np.zeros(rows, bool)
    except (MemoryError, ValueError) as e:
        raise FormatError(
            f"{place.uri} holds more vectors than this machine's memory does: {rows:,} of {size} numbers"
        ) from e
    ids, words, counts, at = list[npt.NDArray[np.int32]](), [], [], 0
    for batch in _batches(place, files):
        ids.append(_ids(place, batch["id"], rows))
        words.append(batch["word"])
        counts.append(batch["count"])
        in_order = np.array_equal(ids[-1], np.arange(at, at + len(batch)))
        vectors[slice(at, at + len(batch)) if in_order else ids[-1]] = _matrix(place, batch, size)
        seen[ids[-1]] = True
        at += len(batch)
    pa.default_memory_pool().release_unused()  # what decoding took is given back before anyone asks for more
    if not seen.all():
        raise _damaged(place, f"the ids of {rows} words are not 0 to {rows - 1}, each once")
    word, count = pa.chunked_array(words, pa.string()), pa.chunked_array(counts, pa.int64())
    try:
        word.validate(full=True)
    except pa.ArrowInvalid as e:
        raise _damaged(place, f"a word is not UTF-8 ({e})") from e
    every = np.concatenate(ids) if ids else np.zeros(0, np.int32)
    if not (every[1:] > every[:-1]).all():
        order = np.argsort(every)
        word, count = word.take(order), count.take(order)
    return word.combine_chunks(), None if count.null_count else count.to_numpy(), vectors


def _rows(place: Place, files: list[FileEntry]) -> int:
    """How many rows the files hold, by reading their ids: over some damage in what a footer says of its columns pyarrow
    ends the process when it is asked for that.
    """
    rows = 0
    for entry in files:
        with _opened(place, entry) as file:
            rows += sum(map(len, file.iter_batches(BATCH_ROWS, columns=["id"], use_threads=False)))
    return rows


def _batches(place: Place, files: list[FileEntry]) -> Iterator[pa.RecordBatch]:
    for entry in files:
        with _opened(place, entry) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=store.VECTORS_SCHEMA.names, use_threads=False):
                yield batch.cast(store.VECTORS_SCHEMA)


@contextmanager
def _opened(place: Place, entry: FileEntry) -> Iterator[pq.ParquetFile]:
    """A file of vectors; what pyarrow says in errors of Python, against names that are no text or others than ours, is
    told like other damage.
    """
    try:
        with store.opened(place, entry) as file:
            yield file
    except W2VError:
        raise
    except ValueError as e:
        raise _damaged(place, f"{entry.name} does not hold the columns of vectors ({str(e)[:200]})") from e


def _ids(place: Place, column: pa.Array, rows: int) -> npt.NDArray[np.int32]:
    """The ids of a batch, within the matrix."""
    ids: npt.NDArray[np.int32] = column.fill_null(-1).to_numpy(zero_copy_only=False)
    if len(ids) and (ids.min() < 0 or ids.max() >= rows):
        raise _damaged(place, f"the ids of {rows} words are not 0 to {rows - 1}, each once")
    return ids


def _matrix(place: Place, batch: pa.RecordBatch, size: int) -> Matrix:
    """The vectors of a batch, (rows, size) float32."""
    column = batch["vector"]
    lengths = np.diff(column.offsets.to_numpy())
    if column.null_count or not (lengths == size).all():
        odd = np.flatnonzero((lengths != size) | ~column.is_valid().to_numpy(zero_copy_only=False))[0]
        raise _damaged(place, f"the vector of {batch['word'][int(odd)].as_py()!r} has not {size} numbers")
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(batch), size)  # type: ignore[no-any-return]


def _damaged(place: Place, what: str) -> FormatError:
    return FormatError(f"{place.uri} is damaged: {what}")

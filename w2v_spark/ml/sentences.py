"""Vectors of sentences: the mean of their words' vectors, computed where the sentences lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.ml.functions import array_to_vector
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.pandas import functions as udfs

from w2v_spark.ml.shared import open_on_worker
from w2v_spark.spark.tables import quoted
from w2v_spark.vectors.vectors import Vectors

Ints = npt.NDArray[np.int64]

MEANS_TYPE = "array<double>"
# their vectors are summed in one go: 8 MB at 256 numbers
_WORDS_AT_ONCE = 8192


def mean_vector_column(directory: str, column: str) -> Column:
    """A DenseVector for each array of words in the column; of null, null."""
    sentences = quoted(column)
    means = _by_arrow(directory) if hasattr(udfs, "arrow_udf") else _by_pandas(directory)
    return F.when(sentences.isNotNull(), array_to_vector(means(sentences)))


def mean_vectors(sentences: pa.ListArray, vectors: Vectors) -> pa.ListArray:
    """The mean vector of each list of words, float64: the sum of the vectors of its known words divided by the number
    of all its words, as in MLlib; zeros for an empty list, null for null.
    """
    lengths = pc.fill_null(pc.list_value_length(sentences), 0).to_numpy().astype(np.int64)
    words = sentences.flatten().dictionary_encode()
    known = vectors.key_to_index
    # a null word has code -1, which is the last of these
    ids = np.array([*(known.get(word, -1) for word in words.dictionary.to_pylist()), -1])
    word_ids = ids[words.indices.fill_null(-1).to_numpy()]
    owners = np.repeat(np.arange(len(lengths)), lengths)[word_ids >= 0]
    means = _sums_by_owner(vectors, word_ids[word_ids >= 0], owners, len(lengths))
    means /= np.maximum(lengths, 1)[:, None]
    offsets = pa.array(np.arange(len(means) + 1, dtype=np.int32) * vectors.vector_size)
    return pa.ListArray.from_arrays(offsets, pa.array(means.ravel()), mask=sentences.is_null())


def _sums_by_owner(vectors: Vectors, ids: Ints, owners: Ints, count: int) -> npt.NDArray[np.float64]:
    """(count, vector_size) float64: row i sums the vectors of the ids whose owner is i; owners ascend."""
    matrix, sums = np.asarray(vectors.vectors), np.zeros((count, vectors.vector_size))
    for start in range(0, len(ids), _WORDS_AT_ONCE):
        part = slice(start, start + _WORDS_AT_ONCE)
        firsts = np.flatnonzero(np.diff(owners[part], prepend=-1))
        sums[owners[part][firsts]] += np.add.reduceat(matrix[ids[part]], firsts, axis=0, dtype=np.float64)
    return sums


def _by_arrow(directory: str) -> Callable[[Column], Column]:
    def means(batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
        vectors = open_on_worker(directory)
        for sentences in batches:
            yield mean_vectors(sentences, vectors)

    function: Any = udfs.arrow_udf  # its hints know no iterators of arrays
    return function(means, MEANS_TYPE)


def _by_pandas(directory: str) -> Callable[[Column], Column]:
    """For Spark 4.0, which has no arrow_udf."""
    # workers of any other Spark may lack pandas
    from w2v_spark.ml.sentences_by_pandas import means_by_pandas

    return means_by_pandas(directory)

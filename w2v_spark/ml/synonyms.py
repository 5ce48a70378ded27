"""The words nearest to a vector, searched by the executors: nothing of the model reaches the driver but the answer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from w2v_spark.array_types import Floats
from w2v_spark.errors import UnknownWordError
from w2v_spark.vectors import search
from w2v_spark.vectors.metrics import Rows


def vector_of(model: DataFrame, word: str, words: int) -> Floats:
    """The vector of a word, (D,) float32, from the rows of a model; UnknownWordError where it has none."""
    found = model.where(F.col("word") == word).select("vector").head()
    if found is None:
        raise UnknownWordError(f"word {word!r} is not in the vocabulary of {words:,} words")
    return np.array(found[0], np.float32)


def nearest_words(model: DataFrame, query: Floats, num: int) -> DataFrame:
    """word, similarity: the num words with the highest cosine to the query (D,) float32, best first."""

    def nearest(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            vectors = batch["vector"].flatten().to_numpy().reshape(len(batch), len(query))
            rows, cosines = search.top_k(Rows.of(vectors), query[None], num)
            best = batch.take(pa.array(rows[0]))
            columns = [best["id"], best["word"], pa.array(cosines[0].astype(np.float64))]
            yield pa.RecordBatch.from_arrays(columns, names=["id", "word", "similarity"])

    found = model.select("id", "word", "vector").mapInArrow(nearest, "id int, word string, similarity double")
    return found.orderBy(F.desc("similarity"), "id").limit(num).select("word", "similarity")

"""Vectors of sentences in Spark 4.0, whose functions of columns take Arrow's data through pandas alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pyarrow as pa
from pyspark.sql import Column
from pyspark.sql.pandas.functions import pandas_udf

from w2v_spark.ml.sentences import MEANS_TYPE, mean_vectors
from w2v_spark.ml.shared import open_on_worker


def means_by_pandas(directory: str) -> Callable[[Column], Column]:
    """A function of a column of lists of words: `mean_vectors` by the vectors in a directory."""

    # Spark reads these hints, by the names of this module
    def means(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        vectors = open_on_worker(directory)
        for sentences in batches:
            found = mean_vectors(pa.array(sentences, pa.list_(pa.string())), vectors)
            yield pd.Series(found.to_numpy(zero_copy_only=False), index=sentences.index)

    function: Any = pandas_udf  # its hints know no iterators of series
    return function(means, MEANS_TYPE)

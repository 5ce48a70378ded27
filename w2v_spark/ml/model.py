"""`Word2VecModel`, what fitting gives: vectors of words on disk, opened by executors and, when asked for, here."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from pyspark.ml.base import Model
from pyspark.ml.functions import array_to_vector
from pyspark.ml.linalg import _convert_to_vector
from pyspark.ml.util import MLReadable, MLReader, MLWritable, MLWriter
from pyspark.sql import DataFrame, SparkSession

from w2v_spark.array_types import Floats
from w2v_spark.errors import ParamError
from w2v_spark.ml.columns import checked_columns
from w2v_spark.ml.files import read_vectors
from w2v_spark.ml.params import Word2VecParams
from w2v_spark.ml.sentences import mean_vector_column
from w2v_spark.ml.summary import Word2VecSummary
from w2v_spark.ml.synonyms import nearest_words, vector_of
from w2v_spark.spark.read import check_dataframe
from w2v_spark.vectors.given import checked_int
from w2v_spark.vectors.vectors import Vectors


class Word2VecModel(Model, Word2VecParams, MLReadable["Word2VecModel"], MLWritable):
    """Vectors of words, as a Transformer that gives each sentence the mean of its words' vectors.

    They lie in `directory`, which must stay as long as the model and the DataFrames it made are used; `save` copies it.
    """

    # saved pipelines name the class by it, wherever its file lies
    __module__ = "w2v_spark"

    def __init__(self, directory: str, summary: Word2VecSummary):
        super().__init__()
        self.directory, self._summary = directory, summary
        self._wv: Vectors | None = None

    def __repr__(self) -> str:
        size = self.getOrDefault("vectorSize")
        return f"Word2VecModel: uid={self.uid}, numWords={self._summary.words}, vectorSize={size}"

    def setInputCol(self, value: str) -> Self:
        """Set the column of words."""
        return self._set(inputCol=value)

    def setOutputCol(self, value: str) -> Self:
        """Set the column that `transform` adds."""
        return self._set(outputCol=value)

    # a property and not a cached_property, which Params would evaluate when it looks for Param attributes
    @property
    def wv(self) -> Vectors:
        """The vectors in the driver's memory, with gensim's methods; read when first asked for."""
        if self._wv is None:
            self._wv = Vectors.open(self.directory)
        return self._wv

    @property
    def summary(self) -> Word2VecSummary:
        """What training tells of itself; it is saved with the model."""
        return self._summary

    @property
    def hasSummary(self) -> bool:
        """Whether there is a summary: always."""
        return True

    def getVectors(self) -> DataFrame:
        """All words (string) and their vectors (DenseVector), the most frequent word first."""
        files = read_vectors(SparkSession.active(), self.directory).orderBy("id")
        return files.select("word", array_to_vector(files.vector).alias("vector"))

    def findSynonyms(self, word: Any, num: int) -> DataFrame:
        """word, similarity: the num words nearest to a word or vector by cosine, searched by the executors. A word is
        not among its own neighbours. UnknownWordError for a word that has no vector.
        """
        files = read_vectors(SparkSession.active(), self.directory)
        if not isinstance(word, str):
            return nearest_words(files, self._query(word), checked_int("num", num, least=1))
        query = vector_of(files, word, self._summary.words)
        return nearest_words(files.where(files.word != word), query, checked_int("num", num, least=1))

    def findSynonymsArray(self, word: Any, num: int) -> list[tuple[str, float]]:
        """A list of (word, similarity): as findSynonyms, but searched in the driver's memory, which holds the vectors
        from then on.
        """
        num = checked_int("num", num, least=1)
        if isinstance(word, str):
            return self.wv.similar_by_word(word, num)
        return self.wv.similar_by_vector(self._query(word), num)

    def write(self) -> MLWriter:
        """A writer that copies the vectors into what it saves."""
        from w2v_spark.ml.persistence import Word2VecModelWriter

        return Word2VecModelWriter(self)

    @classmethod
    def read(cls) -> MLReader[Word2VecModel]:
        """A reader of what `write` saved, and of the output of a training run."""
        from w2v_spark.ml.persistence import Word2VecModelReader

        return Word2VecModelReader()

    def _transform(self, dataset: DataFrame) -> DataFrame:
        check_dataframe(dataset, "transform")
        column, output = checked_columns(self, dataset.schema)
        size = {"ml_attr": {"num_attrs": self.getOrDefault("vectorSize")}}
        return dataset.select("*", mean_vector_column(self.directory, column).alias(output, metadata=size))

    def _query(self, vector: Any) -> Floats:
        """A vector of Spark or numpy, or a list of numbers, as (D,) float32."""
        query: Floats = _convert_to_vector(vector).toArray().astype(np.float32)
        size = self.getOrDefault("vectorSize")
        if query.shape != (size,) or not np.isfinite(query).all():
            raise ParamError(f"a vector of {len(query)} numbers was given: must be {size} finite numbers")
        return query

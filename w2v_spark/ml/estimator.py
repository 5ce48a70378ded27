"""`Word2Vec`, the pyspark.ml Estimator: a DataFrame of words in, a `Word2VecModel` out."""

from __future__ import annotations

from typing import Any, Self

from pyspark.ml.base import Estimator
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsReader, DefaultParamsWritable
from pyspark.sql import DataFrame

from w2v_spark.ml.columns import checked_columns
from w2v_spark.ml.model import Word2VecModel
from w2v_spark.ml.params import Word2VecParams, with_setters
from w2v_spark.ml.summary import Word2VecSummary
from w2v_spark.ml.workplace import fresh_directory
from w2v_spark.spark.fit import train
from w2v_spark.spark.read import check_dataframe
from w2v_spark.spark.session import require_classic


@with_setters("inputCol", "outputCol")
class Word2Vec(Estimator[Word2VecModel], Word2VecParams, DefaultParamsReadable["Word2Vec"], DefaultParamsWritable):
    """Trains vectors of the words in a column of array<string>; drop-in for pyspark.ml.feature.Word2Vec.

    Every parameter has a setter and a getter, `explainParams()` describes them, and docs/estimator.md tells what
    differs from pyspark. `fit` reads its DataFrame twice: persist one that costs much to compute.
    """

    # saved pipelines name the class by it, wherever its file lies
    __module__ = "w2v_spark"

    def __init__(self, *unnamed: Any, **values: Any):
        super().__init__()
        if unnamed:
            raise TypeError(
                f"Word2Vec was given a value of type {type(unnamed[0]).__name__} without a name: it takes parameters "
                "by name, Word2Vec(inputCol='words', vectorSize=100), and sentences by .fit(dataframe); "
                "w2v_spark.train(paths, output) trains on files"
            )
        self._set(**values)

    def setParams(self, **values: Any) -> Self:
        """Set several Params by name; None takes a value back."""
        return self._set(**values)

    @classmethod
    def read(cls) -> DefaultParamsReader[Self]:
        """A reader of what `write` saved."""
        from w2v_spark.ml.persistence import Word2VecReader

        return Word2VecReader(cls)

    def _fit(self, dataset: DataFrame) -> Word2VecModel:
        check_dataframe(dataset, "fit")
        spark = dataset.sparkSession
        require_classic(spark)
        column, _ = checked_columns(self, dataset.schema)
        params = self._training_params()
        with fresh_directory(spark, self.getOrDefault("workDir")) as directory:
            trained = train(dataset, directory, column=column, spark=spark, **params)
        model = Word2VecModel(trained.output, Word2VecSummary.of(trained))
        model._resetUid(self.uid)
        return self._copyValues(model)

"""Saving and loading a model: PATH/metadata as pyspark.ml writes it, PATH/data with the files of the trained model.

The output of a training run, which has no PATH/metadata, is loaded, too.
"""

from __future__ import annotations

from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.ml.util import DefaultParamsReader, DefaultParamsWriter, MLReader, MLWriter
from pyspark.sql import SparkSession

from w2v_spark import store
from w2v_spark.errors import FormatError, OutputError, W2VError
from w2v_spark.ml.copying import copy_model
from w2v_spark.ml.files import found_by
from w2v_spark.ml.model import Word2VecModel
from w2v_spark.ml.params import settings
from w2v_spark.ml.summary import Word2VecSummary
from w2v_spark.place import Place
from w2v_spark.spark.failures import job_failure
from w2v_spark.spark.session import is_connect, qualify

_DATA, _SUMMARY, _CLASS, _ESTIMATOR = "data", "summary", "w2v_spark.Word2VecModel", "w2v_spark.Word2Vec"


class Word2VecModelWriter(MLWriter):
    """Writes a model; its files are copied by the executors."""

    def __init__(self, model: Word2VecModel):
        super().__init__()
        self.model = model

    def save(self, path: str) -> None:
        """Write to a new directory or, after overwrite(), in place of what is there."""
        spark, own = self.sparkSession, self.model.directory
        address = _address(spark, path)
        if f"{own}/".startswith(f"{address.rstrip('/')}/"):
            if self._are_gone():
                raise OutputError(
                    f"{path} held the vectors of this very model, and a pipeline's overwrite() has deleted them before "
                    "it saved: a model that was loaded is saved to another directory than its own"
                )
            raise OutputError(f"{path} holds the vectors of this very model: save it to another directory")
        if is_connect(spark) and self.shouldOverwrite:
            raise W2VError(f"overwrite() cannot delete {path} over Spark Connect: delete it first, or save elsewhere")
        if not is_connect(spark) and not self.shouldOverwrite and Place.open(address).exists():
            raise OutputError(f"{path} is there already: give another path, or use write().overwrite().save(path)")
        super().save(address)

    def _are_gone(self) -> bool:
        """Whether the model's files have been deleted."""
        own = self.model.directory
        return found_by(self.sparkSession, lambda: not Place.open(own).exists(store.MANIFEST))

    def saveImpl(self, path: str) -> None:
        """Write the metadata, then the files, the manifest last."""
        spark, model = self.sparkSession, self.model
        extra = {_SUMMARY: model.summary.to_dict()}
        try:
            DefaultParamsWriter.saveMetadata(model, path, spark, extraMetadata=extra)
        except (PySparkException, Py4JJavaError) as e:
            raise OutputError(f"{path} cannot be written: {job_failure(e)}") from e
        copy_model(spark, model.directory, f"{path}/{_DATA}")


class Word2VecReader(DefaultParamsReader[Any]):
    """Reads what `Word2Vec.save` wrote."""

    def load(self, path: str) -> Any:
        """The estimator; FormatError where the directory holds something else."""
        spark = self.sparkSession
        address = _address(spark, path)
        if not found_by(spark, lambda: Place.open(address).exists("metadata")):
            raise FormatError(f"{path} holds no {_ESTIMATOR}; Word2VecModel.load reads what a training run wrote")
        _metadata_of(_ESTIMATOR, spark, address, path)
        return super().load(address)


class Word2VecModelReader(MLReader[Word2VecModel]):
    """Reads what `Word2VecModelWriter` or a training run wrote; the vectors stay there."""

    def load(self, path: str) -> Word2VecModel:
        """The model; FormatError where the directory holds something else."""
        spark = self.sparkSession
        address = _address(spark, path)

        def look() -> dict[str, Any] | None:
            if Place.open(address).exists("metadata"):
                return None
            output = store.open_model(address)
            return {"directory": output.place.uri, "params": dict(output.params)}

        found = found_by(spark, look)
        return self._saved(address, path) if found is None else self._trained(**found)

    def _trained(self, directory: str, params: dict[str, Any]) -> Word2VecModel:
        """The model of a training run, with the parameters that it was trained with."""
        model = Word2VecModel(directory, Word2VecSummary.of_directory(self.sparkSession, directory))
        return model._set(**{name: params.get(s.trains) for name, s in settings().items() if s.trains})

    def _saved(self, address: str, path: str) -> Word2VecModel:
        spark = self.sparkSession
        metadata = _metadata_of(_CLASS, spark, address, path)
        directory = f"{address}/{_DATA}"

        def look() -> None:
            if not Place.open(directory).exists(store.MANIFEST):
                raise FormatError(
                    f"{path} was not saved whole: it lacks {_DATA}/{store.MANIFEST}, which is written last; save the "
                    "model again"
                )
            store.open_model(directory)

        found_by(spark, look)
        model = Word2VecModel(directory, Word2VecSummary(directory, **metadata[_SUMMARY]))
        model._resetUid(metadata["uid"])
        DefaultParamsReader.getAndSetParams(model, metadata)
        return model


def _metadata_of(wanted: str, spark: SparkSession, address: str, path: str) -> dict[str, Any]:
    """What was saved with an object of this class; FormatError where it is of another."""
    metadata: dict[str, Any] = DefaultParamsReader.loadMetadata(address, spark)
    if metadata["class"] != wanted:
        raise FormatError(f"{path} holds a {metadata['class']}, not a {wanted}: load it with its own class")
    return metadata


def _address(spark: SparkSession, path: str) -> str:
    """The path as driver and executors understand it; Spark Connect cannot tell, and takes it as it is."""
    return path if is_connect(spark) else qualify(spark, path)

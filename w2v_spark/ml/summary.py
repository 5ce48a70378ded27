"""What a training run tells of itself, kept with the model."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from w2v_spark import store
from w2v_spark.errors import InputError
from w2v_spark.ml.files import read_metrics, read_vectors
from w2v_spark.training.history import last_loss, trained_rounds, words_per_second

if TYPE_CHECKING:
    from w2v_spark.spark.fit import Trained


@dataclass(frozen=True)
class Word2VecSummary:
    """Facts of a training run: `words` in the vocabulary, `totalCount` of their occurrences in the input, trained
    `wordsPerSecond`, and the last `loss`, of a pair with its negatives; None where it trained no pair. Of
    a model that was converted from another tool's file only the words are known, and perhaps their counts.
    """

    directory: str
    words: int
    totalCount: int | None
    wordsPerSecond: float | None
    loss: float | None

    @classmethod
    def of(cls, trained: Trained) -> Word2VecSummary:
        """The summary of a finished run."""
        vocabulary = store.open_model(trained.output).manifest["vocabulary"]
        sizes = vocabulary["words"], vocabulary["total_count"]
        return cls(trained.output, *sizes, trained.words_per_second, trained.loss)

    @classmethod
    def of_directory(cls, spark: SparkSession, directory: str) -> Self:
        """The summary of a model on disk."""
        counts = read_vectors(spark, directory).agg(F.count("id"), F.sum("count")).head()
        assert counts is not None
        words, total = counts
        try:
            rounds = trained_rounds(row.asDict() for row in read_metrics(spark, directory).collect())
        except InputError:  # it was converted
            return cls(directory, words, total, None, None)
        return cls(directory, words, total, words_per_second(rounds), last_loss(rounds))

    @property
    def rounds(self) -> DataFrame:
        """The metrics of training, a row for each round and replica, in order."""
        return read_metrics(SparkSession.active(), self.directory).orderBy("round", "shard")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the directory, which changes when the model is copied."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "directory"}

"""What a training run tells of itself, kept with the model."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame, SparkSession

from w2v_spark import store

if TYPE_CHECKING:
    from w2v_spark.spark.fit import Trained


@dataclass(frozen=True)
class Word2VecSummary:
    """Facts of a training run: `words` in the vocabulary, `totalCount` of their occurrences in the input, trained
    `wordsPerSecond`, and the `loss` of the last round, of a pair with its negatives; None where it trained no pair.
    """

    directory: str
    words: int
    totalCount: int
    wordsPerSecond: float
    loss: float | None

    @classmethod
    def of(cls, trained: Trained) -> Word2VecSummary:
        """The summary of a finished run."""
        vocabulary = store.open_model(trained.output).manifest["vocabulary"]
        loss = None if math.isnan(trained.loss) else trained.loss
        return cls(trained.output, vocabulary["words"], vocabulary["total_count"], trained.words_per_second, loss)

    @property
    def rounds(self) -> DataFrame:
        """The metrics of training, a row for each round and replica, in order."""
        metrics = SparkSession.active().read.parquet(f"{self.directory}/{store.METRICS}")
        return metrics.orderBy("round", "shard")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the directory, which changes when the model is copied."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "directory"}

"""w2v_spark: distributed word2vec on Apache Spark.

import w2v_spark
trained = w2v_spark.train("texts/*.gz", "out/texts", vector_size=300)
trained.wv.most_similar("king")

vectors = w2v_spark.Vectors.open("out/texts")      # later, anywhere, without Spark
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from w2v_spark.errors import W2VError
from w2v_spark.params import Params

if TYPE_CHECKING:
    from w2v_spark.spark.fit import train
    from w2v_spark.vectors.vectors import Vectors

__version__ = "0.1.0"
__all__ = ["Params", "Vectors", "W2VError", "train"]


def __getattr__(name: str) -> Any:
    """Load what needs Spark, or much of pyarrow, when it is first asked for."""
    if name == "train":
        from w2v_spark.spark.fit import train

        return train
    if name == "Vectors":
        from w2v_spark.vectors.vectors import Vectors

        return Vectors
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

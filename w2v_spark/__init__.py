"""w2v_spark: distributed word2vec on Apache Spark.

import w2v_spark
trained = w2v_spark.train("texts/*.gz", "out/texts", vector_size=300)
trained.wv.most_similar("king")

vectors = w2v_spark.Vectors.open("out/texts")      # later, anywhere, without Spark
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from w2v_spark.errors import W2VError
from w2v_spark.params import Params

if TYPE_CHECKING:
    from w2v_spark.ml.estimator import Word2Vec
    from w2v_spark.ml.model import Word2VecModel
    from w2v_spark.spark.fit import train
    from w2v_spark.spark.progress import show_progress
    from w2v_spark.spark.session import get_session
    from w2v_spark.vectors.vectors import Vectors

__version__ = "0.1.0"
__all__ = ["Params", "Vectors", "W2VError", "Word2Vec", "Word2VecModel", "get_session", "show_progress", "train"]


# what needs Spark, or much of pyarrow, is loaded when it is first asked for
_MODULES = {
    "Vectors": "w2v_spark.vectors.vectors",
    "Word2Vec": "w2v_spark.ml.estimator",
    "Word2VecModel": "w2v_spark.ml.model",
    "get_session": "w2v_spark.spark.session",
    "show_progress": "w2v_spark.spark.progress",
    "train": "w2v_spark.spark.fit",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})

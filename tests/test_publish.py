"""Which of a model's two matrices is published: the vectors of words as centres, those that predict them, or their
mean.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import w2v_spark
from w2v_spark import Params, Vectors
from w2v_spark.errors import ParamError
from w2v_spark.place import Place
from w2v_spark.workdir import Pointer

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SMALL: dict[str, Any] = {"vector_size": 12, "min_count": 2, "max_iter": 1, "threads_per_replica": 1}


def matrix(output: Path, name: str) -> np.ndarray:
    """A matrix of the last round, of a run that kept its work."""
    work = Place.open(output / "work")
    blocks = sorted(Pointer.read(work)[0].blocks(work, name))
    return np.concatenate([np.frombuffer(values, "<f4").reshape(-1, 12) for _, values in blocks])


def test_input_output_and_their_mean(spark: SparkSession, small_text: Path, tmp_path: Path) -> None:
    found = {}
    for which in ("input", "output", "mean"):
        trained = w2v_spark.train(small_text, tmp_path / which, vectors=which, keep_work=True, **SMALL)
        found[which] = np.asarray(trained.wv.vectors)
        assert Vectors.open(str(tmp_path / which)).index_to_key == Vectors.open(str(tmp_path / "input")).index_to_key
    syn0, syn1 = matrix(tmp_path / "mean", "syn0"), matrix(tmp_path / "mean", "syn1")
    np.testing.assert_array_equal(found["input"], syn0)
    np.testing.assert_array_equal(found["output"], syn1)
    np.testing.assert_array_equal(found["mean"], (syn0 + syn1) / 2)
    assert np.abs(syn1).max() > 0


def test_a_tree_has_no_vectors_of_words_to_put_out() -> None:
    for which in ("output", "mean"):
        with pytest.raises(ParamError, match=f"vectors given invalid value '{which}': must be input with loss"):
            Params(loss="hierarchical_softmax", vectors=which)
    assert Params(loss="hierarchical_softmax").vectors == "input"

"""Which of a model's two matrices is published: the vectors of words as centres, those that predict them, or their
mean.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from w2v_spark import Params
from w2v_spark.errors import ParamError
from w2v_spark.place import Place
from w2v_spark.spark import fit, publish
from w2v_spark.spark.read import Source
from w2v_spark.workdir.blocks import MATRICES
from w2v_spark.workdir.pointer import Pointer

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SMALL: dict[str, Any] = {"vector_size": 12, "min_count": 2, "max_iter": 1, "threads_per_replica": 1}


def test_input_output_and_their_mean(spark: SparkSession, small_text: Path, tmp_path: Path) -> None:
    with fit.prepare(Source(paths=(str(small_text),)), tmp_path / "out", vectors="mean", **SMALL) as run:
        published = np.asarray(run.train(keep_work=True).wv.vectors)
        syn0, syn1 = (last_matrix(run.run.work, name) for name in MATRICES)
        assert np.abs(syn1).max() > 0
        np.testing.assert_array_equal(published, (syn0 + syn1) / 2)
        for which, expected in (("input", syn0), ("output", syn1)):
            publish.write_vectors(spark, run.run, run.vocabulary, Pointer.read(run.run.work)[0], 12, which)
            rows = pq.read_table(f"{run.run.draft.path}/vectors").sort_by("id")["vector"].to_pylist()
            np.testing.assert_array_equal(np.array(rows, np.float32), expected)


def last_matrix(work: Place, name: str) -> np.ndarray:
    """A matrix of the last round."""
    blocks = sorted(Pointer.read(work)[0].blocks(work, name))
    return np.concatenate([np.frombuffer(values, "<f4").reshape(-1, 12) for _, values in blocks])


def test_a_tree_has_no_vectors_of_words_to_put_out() -> None:
    for which in ("output", "mean"):
        with pytest.raises(ParamError, match=f"vectors given invalid value '{which}': must be input with loss"):
            Params(loss="hierarchical_softmax", vectors=which)
    assert Params(loss="hierarchical_softmax").vectors == "input"

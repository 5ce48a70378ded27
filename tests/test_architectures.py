"""Every architecture and loss through the same job: what belongs together is found, and the replicas' bytes are those
of the simulation.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from encoded import EncodedRun
from simulate import simulate

import w2v_spark
from w2v_spark import store
from w2v_spark.errors import ParamError
from w2v_spark.vectors.load import read_model

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SMALL: dict[str, Any] = {"vector_size": 20, "min_count": 2, "sample": 0.0, "max_iter": 4, "threads_per_replica": 1}


@pytest.mark.parametrize("loss", ["negative_sampling", "hierarchical_softmax", "softmax"])
@pytest.mark.parametrize("architecture", ["skip_gram", "cbow"])
def test_every_pair_trains_on_two_replicas(
    spark: SparkSession, small_text: Path, tmp_path: Path, architecture: str, loss: str
) -> None:
    options = {**SMALL, "architecture": architecture, "loss": loss, "num_replicas": 2, "rounds_per_epoch": 1}
    trained = w2v_spark.train(small_text, tmp_path / "out", keep_work=True, **options)
    nearest = [word for word, _ in trained.wv.most_similar("sea3", topn=10)]
    # by chance a quarter would be
    assert sum(word.startswith("sea") for word in nearest) >= 5
    _, _, vectors = read_model(store.open_model(str(tmp_path / "out")))
    simulated = simulate(EncodedRun.open(str(tmp_path / "out")), trained.params)
    np.testing.assert_array_equal(np.stack(list(vectors)), simulated)


def test_the_sum_of_contexts_is_not_their_mean(spark: SparkSession, small_text: Path, tmp_path: Path) -> None:
    options = {**SMALL, "architecture": "cbow", "max_iter": 1}
    of = [w2v_spark.train(small_text, tmp_path / f"{mean}", **options, cbow_mean=mean) for mean in (True, False)]
    assert not np.array_equal(of[0].wv.vectors, of[1].wv.vectors)


def test_a_softmax_over_too_many_words_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n".join(f"word{i} word{i + 1}" for i in range(33_000)))
    with pytest.raises(ParamError, match=r"which 33,001 words make too slow: at most 32,768 are allowed; use loss"):
        w2v_spark.train(text, tmp_path / "out", loss="softmax", min_count=1)


def test_what_a_gpu_cannot_train_is_refused(spark: SparkSession, small_text: Path, tmp_path: Path) -> None:
    with pytest.raises(ParamError, match="device=cuda does not train loss softmax"):
        w2v_spark.train(small_text, tmp_path / "out", **SMALL, loss="softmax", device="cuda")

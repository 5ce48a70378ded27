"""Numbers at the ends of what is allowed: each run ends in finite vectors or in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import w2v_spark
from w2v_spark.errors import InputError
from w2v_spark.kernels.cpu import ARCHITECTURES, LOSSES, compile_kernel
from w2v_spark.kernels.outputs import Outputs
from w2v_spark.kernels.sizes import whole_vectors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SMALL: dict[str, Any] = {"vector_size": 4, "min_count": 1, "sample": 0.0, "max_iter": 1, "threads_per_replica": 1}
WORDS = 97  # three tiles and a word, which alone gets the last learning rate


def falls_below_zero() -> float:
    """A learning rate that a straight line to 0 takes below 0, by rounding, at the last of WORDS words."""
    for step in np.random.default_rng(1).uniform(0.01, 0.1, 1000):
        if step + (0.0 - step) / (WORDS - 1) * (WORDS - 1) < 0:
            return float(step)
    raise AssertionError("rounding takes no learning rate below 0")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("loss", LOSSES)
def test_the_last_learning_rate_is_never_negative(architecture: str, loss: str) -> None:
    counts, full = np.array([50, 30, 20]), np.full(3, 2**32 - 1, np.uint32)
    kernel = compile_kernel(architecture, loss, 4, 5)
    outputs = Outputs.of_counts(loss, counts)
    ids, offsets = np.resize([0, 1, 2, 1], WORDS).astype(np.int32), np.array([0, WORDS])

    def trained(words: int, step_to: float, start: float) -> list[np.ndarray]:
        random = np.random.default_rng(2)
        matrices = [np.zeros((3, whole_vectors(4)), np.float32) for _ in "01"]
        for matrix in matrices:
            matrix[:, :4] = random.normal(size=(3, 4))
        kernel(ids[:words], np.minimum(offsets, words), *matrices, full, outputs, start, step_to, 7)
        return matrices

    # what negative numbers say outright
    for matrix, untouched in zip(trained(WORDS, -1e-18, -1e-18), trained(0, 0.0, 0.0), strict=True):
        assert np.array_equal(matrix, untouched)
    # what rounding makes of zero: the last word alone trains by it, and must change nothing
    start = falls_below_zero()
    for matrix, other in zip(trained(WORDS, 0.0, start), trained(WORDS, 1e-12, start), strict=True):
        assert np.abs(matrix - other).max() < 1e-6


def train(text: str, folder: Path, **params: Any) -> w2v_spark.Vectors:
    """The vectors of a run on the text."""
    (folder / "text.txt").write_text(text)
    vectors = w2v_spark.train(folder / "text.txt", folder / "out", **{**SMALL, **params}).wv
    assert np.isfinite(vectors.vectors).all()
    return vectors


@pytest.mark.parametrize(
    ("architecture", "loss"),
    [("skip_gram", "negative_sampling"), pytest.param("cbow", "hierarchical_softmax", marks=pytest.mark.slow)],
)
def test_a_vocabulary_of_one_word(spark: SparkSession, tmp_path: Path, architecture: str, loss: str) -> None:
    vectors = train("same same same same\n" * 50, tmp_path, architecture=architecture, loss=loss)
    assert vectors.index_to_key == ["same"]


@pytest.mark.parametrize(
    "params",
    [
        {"negative": 32, "num_replicas": 5, "rounds_per_epoch": 2},
        pytest.param({"step_size": 1e-6, "min_step_size": 0.0, "max_iter": 2}, marks=pytest.mark.slow),
        {"sample": 1e-300},
    ],
    ids=["window, negatives and replicas", "step size", "nothing kept"],
)
def test_more_than_the_text_has(spark: SparkSession, tmp_path: Path, params: dict[str, Any]) -> None:
    """A window longer than the sentences, more negatives than words, more replicas than sentences, a subsampling that
    keeps nothing.
    """
    assert set(train("a b\nb a\n", tmp_path, **params).index_to_key) == {"a", "b"}


def test_steps_that_end_at_zero(spark: SparkSession, tmp_path: Path) -> None:
    """Repeated words, whose steps are damped by their size, up to the very last word."""
    vectors = train("to be or not to be\n" * 300, tmp_path, step_size=falls_below_zero(), min_step_size=0.0)
    assert np.abs(vectors.vectors).max() < 10


def test_one_document(spark: SparkSession, tmp_path: Path) -> None:
    assert sorted(train("one document", tmp_path).index_to_key) == ["document", "one"]
    with pytest.raises(InputError) as error:
        w2v_spark.train(tmp_path / "text.txt", tmp_path / "rare", **{**SMALL, "min_count": 2})
    assert str(error.value) == (
        "no word is left for the vocabulary: none occurs 2 times (min_count); lower --min-count or give more text"
    )

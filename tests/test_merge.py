"""The merge rules against their formulas in float64."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from w2v_spark.training.merge import fold

Deltas = npt.NDArray[np.float32]


def deltas(replicas: int, seed: int = 0) -> Deltas:
    found = np.random.default_rng(seed).normal(size=(replicas, 6, 5)).astype(np.float32)
    found[:, 0] = 0  # a row that nobody touched
    found[1:, 1] = 0  # a row that one replica touched
    return found


def adasum_tree(parts: list[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Pairwise in shard order, as the formula has it."""
    while len(parts) > 1:
        merged = []
        for i in range(0, len(parts) - 1, 2):
            a, b = parts[i], parts[i + 1]
            ab, aa, bb = ((x * y).sum(1, keepdims=True) for x, y in ((a, b), (a, a), (b, b)))
            with np.errstate(invalid="ignore", divide="ignore"):
                ca, cb = 1 - np.where(aa > 0, ab / (2 * aa), 0), 1 - np.where(bb > 0, ab / (2 * bb), 0)
            merged.append(ca * a + cb * b)
        parts = merged + parts[len(merged) * 2 :]
    return parts[0]


@pytest.mark.parametrize("replicas", [1, 2, 3, 5, 7, 8, 13])
def test_adasum(replicas: int) -> None:
    d = deltas(replicas)
    base = np.ones((6, 5), np.float32)
    expected = 1 + adasum_tree([x.astype(np.float64) for x in d])
    np.testing.assert_allclose(fold("adasum", base, iter(d)), expected, rtol=0, atol=2e-6)


def test_adasum_adds_orthogonal_and_averages_equal() -> None:
    a, b = np.array([[1, 0]], np.float32), np.array([[0, 2]], np.float32)
    zero = np.zeros((1, 2), np.float32)
    assert fold("adasum", zero, [a, b]).tolist() == [[1, 2]]
    assert fold("adasum", zero, [a, a]).tolist() == [[1, 0]]


def test_adasum_leaves_its_input_alone() -> None:
    d = deltas(3)
    before = d.copy()
    d.setflags(write=False)
    fold("adasum", np.zeros((6, 5), np.float32), iter(d))
    assert np.array_equal(d, before)


def test_means() -> None:
    d = deltas(4)
    base = np.full((6, 5), 2, np.float32)
    np.testing.assert_allclose(fold("mean", base, d), 2 + d.mean(0), rtol=0, atol=1e-6)
    touched = fold("mean_touched", base, d)
    np.testing.assert_allclose(touched[1], 2 + d[0, 1], rtol=0, atol=1e-6)
    np.testing.assert_allclose(touched[2:], 2 + d[:, 2:].mean(0), rtol=0, atol=1e-6)
    assert touched[0].tolist() == [2] * 5


@pytest.mark.parametrize("rule", ["adasum", "mean", "mean_touched"])
def test_nothing_to_merge(rule: str) -> None:
    with pytest.raises(ValueError, match="nothing to merge"):
        fold(rule, np.zeros((1, 1), np.float32), [])

"""The merge rules against their formulas in float64."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from w2v_spark.kernels.adasum import adasum_add
from w2v_spark.kernels.changes import add_halves, changed_rows, to_halves
from w2v_spark.params import specs
from w2v_spark.training.merge import RULES, Change, fold

Deltas = npt.NDArray[np.float32]


def deltas(replicas: int, seed: int = 0) -> Deltas:
    found = np.random.default_rng(seed).normal(size=(replicas, 6, 5)).astype(np.float16).astype(np.float32)
    found[:, 0] = 0  # a row that nobody touched
    found[1:, 1] = 0  # a row that one replica touched
    return found


def changes(deltas: Iterable[Deltas]) -> Iterator[Change]:
    """The deltas as replicas send them: only rows that changed."""
    for delta in deltas:
        rows, values = changed_rows(delta, np.zeros_like(delta))
        yield Change(rows, to_halves(values))


def adasum_tree(parts: list[npt.NDArray[np.float64]], size: int = 5) -> npt.NDArray[np.float64]:
    """One row, pairwise in shard order, as the formula has it."""
    while len(parts) > 1:
        merged = []
        for a, b in zip(parts[::2], parts[1::2], strict=False):
            merged.append((1 - a @ b / (2 * a @ a)) * a + (1 - a @ b / (2 * b @ b)) * b)
        parts = merged + parts[len(merged) * 2 :]
    return parts[0] if parts else np.zeros(size)


@pytest.mark.parametrize("replicas", [1, 2, 3, 5, 7, 8, 13])
def test_adasum(replicas: int) -> None:
    d = deltas(replicas)
    d[::2, 2] = 0  # a row that every other replica touched
    base = np.ones((6, 5), np.float32)
    expected = [1 + adasum_tree([x.astype(np.float64) for x in d[:, row] if x.any()]) for row in range(6)]
    np.testing.assert_allclose(fold("adasum", base, changes(d), replicas), expected, rtol=0, atol=2e-6)


numbers = st.floats(-100, 100, width=16)


@settings(max_examples=200, deadline=None)
@given(st.data(), array_shapes(min_dims=2, max_dims=2, max_side=9))
def test_adasum_of_two_is_its_formula(data: st.DataObject, shape: tuple[int, int]) -> None:
    a, b = (data.draw(arrays(np.float32, shape, elements=numbers)) for _ in "ab")
    pairs = zip(a.astype(np.float64), b.astype(np.float64), strict=True)
    expected = np.array(
        [adasum_tree([x for x in pair if x.any()]) if any(map(np.any, pair)) else 0 * pair[0] for pair in pairs]
    )
    found = fold("adasum", np.zeros(shape, np.float32), changes([a, b]), 2)
    scale = np.maximum(np.abs(expected).max(axis=1, keepdims=True), np.abs(b).max(axis=1, keepdims=True))
    assert (np.abs(found - expected) <= 1e-5 * scale).all()


def test_adasum_adds_orthogonal_and_averages_equal() -> None:
    a, b = np.array([[1, 0]], np.float32), np.array([[0, 2]], np.float32)
    zero = np.zeros((1, 2), np.float32)
    assert fold("adasum", zero, changes([a, b]), 2).tolist() == [[1, 2]]
    assert fold("adasum", zero, changes([a, a]), 2).tolist() == [[1, 0]]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_leaves_its_input_alone_and_takes_what_may_not_be_written(rule: str) -> None:
    d = [Change(c.rows, c.values, np.ones(len(c.rows), np.int64)) for c in changes(deltas(3))]
    before = [c.values.copy() for c in d]
    for change in d:
        change.rows.setflags(write=False)
        change.values.setflags(write=False)
    fold(rule, np.zeros((6, 5), np.float32), iter(d), 3)
    assert all(np.array_equal(c.values, b) for c, b in zip(d, before, strict=True))


def test_changes_that_do_not_fit_their_block_are_refused() -> None:
    with pytest.raises(ValueError, match="changes of 2 rows have the shape"):
        adasum_add(
            np.zeros((1, 4, 3), np.float32), np.zeros(4, np.int64), np.arange(2, dtype=np.int32), np.zeros((2, 4))
        )


@given(st.integers(1, 9), st.integers(1, 40), st.data())
def test_changed_rows_are_those_that_differ(size: int, rows: int, data: st.DataObject) -> None:
    before = np.random.default_rng(0).normal(size=(rows, size)).astype(np.float32)
    now = np.pad(before, ((0, 0), (0, 3)), constant_values=9)
    changed = sorted(data.draw(st.sets(st.integers(0, rows - 1))))
    now[changed, data.draw(st.integers(0, size - 1))] += 1
    found, values = changed_rows(now, before)
    assert found.tolist() == changed
    np.testing.assert_array_equal(values, now[changed, :size] - before[changed])


def test_halves_are_numpys() -> None:
    """Of all signs and sizes, of those half way between two, and of what is not finite."""
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    bits = np.random.default_rng(0).integers(0, 1 << 32, 1 << 20, np.uint32)
    edges = np.array([65504, 65519.996, 65520, 65536, 1e38, 2**-24, 2**-25, 2**-14, 0.1], np.float32)
    with np.errstate(all="ignore"):
        between = (halves[:-1] + np.diff(halves) / 2)[np.isfinite(np.diff(halves))]
        for values in (halves, bits.view(np.float32), edges, between, np.nextafter(between, np.float32(0))):
            for given in (values, -values):
                expected = given.astype(np.float16)
                np.testing.assert_array_equal(to_halves(given), expected)
                np.testing.assert_array_equal(np.signbit(to_halves(given)), np.signbit(expected))
    assert to_halves(np.ones((3, 0), np.float32)).shape == (3, 0)


def test_adding_halves_is_numpys_sum() -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16).reshape(-1, 64)
    rows, weights = np.random.default_rng(0).permutation(1024).astype(np.int32), np.arange(1024) / 7
    total, expected = np.ones((1030, 64)), np.ones((1030, 64))
    with np.errstate(invalid="ignore"):
        expected[rows] += weights[:, None] * every.astype(np.float64)
    add_halves(total, rows, every, weights)
    np.testing.assert_array_equal(total, expected)


@pytest.mark.parametrize(
    ("rows", "shape", "says"),
    [
        ([0, 4], (2, 3), "rows 0 to 4 changed in a block of 4"),
        ([-1, 2], (2, 3), "rows -1 to 2 changed in a block of 4"),
        ([0, 1], (1, 3), r"changes of 2 rows have the shape \(1, 3\), the block \(4, 3\)"),
    ],
)
def test_halves_outside_their_block_are_refused(rows: list[int], shape: tuple[int, int], says: str) -> None:
    changed = np.array(rows, np.int32)
    with pytest.raises(ValueError, match=says):
        add_halves(np.zeros((4, 3)), changed, np.zeros(shape, np.float16), np.ones(len(rows)))
    with pytest.raises(ValueError, match=says):
        adasum_add(np.zeros((2, 4, 3), np.float32), np.zeros(4, np.int64), changed, np.zeros(shape, np.float32))


def test_means() -> None:
    d = deltas(4)
    base = np.full((6, 5), 2, np.float32)
    np.testing.assert_allclose(fold("mean", base, changes(d), 4), 2 + d.mean(0), rtol=0, atol=1e-6)
    touched = fold("mean_touched", base, changes(d), 4)
    np.testing.assert_allclose(touched[1], 2 + d[0, 1], rtol=0, atol=1e-6)
    np.testing.assert_allclose(touched[2:], 2 + d[:, 2:].mean(0), rtol=0, atol=1e-6)
    assert touched[0].tolist() == [2] * 5


def test_count_weighted() -> None:
    rows = np.array([0, 2], np.int32)
    of = [Change(rows, np.full((2, 5), v, np.float16), np.array([n, 0])) for v, n in ((1, 3), (5, 1))]
    merged = fold("count_weighted", np.zeros((3, 5), np.float32), of, 2)
    assert merged[:, 0].tolist() == [2, 0, 3]  # (3 x 1 + 1 x 5) / 4; nobody; negatives alone, equal weights
    with pytest.raises(ValueError, match="needs the counts"):
        fold("count_weighted", np.zeros((3, 5), np.float32), [Change(rows, np.ones((2, 5), np.float16))], 1)


def test_every_rule_is_a_choice_of_the_parameter() -> None:
    assert set(specs()["merge_rule"].choices) == set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_nobody_changed_anything(rule: str) -> None:
    base = np.ones((2, 3), np.float32)
    assert np.array_equal(fold(rule, base, [], 4), base)

"""When replicas merge: rounds cover the run exactly, short ones first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2v_spark.params import Params
from w2v_spark.training.schedule import (
    auto_rounds_per_epoch,
    largest_step,
    learning_rate,
    merges_in_a_round,
    plan_rounds,
)


@given(st.integers(1, 20), st.integers(1, 50), st.integers(1, 64))
def test_rounds_cover_every_epoch_once(epochs: int, per_epoch: int, replicas: int) -> None:
    rounds = plan_rounds(epochs, per_epoch, replicas)
    assert len(rounds) == epochs * per_epoch
    assert rounds[0].start == 0.0 and rounds[-1].stop == epochs
    assert all(a.stop == b.start for a, b in zip(rounds, rounds[1:], strict=False))
    parts = [p for r in rounds for p in r.parts()]
    for epoch in range(epochs):
        own = [(a, b) for e, a, b in parts if e == epoch]
        assert own[0][0] == 0.0 and own[-1][1] == 1.0
        assert all(a[1] == b[0] for a, b in zip(own, own[1:], strict=False))


def test_one_replica_has_even_rounds_and_many_start_dense() -> None:
    assert [r.stop for r in plan_rounds(2, 2, 1)] == [0.5, 1.0, 1.5, 2.0]
    many = plan_rounds(3, 16, 4)
    first, last = many[0].stop - many[0].start, many[-1].stop - many[-1].start
    assert last / first == pytest.approx(32)


def test_very_long_runs() -> None:
    assert plan_rounds(200, 36, 8)[-1].stop == 200


def test_auto() -> None:
    sizes = [(r, w) for r in (1, 2, 8, 32) for w in (10**4, 8 * 10**6, 10**9)]
    assert {size: auto_rounds_per_epoch(*size, "sequential", "storage") for size in sizes} == {
        (1, 10**4): 1, (1, 8 * 10**6): 1, (1, 10**9): 1, (2, 10**4): 1, (2, 8 * 10**6): 4, (2, 10**9): 8,
        (8, 10**4): 1, (8, 8 * 10**6): 16, (8, 10**9): 32, (32, 10**4): 1, (32, 8 * 10**6): 32, (32, 10**9): 32,
    }  # fmt: skip
    assert [auto_rounds_per_epoch(r, 10**9, "adasum", "storage") for r in (1, 2, 8, 32)] == [1, 8, 32, 128]


def test_the_learning_rate_falls_along_a_line() -> None:
    params = Params(max_iter=3, step_size=0.05, min_step_size=0.01)
    assert [learning_rate(params, at) for at in (0, 1.5, 3)] == pytest.approx([0.05, 0.03, 0.01])
    for replicas, rule, times in ((32, "sequential", 1), (1, "adasum", 1), (32, "adasum", 1.5)):
        several = params.replace(num_replicas=replicas, merge_rule=rule)
        assert [learning_rate(several, at) for at in (0, 3)] == pytest.approx([0.05 * times, 0.01])


def test_wide_windows_with_many_negatives_take_smaller_steps() -> None:
    wide = Params(max_iter=3, window_size=20, negative=20)
    assert largest_step(wide) == pytest.approx(6 / (21 * 21))
    assert [learning_rate(wide, at) for at in (0, 2, 3)] == pytest.approx([6 / 441, 6 / 441, 1e-4])
    assert learning_rate(wide.replace(architecture="cbow"), 0) == 0.05
    assert learning_rate(wide.replace(window_size=5, negative=5), 0) == 0.05


def test_rounds_of_several_merges_are_those_of_one_merge_put_together() -> None:
    many, few = plan_rounds(2, 8, 4), plan_rounds(2, 2, 4, merges=4)
    assert [round.start for round in few] == [0.0, few[0].stop, few[1].stop, few[2].stop]
    assert [stretch for round in few for stretch in round.stretches()] == many


def test_replicas_that_merge_directly_write_the_model_seldom() -> None:
    assert auto_rounds_per_epoch(32, 10**9, "sequential", "direct") == 4
    assert merges_in_a_round(32, 10**9, "sequential", 4) == 8
    assert merges_in_a_round(32, 10**9, "adasum", 4) == 32
    assert merges_in_a_round(2, 10**4, "sequential", 1) == 1

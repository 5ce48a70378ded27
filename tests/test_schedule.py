"""When replicas merge: rounds cover the run exactly, short ones first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2v_spark.training.schedule import (
    auto_ladder,
    auto_rounds_per_epoch,
    plan_rounds,
    plan_syncs,
    replica_step_size,
    step_at,
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


def test_auto_and_step() -> None:
    rounds = {(r, w): auto_rounds_per_epoch(r, w, "storage") for r in (1, 2, 8, 32) for w in (10**4, 8 * 10**6, 10**9)}
    assert rounds == {
        (1, 10**4): 1, (1, 8 * 10**6): 1, (1, 10**9): 1, (2, 10**4): 1, (2, 8 * 10**6): 4, (2, 10**9): 16,
        (8, 10**4): 1, (8, 8 * 10**6): 16, (8, 10**9): 64, (32, 10**4): 1, (32, 8 * 10**6): 64, (32, 10**9): 128,
    }  # fmt: skip
    assert replica_step_size(0.05, 1, "storage") == 0.05
    assert replica_step_size(0.05, 32, "storage") == pytest.approx(0.075)
    assert replica_step_size(0.05, 32, "direct") == pytest.approx(0.06)
    assert step_at(0, 3, 0.05, 0.01) == 0.05 and step_at(3, 3, 0.05, 0.01) == pytest.approx(0.01)
    assert step_at(1.5, 3, 0.05, 0.01) == pytest.approx(0.03)


def test_rounds_of_several_merges_are_those_of_one_merge_put_together() -> None:
    many, few = plan_rounds(2, 8, 4), plan_rounds(2, 2, 4, merges=4)
    assert [end for round in few for end in round.ends] == [round.stop for round in many]
    assert [round.start for round in few] == [0.0, few[0].stop, few[1].stop, few[2].stop]
    frequent = {10: 4, 30: 2}
    assert [s for r in few for s in plan_syncs(r, 100, frequent)] == [
        s for r in many for s in plan_syncs(r, 100, frequent)
    ]


def test_frequent_words_merge_as_often_as_there_are_words_to_train_between() -> None:
    assert auto_ladder(32, 32_000_000, 4).merges == 4
    assert auto_ladder(32, 32_000_000, 4).frequent == {32_000: 4, 8_000: 16, 2_000: 32}
    assert auto_ladder(4, 10_000, 1).frequent == {32_000: 2, 8_000: 2, 2_000: 2}
    assert auto_ladder(4, 1_000, 1).frequent == {}

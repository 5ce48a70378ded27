"""Random numbers: those of splitmix64's authors, and keys that differ."""

from __future__ import annotations

import numpy as np

from w2v_spark.corpus.random import GOLDEN, mix64, random_key


def test_the_stream_is_splitmix64() -> None:
    # the first numbers that splitmix64.c (Vigna 2015, public domain) gives from the state 1234567
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    states = np.uint64(1234567) + np.arange(1, 4, dtype=np.uint64) * GOLDEN
    assert mix64(states).tolist() == published
    assert [int(mix64(state)) for state in states] == published


def test_any_change_of_any_number_changes_the_key() -> None:
    keys = [random_key(*numbers) for numbers in ((), (0,), (1,), (0, 0), (0, 1), (1, 0), (2**63, 0))]
    assert len(set(keys)) == len(keys) and all(0 <= key < 2**64 for key in keys)

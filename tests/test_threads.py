"""Streams that run side by side: all that they give, their errors, and their end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from w2v_spark.threads import side_by_side


def numbers(stream: int, count: int, fails: bool = False) -> Iterator[tuple[int, int]]:
    for i in range(count):
        yield stream, i
    if fails:
        raise OSError(f"stream {stream} broke off")


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("streams", [0, 1, 20])
def test_all_that_streams_give_arrives_once_and_each_in_its_order(threads: int, streams: int) -> None:
    found = list(side_by_side([numbers(stream, 3 * stream) for stream in range(streams)], threads))
    for stream in range(streams):
        assert [i for s, i in found if s == stream] == list(range(3 * stream))
    assert len(found) == sum(3 * stream for stream in range(streams))


@pytest.mark.parametrize("threads", [1, 3])
def test_the_error_of_a_stream_ends_all(threads: int) -> None:
    taken, before = [], set(threading.enumerate())
    with pytest.raises(OSError, match="stream 2 broke off"):
        for item in side_by_side([numbers(stream, 5, fails=stream == 2) for stream in range(1000)], threads):
            taken.append(item)
    assert (2, 4) in taken and len(taken) < 5000
    assert set(threading.enumerate()) <= before


def test_streams_end_with_what_is_taken_of_them() -> None:
    given, before = [], set(threading.enumerate())

    def endless() -> Iterator[int]:
        while True:
            given.append(0)
            yield 0

    found = side_by_side([endless() for _ in range(5)], 3)
    assert [next(found) for _ in range(10)] == [0] * 10
    found.close()
    assert set(threading.enumerate()) <= before
    assert len(given) < 40, "streams run far ahead"

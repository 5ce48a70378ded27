"""Work on several threads: of a replica, or of a driver that waits for storage."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import chain
from queue import Queue
from threading import Event
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")
Done = TypeVar("Done")

# items of each thread that wait to be taken
_AHEAD = 2


def in_threads(work: Callable[[Item], Done], items: Iterator[Item], threads: int) -> Iterator[tuple[Item, Done]]:
    """Each item and what becomes of it, on so many threads while the next are read; with one thread they run one after
    another in their order.
    """
    waiting: dict[Future[Done], Item] = {}
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            waiting[pool.submit(work, item)] = item
            if len(waiting) > 2 * threads:
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                yield from [(waiting.pop(f), f.result()) for f in done]
        yield from [(item, future.result()) for future, item in waiting.items()]


def side_by_side(streams: Iterable[Iterator[Item]], threads: int) -> Generator[Item, None, None]:
    """What all streams give, in any order: so many run at a time, each on a thread, a little ahead of what is taken.
    With one thread one stream comes after another.
    """
    if threads == 1:
        yield from chain.from_iterable(streams)
        return
    given, given_up = Queue[tuple[Item] | _End](_AHEAD * threads), Event()

    def run(stream: Iterator[Item]) -> None:
        end = _End()
        try:
            for item in stream:
                given.put((item,))
                if given_up.is_set():
                    break
        except BaseException as e:
            end = _End(e)
        given.put(end)

    with ThreadPoolExecutor(threads) as pool:
        futures, running = list[Future[None]](), 0
        try:
            for stream in streams:
                futures.append(pool.submit(run, stream))
                running += 1
            while running:
                found = given.get()
                if not isinstance(found, _End):
                    yield found[0]
                    continue
                running -= 1
                if found.error:
                    raise found.error
        finally:
            given_up.set()
            running -= sum(future.cancel() for future in futures)
            while running > 0:  # they may wait for room
                running -= isinstance(given.get(), _End)


class _End(NamedTuple):
    """A stream's end, and what ended it early."""

    error: BaseException | None = None

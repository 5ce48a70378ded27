"""Memory of a process and all below it, looked at while it runs. Linux only: elsewhere nothing is found.

A page that several processes share counts for each of them by its share (PSS), so that sums mean something.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

EVERY_SECONDS = 1.0


@dataclass(frozen=True)
class Sample:
    """Memory at a moment, in MB: of all processes, and of the Python workers of the executor that had most."""

    seconds: float
    everything: float
    workers: float


class Watch:
    """Looks at a process tree every second until it is stopped; moments are seconds since `started`, a reading of
    time.perf_counter.
    """

    def __init__(self, process: int, started: float):
        self.samples: list[Sample] = []
        self._process, self._started, self._stop = process, started, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            everything, workers = tree_memory(self._process)
            self.samples.append(Sample(time.perf_counter() - self._started, everything, workers))
            self._stop.wait(EVERY_SECONDS)


def tree_memory(root: int) -> tuple[float, float]:
    """MB of a process and all below it, and of the largest group of Python workers with the daemon that forked them."""
    everything, groups, daemons = 0.0, dict[int, float](), dict[int, int]()
    for process, parent in tree(root):
        daemon = daemons.get(parent) or (process if b"pyspark.daemon" in read_process(process, "cmdline") else 0)
        daemons[process], megabytes = daemon, _pss(process)
        everything += megabytes
        if daemon:
            groups[daemon] = groups.get(daemon, 0.0) + megabytes
    return everything, max(groups.values(), default=0.0)


def tree(root: int) -> Iterator[tuple[int, int]]:
    """A process and all below it, each after the one that started it, and with it."""
    children, waiting = _children(), [(root, 0)]
    while waiting:
        process, parent = waiting.pop()
        yield process, parent
        waiting += [(child, process) for child in children.get(process, [])]


def _children() -> dict[int, list[int]]:
    """The processes that each process has started."""
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        fields = read_process(int(entry.name), "stat").rpartition(b")")[2].split()
        if fields:
            found.setdefault(int(fields[1]), []).append(int(entry.name))
    return found


def _pss(process: int) -> float:
    """MB of a process; none of one that is gone."""
    lines = read_process(process, "smaps_rollup").splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(b"Pss:")), 0.0)


def read_process(process: int, name: str) -> bytes:
    """A file of /proc on a process; empty of one that is gone."""
    try:
        return Path("/proc", str(process), name).read_bytes()
    except OSError:
        return b""

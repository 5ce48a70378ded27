"""Finding and killing the processes of a Spark job, by a mark in their environment. Linux only: it reads /proc."""

from __future__ import annotations

import os
import random
import re
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

MARK = "W2V_DRILL"
PYTHON_WORKER, EXECUTOR, WORKER_DAEMON, DRIVER = (
    "Python worker",
    "executor",
    "worker daemon with its executor",
    "driver",
)
VICTIMS = {
    PYTHON_WORKER: r"pyspark\.daemon",
    EXECUTOR: r"CoarseGrainedExecutorBackend",
    WORKER_DAEMON: r"deploy\.worker\.Worker",
    DRIVER: r"deploy\.SparkSubmit|jobs/train\.py",
    f"{DRIVER}'s JVM": r"deploy\.SparkSubmit",
    f"{DRIVER}'s Python": r"^(?!.*SparkSubmit).*jobs/train\.py",
}


def find(mark: str, victim: str, draw: random.Random) -> list[int]:
    """The processes of one victim of this kind: of a driver both, of a worker daemon all that it started. Empty where
    there is none.
    """
    processes = dict(marked_processes(mark))
    found = [pid for pid, command in processes.items() if re.search(VICTIMS[victim], command)]
    if victim == PYTHON_WORKER:  # those that the daemon has forked, not the daemon
        found = [pid for pid in found if "pyspark.daemon" in processes.get(parent_of(pid), "")]
    if victim == DRIVER or not found:
        return found
    chosen = draw.choice(found)
    below = [pid for pid in processes if chosen in ancestors(pid)] if victim == WORKER_DAEMON else []
    return [chosen, *below]


def strike(pids: Iterable[int]) -> int:
    """Kill processes with SIGKILL; how many of them were still there."""
    struck = 0
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        struck += 1
    return struck


def marked_processes(mark: str) -> Iterator[tuple[int, str]]:
    """Number and command of all processes of a drill, its standalone cluster included."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def ancestors(pid: int) -> list[int]:
    """Parent, grandparent and so on."""
    found = []
    while pid := parent_of(pid):
        found.append(pid)
    return found

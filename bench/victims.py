"""Finding and killing the processes of a Spark job, by a mark in their environment. Linux only: it reads /proc."""

from __future__ import annotations

import os
import random
import re
import signal
from collections.abc import Iterator
from pathlib import Path

MARK = "W2V_DRILL"
VICTIMS = {
    "python worker": r"pyspark\.daemon",
    "executor": r"CoarseGrainedExecutorBackend",
    "worker daemon": r"deploy\.worker\.Worker",
    "driver": r"deploy\.SparkSubmit|jobs/train\.py",
    "driver's JVM": r"deploy\.SparkSubmit",
    "driver's Python": r"^(?!.*SparkSubmit).*jobs/train\.py",
}


def kill(mark: str, victim: str, draw: random.Random) -> bool:
    """Kill one victim of this kind, or a worker daemon with all below it; False where there is none."""
    processes = dict(marked_processes(mark))
    found = [pid for pid, command in processes.items() if re.search(VICTIMS[victim], command)]
    if victim == "python worker":  # those that the daemon has forked, not the daemon
        found = [pid for pid in found if "pyspark.daemon" in processes.get(parent_of(pid), "")]
    if not found:
        return False
    if victim == "driver":
        dying = found
    elif victim == "worker daemon":
        daemon = draw.choice(found)
        dying = [daemon, *(pid for pid in processes if daemon in ancestors(pid))]
    else:
        dying = [draw.choice(found)]
    for pid in dying:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return True


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

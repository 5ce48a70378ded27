"""A run's sign of life: a file that the driver rewrites every few seconds, so that another driver can tell a run that
goes on from one that died. Clocks are not compared: who doubts it waits and sees whether the file changes.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

from w2v_spark.errors import FormatError, OutputError
from w2v_spark.place import Place

log = logging.getLogger(__name__)

LEASE = "lease.json"
BEAT_SECONDS = 5.0
# a driver may be swapped out, or its storage slow, but not for so many beats
STALE_SECONDS = 30.0


class Lease:
    """The sign of life of one run, from `start` to `stop`."""

    def __init__(self, work: Place, run: str, application: str):
        self._work, self._run, self._application = work, run, application
        self._beats, self._ended = 0, threading.Event()
        self._thread = threading.Thread(target=self._live, name="w2v_spark-lease", daemon=True)

    def start(self) -> None:
        self._beat()
        self._thread.start()

    def stop(self) -> None:
        """End it, and take the sign away where no other run has put its own there."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(STALE_SECONDS)  # longer, and the storage hangs: it shall not keep the driver
        try:
            if (read_lease(self._work) or {}).get("run") == self._run:
                self._work.delete(LEASE)
        except OSError as e:  # it goes stale by itself, and what the run has done is not to fail by it
            log.warning("cannot remove %s/%s: %s", self._work.uri, LEASE, e.strerror or e)

    def _live(self) -> None:
        failing = False
        while not self._ended.wait(BEAT_SECONDS):
            try:
                if (read_lease(self._work) or {}).get("run") != self._run:
                    return  # taken over, or gone: the run itself learns it at its next step
                self._beat()
                failing = False
            except OSError as e:
                if not failing:
                    log.warning("cannot renew %s/%s: %s", self._work.uri, LEASE, e.strerror or e)
                failing = True

    def _beat(self) -> None:
        self._beats += 1
        sign = {"run": self._run, "application": self._application, "process": this_process(), "beat": self._beats}
        self._work.write_json(LEASE, sign)


def wait_for_lease(work: Place, application: str) -> None:
    """Return once no living run holds the output; one that lives is an OutputError.

    Known as dead at once: a process of this machine that is gone, and an earlier attempt of this Spark application,
    which the cluster manager starts again only when it is. Any other is dead when it gives no sign for STALE_SECONDS.
    """
    seen = read_lease(work)
    if seen is None or _is_dead(str(seen.get("process"))):
        return
    if seen.get("application") == application and seen.get("process") != this_process():
        return
    end = time.monotonic() + STALE_SECONDS
    log.info("%s was started by %s: waiting at most %.0f s for a sign of life", work.uri, _name(seen), STALE_SECONDS)
    while time.monotonic() < end:
        time.sleep(min(BEAT_SECONDS / 5, 1))
        now = read_lease(work)
        if now is None:
            return
        if now != seen:
            raise OutputError(
                f"output {work.uri.rpartition('/')[0]} is in use by {_name(now)}: let it end, or give another directory"
            )
    log.warning("%s gave no sign of life for %.0f s: going on in its place", _name(seen), STALE_SECONDS)


def read_lease(work: Place) -> dict[str, Any] | None:
    """The lease; None where there is none, {} where it cannot be understood, which counts as held."""
    try:
        return work.read_json(LEASE)
    except FileNotFoundError:
        return None
    except FormatError:
        return {}


def _name(sign: dict[str, Any]) -> str:
    """Who gave a sign, for a person."""
    return f"application {sign.get('application')} ({sign.get('process')})" if sign else "another run"


def this_process() -> str:
    """This process among all of a cluster: machine since its start, name space of process numbers (containers),
    number.
    """
    return f"{_machine()}/{os.getpid()}"


def _machine() -> str:
    try:
        booted = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()}/{booted}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return socket.gethostname()


def _is_dead(process: str) -> bool:
    """Whether it ran on this machine and is gone."""
    machine, _, number = process.rpartition("/")
    if machine != _machine() or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False

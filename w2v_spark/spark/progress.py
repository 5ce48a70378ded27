"""What a person sees while a job runs: one live line on a terminal, one log line for each step and round everywhere."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TextIO

import numpy as np
from pyspark import InheritableThread
from pyspark.logger import PySparkLogger
from pyspark.sql import SparkSession

from w2v_spark.errors import ParamError

_EVERY_SECONDS = 0.3
_WIDTH = 110


class Terminal:
    """A terminal's last line, rewritten in place; on anything but a terminal it shows nothing."""

    def __init__(self, stream: TextIO = sys.stderr):
        # under spark-submit the stream is a pipe, and spark-submit.sh tells whether a terminal is at its end
        self.is_live = stream.isatty() or bool(os.environ.get("W2V_TERMINAL"))
        self._stream, self._shown, self._lock = stream, False, threading.Lock()

    def show(self, text: str) -> None:
        if self.is_live:
            with self._lock:
                self._stream.write("\r" + text[:_WIDTH].ljust(_WIDTH))
                self._stream.flush()
                self._shown = True

    def clear(self) -> None:
        with self._lock:
            if self._shown:
                self._stream.write("\r" + " " * _WIDTH + "\r")
                self._stream.flush()
                self._shown = False


TERMINAL = Terminal()


class LogHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes log lines above the live line."""

    def emit(self, record: logging.LogRecord) -> None:
        TERMINAL.clear()
        super().emit(record)


def show_progress(level: str = "INFO") -> None:
    """Write what training logs to standard error, as the commands do, for programs that have not set up `logging`."""
    if level not in (known := logging.getLevelNamesMapping()):
        raise ParamError(f"level must be one of {', '.join(known)}, got {level!r}")
    # what Spark has against a query comes as our own sentence, not as pages of JSON, too
    PySparkLogger.getLogger("SQLQueryContextLogger").disabled = True
    handler = LogHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("w2v_spark")
    logger.handlers[:] = [*(h for h in logger.handlers if not isinstance(h, LogHandler)), handler]
    logger.setLevel(level)


@contextmanager
def live(label: str, measure: Callable[[], str]) -> Iterator[None]:
    """Show `label: measure()` while the block runs."""
    stop = threading.Event()

    def watch() -> None:
        while TERMINAL.is_live and not stop.wait(_EVERY_SECONDS):
            # what is measured may change under the reading, or Spark be gone: the job itself will tell
            with contextlib.suppress(Exception):
                TERMINAL.show(f"{label}: {measure()}")

    thread = InheritableThread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        TERMINAL.clear()


def tasks_done(spark: SparkSession) -> Callable[[], str]:
    """Tasks of the running stages that are done."""
    tracker = spark.sparkContext.statusTracker()

    def measure() -> str:
        stages = [s for s in map(tracker.getStageInfo, tracker.getActiveStageIds()) if s]
        done, total = sum(s.numCompletedTasks for s in stages), sum(s.numTasks for s in stages)
        return f"{done} of {total} tasks" if total else "..."

    return measure


class ReplicaProgress:
    """A small file in which the replicas of a local-mode run write words, loss and pairs, so that the driver can show
    them.
    """

    def __init__(self, replicas: int):
        self._shape = (replicas, 3)
        handle, self.path = tempfile.mkstemp(prefix="w2v_spark-progress-")
        os.close(handle)
        self.reset()

    def reset(self) -> None:
        """Set all to zero in place: a worker of a round that failed may have the file mapped, and a write behind the
        end of one that was cut would kill it.
        """
        with open(self.path, "r+b") as file:
            file.write(np.zeros(self._shape).tobytes())

    def read(self) -> tuple[int, float | None]:
        """Words trained in this round, and the mean loss so far, None before any."""
        words, loss, pairs = np.fromfile(self.path).reshape(self._shape).sum(axis=0)
        return int(words), float(loss / pairs) if pairs else None

    def __enter__(self) -> ReplicaProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.unlink(self.path)


def training_line(words: int, total: int, seconds: float, loss: float | None) -> str:
    """Share done, words a second, loss where it is known, and time left."""
    rate = words / seconds if seconds > 0 else 0.0
    left = f"{(total - words) / rate:,.0f} s left" if rate else "time left unknown"
    shown = "" if loss is None or loss != loss else f", loss {loss:.3f}"
    return f"{words / total:6.1%}, {rate / 1e6:.2f} M words/s{shown}, {left}"

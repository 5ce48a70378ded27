"""Runs a job the way a user types it, in a process of its own, and tells what its log says of its phases."""

from __future__ import annotations

import glob
import importlib.util
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

if importlib.util.find_spec("w2v_spark") is None:
    sys.path.insert(0, str(ROOT))

SUBMIT_HELP = "what to run in place of ./spark-submit.sh, such as a cluster's own spark-submit"

# lines of a job's log that end a phase; the number is the seconds that the phase itself counted
_MARKS = {
    "counting": re.compile(r" counted [\d,]+ words in ([\d.]+) s"),
    "encoding": re.compile(r" encoded [\d,]+ words into .* in ([\d.]+) s"),
    "rounds": re.compile(r" round \d+/\d+ .*()"),
    "publishing": re.compile(r" wrote [\d,]+ vectors to ()"),
}
_TAIL_LINES = 30


@dataclass(frozen=True)
class Finished:
    """A job that ended well: how long it took, and its log with the second at which each line came."""

    seconds: float
    log: list[tuple[float, str]]

    def phases(self) -> dict[str, float]:
        """Seconds of each phase, which add up to the whole; empty where the log lacks one of the lines."""
        found = {name: _last(self.log, pattern) for name, pattern in _MARKS.items()}
        ends = {name: mark[0] for name, mark in found.items() if mark}
        if len(ends) < len(_MARKS):
            return {}
        counting = float(found["counting"][1])  # type: ignore[index]
        ends = {"start of Spark": ends["counting"] - counting, **ends, "stop": self.seconds}
        return {name: end - before for (name, end), before in zip(ends.items(), [0.0, *ends.values()], strict=False)}


def _last(log: list[tuple[float, str]], pattern: re.Pattern[str]) -> tuple[float, str] | None:
    """When the last matching line came, and its number."""
    return next(((when, match[1]) for when, line in reversed(log) if (match := pattern.search(line))), None)


def set_up(submit: str) -> None:
    """Let ./spark-submit.sh set up what it needs, so that no measured run has to."""
    run_job(submit, ["--version"], [])


def run_job(submit: str, options: Sequence[str], job: Sequence[str]) -> Finished:
    """Run `submit options job` from the repository's root; ends the program where the job fails."""
    command = [*shlex.split(submit), *options, *job]
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        # spark-submit sends both streams of the driver's Python to its own stdout
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    with process:
        log = [(time.perf_counter() - started, line.rstrip("\n")) for line in process.stdout]
    seconds = time.perf_counter() - started
    if process.returncode:
        tail = "\n".join(line for _, line in log[-_TAIL_LINES:])
        sys.exit(f"{tail}\nerror: status {process.returncode} from: {shlex.join(command)}")
    return Finished(seconds, log)


def input_files(paths: Sequence[str]) -> list[Path]:
    """The files that Spark would read: those given, those in folders, and those that a pattern names."""
    found = [file for path in paths for file in _expand(path)]
    if not found:
        sys.exit(f"error: no input file in {', '.join(paths)}")
    return found


def _expand(path: str) -> Iterator[Path]:
    names = sorted(glob.glob(path))
    if not names:
        sys.exit(f"error: input path {path} does not exist")
    for name in map(Path, names):
        inside = sorted(f for f in name.iterdir() if f.is_file()) if name.is_dir() else [name]
        # Spark passes over hidden files and those that jobs leave beside data, such as _SUCCESS
        yield from (f.resolve() for f in inside if name.is_file() or f.name[0] not in "._")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned columns: the first to the left, the others to the right; the first row is underlined."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join(line.rstrip() for line in lines)


def say(text: str) -> None:
    """A line for who waits, beside the result."""
    print(text, file=sys.stderr, flush=True)

"""Runs a job the way a user types it, in a process of its own, and tells what its log says of its phases."""

from __future__ import annotations

import glob
import importlib.util
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from memory import Sample, Watch

ROOT = Path(__file__).resolve().parents[1]

if importlib.util.find_spec("w2v_spark") is None:
    sys.path.insert(0, str(ROOT))

SUBMIT_HELP = "what to run in place of ./spark-submit.sh, such as a cluster's own spark-submit"

# lines of a job's log that end a phase; the number is the seconds that the phase itself counted
_MARKS = {
    "counting": re.compile(r" counted [\d,]+ words in ([\d.]+) s"),
    "encoding": re.compile(r" encoded [\d,]+ words into .* in ([\d.]+) s"),
    "rounds": re.compile(r" round \d+/\d+ .*()"),
    "publishing": re.compile(r" [\d,]+ vectors? in ()\S+, after "),
}
_TAIL_LINES = 30


@dataclass(frozen=True)
class Finished:
    """A process that ended well: how long it took, what it printed with the second at which each line came, and the
    memory of it and all that it started.
    """

    seconds: float
    log: list[tuple[float, str]]
    samples: list[Sample]

    def peak(self, until: float = float("inf")) -> float:
        """The most memory until a moment, in MB."""
        return max((s.everything for s in self.samples if s.seconds <= until), default=0.0)

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
    """Run `submit options job`; ends the program where the job fails."""
    return run([*shlex.split(submit), *options, *job])


def run(command: Sequence[str], folder: Path = ROOT) -> Finished:
    """Run a command in a folder; ends the program where the command fails."""
    started = time.perf_counter()
    # spark-submit sends both streams of the driver's Python to its own stdout
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    try:
        process = subprocess.Popen(command, cwd=folder, **streams)
    except OSError as e:
        sys.exit(f"error: {command[0]} cannot be run: {e.strerror}")
    assert process.stdout is not None
    with process, Watch(process.pid, started) as watch:
        log = list(_lines(process.stdout.fileno(), started))
    seconds = time.perf_counter() - started
    if process.returncode:
        tail = "\n".join(line for _, line in log[-_TAIL_LINES:])
        sys.exit(f"{tail}\nerror: status {process.returncode} from: {shlex.join(command)}")
    return Finished(seconds, log, watch.samples)


def _lines(stream: int, started: float) -> Iterator[tuple[float, str]]:
    """Each line that holds anything, with the second at which its first bytes came. A carriage return ends a line, too:
    with it tools write over the last one as they go on.
    """
    rest, came = b"", 0.0
    while data := os.read(stream, 1 << 16):
        now = time.perf_counter() - started
        *lines, new_rest = re.split(rb"[\r\n]", rest + data)
        for line in lines:
            if line:
                yield (came if rest else now), line.decode(errors="replace")
            rest = b""
        came, rest = (came if rest else now), new_rest
    if rest:
        yield came, rest.decode(errors="replace")


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


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows as a table of Markdown: the first row is its head, the first column flush left."""
    rule = ["---", *["---:"] * (len(rows[0]) - 1)]
    return "\n".join(map(markdown_row, [rows[0], rule, *rows[1:]]))


def markdown_row(cells: Sequence[str]) -> str:
    """A row of such a table, for one that is printed as it grows."""
    return f"| {' | '.join(cells)} |"


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def whole(text: str) -> int:
    """A whole number for argparse, which may be written as 5e6."""
    number = float(text)
    if not number.is_integer():
        raise ValueError(text)
    return int(number)


def options(values: Mapping[str, object]) -> list[str]:
    """Options and their values as words of a command line."""
    return [str(word) for pair in values.items() for word in pair]


def spark_options(conf: Mapping[str, str]) -> list[str]:
    """Settings of Spark as words of a command line."""
    return [word for name, value in conf.items() for word in ("--conf", f"{name}={value}")]


def command_line() -> str:
    """The command that runs, with the last names of absolute paths."""
    words = [Path(word).name if word.startswith("/") else word for word in sys.argv[1:]]
    return shlex.join([".venv/bin/python", f"bench/{Path(sys.argv[0]).name}", *words])


def say(text: str) -> None:
    """A line for who waits, beside the result."""
    print(text, file=sys.stderr, flush=True)

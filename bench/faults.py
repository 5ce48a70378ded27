"""A drill: kill processes of running jobs at random moments, start what died again, and compare with a run that nothing
disturbed: python bench/faults.py --kills 50

Every job is ./spark-submit.sh jobs/train.py on a generated text. A victim is killed with SIGKILL: a Python worker, an
executor, a worker daemon with its executor (standalone only; an operator starts another), or the driver, whose Python
and JVM die together or alone. A job that ends is started again by the same command until it is done. With one thread a
replica its vectors must be those of the undisturbed run, byte for byte; with more they must be finite and of the same
words. Nothing but the model may lie in the output, and no process may be left. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import job
import numpy as np
from standalone import Standalone, standalone
from victims import MARK, VICTIMS, kill, marked_processes

from w2v_spark import store
from w2v_spark.params import ParamValues, option_name
from w2v_spark.vectors.load import read_model

_START = "---- start of a job\n"
_MOST_STARTS = 12
_LONGEST_RUN = 300
_FIRST_PHASE = "starting, counting"
# words of a job's log that tell what it does now, the last first
_PHASES = (
    ("published", r" wrote [\d,]+ vectors"),
    ("publishing", r" rounds took "),
    ("rounds", r" (encoded|reuse the corpus|going on after)"),
    ("encoding", r" (counted|reuse the vocabulary)"),
)


PARAMETERS: ParamValues = {
    "num_replicas": 2,
    "rounds_per_epoch": 5,
    "max_iter": 2,
    "vector_size": 50,
    "sample": 0.001,
}


@dataclass
class Tally:
    """What the drill has seen."""

    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    runs: int = 0
    starts: int = 0
    problems: list[str] = field(default_factory=list)

    def table(self) -> str:
        """Kills by victim and phase."""
        phases = [_FIRST_PHASE, *(name for name, _ in reversed(_PHASES))]
        phases = [p for p in phases if any(phase == p for _, phase in self.kills)]
        rows = [("killed", *phases, "in all")]
        for victim in VICTIMS:
            counts = [self.kills[victim, phase] for phase in phases]
            if sum(counts):
                rows.append((victim, *map(str, counts), str(sum(counts))))
        return job.table(rows)


@dataclass(frozen=True)
class Setting:
    """How the jobs of a drill are started."""

    master: str
    text: Path
    threads: int
    mark: str

    def command(self, output: Path) -> list[str]:
        options = ["--conf", "spark.ui.enabled=false", "--conf", "spark.task.maxFailures=4", "--master", self.master]
        settings = PARAMETERS | {"threads_per_replica": self.threads}
        parameters = [text for name, value in settings.items() for text in (option_name(name), str(value))]
        source = ["--input", str(self.text), "--output", str(output)]
        return ["./spark-submit.sh", *options, "jobs/train.py", *source, *parameters]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--kills", type=int, default=50, help="how many processes to kill (default 50)")
    parser.add_argument("--cluster", choices=("local", "local-cluster", "standalone"), default="standalone")
    parser.add_argument("--threads", type=int, default=1, help="threads of a replica (default 1: the same bytes)")
    parser.add_argument("--words", type=int, default=1_000_000, help="words of the generated text (default 1,000,000)")
    parser.add_argument("--minutes", type=float, default=120, help="begin no other run after so long (default 120)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    draw, mark = random.Random(args.seed), uuid.uuid4().hex
    with tempfile.TemporaryDirectory(prefix="w2v_spark-faults-") as folder, _cluster(args, Path(folder), mark) as found:
        text = Path(folder, "text.txt")
        write_text(text, args.words, args.seed)
        master = found.address if found else {"local": "local[2]"}.get(args.cluster, "local-cluster[2,1,1024]")
        setting = Setting(master, text, args.threads, mark)
        job.set_up("./spark-submit.sh")
        tally = drill(setting, found, Path(folder), args.kills, args.minutes, draw)
    print(
        f"{sum(tally.kills.values())} kills in {tally.runs} runs on {args.cluster}, {args.threads} thread(s) a replica"
    )
    print(tally.table())
    print(f"{tally.starts - tally.runs} times a job was started again")
    print(
        "\n".join(tally.problems) or "every run ended with the vectors of the undisturbed one; nothing was left behind"
    )
    return bool(tally.problems)


def drill(
    setting: Setting, cluster: Standalone | None, folder: Path, kills: int, minutes: float, draw: random.Random
) -> Tally:
    """Run jobs and kill until enough are killed, or the time is up."""
    victims = [v for v in VICTIMS if cluster or v != "worker daemon"]
    victims = [v for v in victims if not (setting.master.startswith("local[") and v == "executor")]
    # the first run compiles kernels, which later ones find; the second tells how long they take
    expected, _ = undisturbed(setting, folder / "first")
    again, seconds = undisturbed(setting, folder / "second")
    if setting.threads == 1 and again != expected:
        sys.exit("two undisturbed runs gave other vectors")
    job.say(f"an undisturbed run takes {seconds:.1f} s")
    tally, end = Tally(), time.monotonic() + 60 * minutes
    while sum(tally.kills.values()) < kills and not tally.problems:
        output = folder / f"out{tally.runs}"
        tally.runs += 1
        survive(setting, cluster, output, seconds, victims, tally, draw)
        tally.problems += [f"{output.name}: {p}" for p in compare(output, expected, exact=setting.threads == 1)]
        tally.problems += [f"{output.name}: left running: {p}" for p in left_running(setting, cluster)]
        job.say(f"run {tally.runs}: {sum(tally.kills.values())} kills, {tally.starts} starts")
        if time.monotonic() > end:
            break
    return tally


def undisturbed(setting: Setting, output: Path) -> tuple[dict[str, bytes], float]:
    """Vectors and seconds of a run that nothing disturbs."""
    begun = time.monotonic()
    if status := start(setting, output).wait():
        sys.exit(f"the undisturbed run ended with status {status}:\n{log_of(output)[-3000:]}")
    return read_vectors(output), time.monotonic() - begun


def survive(
    setting: Setting,
    cluster: Standalone | None,
    output: Path,
    seconds: float,
    victims: list[str],
    tally: Tally,
    draw: random.Random,
) -> None:
    """One output: start its job, kill once or twice in each of the first starts, until it is done."""
    for attempt in range(_MOST_STARTS):
        running = start(setting, output)
        tally.starts += 1
        begun = time.monotonic()
        moments = sorted(draw.uniform(0.2, 1.0) * seconds for _ in range(draw.choice((1, 2, 3)))) if attempt < 4 else []
        while running.poll() is None and time.monotonic() - begun < _LONGEST_RUN:
            if moments and time.monotonic() - begun >= moments[0]:
                victim = draw.choice(victims)
                if kill(setting.mark, victim, draw):
                    tally.kills[victim, phase_of(output)] += 1
                    moments.pop(0)
            if cluster:
                cluster.restart_dead_workers()
            time.sleep(0.05)
        if running.poll() is None:
            tally.problems.append(f"{output.name}: hangs; its log ends with {log_of(output)[-1500:]}")
            os.killpg(running.pid, signal.SIGKILL)
            return
        # a driver that was killed after it had written the manifest leaves a model, which is not trained again
        if running.returncode == 0 or "holds a finished model" in log_of(output).rpartition(_START)[2]:
            return
    tally.problems.append(f"{output.name}: not done after {_MOST_STARTS} starts: {log_of(output)[-1500:]}")


def start(setting: Setting, output: Path) -> subprocess.Popen[bytes]:
    """The job, in a process group of its own; its log lies beside the output."""
    environ = {**os.environ, MARK: setting.mark}
    with output.with_suffix(".log").open("a") as log:
        log.write(_START)
        log.flush()
        return subprocess.Popen(
            setting.command(output),
            cwd=job.ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def phase_of(output: Path) -> str:
    """What the job was doing when it was killed, by the log of its last start."""
    last = log_of(output).rpartition(_START)[2]
    return next((name for name, pattern in _PHASES if re.search(pattern, last)), _FIRST_PHASE)


def log_of(output: Path) -> str:
    return output.with_suffix(".log").read_text(errors="replace")


def read_vectors(output: Path) -> dict[str, bytes]:
    words, _, vectors = read_model(store.open_model(str(output)))
    if not np.isfinite(vectors).all():
        raise ValueError(f"{output} has vectors that are not finite")
    return {w: v.tobytes() for w, v in zip(words.to_pylist(), vectors, strict=True)}


def compare(output: Path, expected: dict[str, bytes], exact: bool) -> list[str]:
    """What is wrong with a finished output."""
    found, problems = read_vectors(output), []
    if found.keys() != expected.keys():
        problems.append("other words than in the undisturbed run")
    elif exact and found != expected:
        problems.append("other vectors than in the undisturbed run")
    ours = {"model.json", "report.html", "vocab", "vectors", "metrics"}
    problems += [f"holds {path.name}" for path in output.iterdir() if path.name not in ours]
    manifest = store.open_model(str(output)).manifest
    named = {output / directory / file["name"] for directory, files in manifest["files"].items() for file in files}
    strays = [p for d in manifest["files"] for p in (output / d).rglob("[!._]*") if p.is_file() and p not in named]
    return problems + [f"holds {path}" for path in [*strays, *output.rglob("_temporary*")]]


def left_running(setting: Setting, cluster: Standalone | None) -> list[str]:
    """Processes of jobs that are gone; executors get some seconds to notice."""
    end = time.monotonic() + 30
    while True:
        daemons = r"deploy\.(worker\.Worker|master\.Master)" if cluster else r"$^"
        left = [c for _, c in marked_processes(setting.mark) if c and not re.search(daemons, c)]
        if not left or time.monotonic() > end:
            return [command[:120] for command in left]
        time.sleep(0.5)


@contextmanager
def _cluster(args: argparse.Namespace, folder: Path, mark: str) -> Iterator[Standalone | None]:
    if args.cluster != "standalone":
        yield None
        return
    python = str(job.ROOT / ".venv" / "bin")
    with standalone(folder, f"{python}:/usr/bin:/bin", f"{python}:/usr/bin:/bin", cores=1, environ={MARK: mark}) as it:
        yield it


def write_text(path: Path, words: int, seed: int) -> None:
    """Lines of words in Zipf's frequencies, of which each line keeps to one of ten topics."""
    draw = np.random.default_rng(seed)
    with path.open("w") as file:
        for topic in draw.integers(0, 10, words // 20):
            numbers = np.minimum(draw.zipf(1.3, 20), 2000)
            file.write(" ".join(f"t{topic}w{n}" if n % 2 else f"w{n}" for n in numbers.tolist()) + "\n")


if __name__ == "__main__":
    sys.exit(main())

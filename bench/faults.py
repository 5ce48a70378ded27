"""A drill: kill processes of running jobs at random moments, start what died again, and compare with a run that nothing
disturbed: python bench/faults.py --kills 50

Every job is ./spark-submit.sh jobs/train.py on a generated text. Victims (a Python worker, an executor, a worker daemon
with its executor, the driver: its JVM, its Python or both) and phases (counting, encoding, training, merging,
committing, publishing) are drawn so that each pair comes as often as any other, the round and the moment within the
phase by chance. A victim is killed with SIGKILL; a worker daemon of the standalone cluster is started again as an
operator would. A job that ends is started again by the same command until it is done. With one thread a replica its
vectors must be those of the undisturbed run, byte for byte; with more, words, row norms and scores must be. Nothing but
the model may lie in the output, and no process may be left. Replicas that merge directly train and merge in one stage,
whose moments count as training. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import job
from faults_job import (
    Setting,
    compare,
    last_log,
    last_words,
    left_running,
    log_of,
    start,
    topic_score,
    write_text,
)
from faults_report import Drill, Kill, kills_table, write_results
from phases import DRAWING, PHASES, ROUND_PHASES, STARTING, Moment, Phases
from standalone import Standalone, standalone
from victims import DRIVER, EXECUTOR, MARK, PYTHON_WORKER, VICTIMS, WORKER_DAEMON, find, strike

from w2v_spark.errors import W2VError
from w2v_spark.params import ParamValues

PARAMETERS: ParamValues = {
    "num_replicas": 2,
    "rounds_per_epoch": 5,
    "max_iter": 2,
    "vector_size": 100,
    "sample": 0.001,
}
_ROUNDS = 10
# so many kills are aimed at one run, and it is started at most so often more
_KILLS_A_RUN = 8
_MORE_STARTS = 6
_LONGEST_START = 600
# JVMs that live for seconds: compiling less and collecting with one thread leaves the cores to the jobs
JAVA = dict.fromkeys(
    ("spark.driver.extraJavaOptions", "spark.executor.extraJavaOptions"), "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
)


@dataclass(frozen=True)
class Aim:
    """Whom to kill and when: `delay` seconds after the phase began."""

    victim: str
    moment: Moment
    delay: float


class Plan:
    """Draws whom to kill when: the pair of a kind of victim and a phase that was aimed at least often so far, by chance
    among those; `seconds` are those that phases take.
    """

    def __init__(self, kinds: list[str], phases: list[str], seconds: dict[str, float], draw: random.Random):
        self._pairs = [(kind, phase) for kind in kinds for phase in phases]
        self._seconds, self.draw = seconds, draw
        self._aimed: Counter[tuple[str, str]] = Counter()

    def of_a_run(self, number: int) -> list[Aim]:
        """The kills of one run, in the order in which their phases come."""
        return sorted((self._aim() for _ in range(number)), key=lambda aim: (*_place(aim.moment), aim.delay))

    def missed(self, aim: Aim) -> None:
        """The phase was over before the victim could be killed: the pair is to be aimed at again."""
        self._aimed[_kind(aim.victim), aim.moment.phase] -= 1

    def _aim(self) -> Aim:
        least = min(self._aimed[pair] for pair in self._pairs)
        kind, phase = self.draw.choice([pair for pair in self._pairs if self._aimed[pair] == least])
        self._aimed[kind, phase] += 1
        round = self.draw.randint(1, _ROUNDS) if phase in ROUND_PHASES else 0
        victim = self.draw.choice([name for name in VICTIMS if _kind(name) == kind])
        return Aim(victim, Moment(phase, round), self.draw.random() * self._seconds.get(phase, 0.0))


def _kind(victim: str) -> str:
    """The kind of victim: the driver whole, its JVM and its Python are one."""
    return victim.partition("'")[0]


def _place(moment: Moment) -> tuple[int, int, int]:
    """Where a moment lies in a run."""
    place = PHASES.index(moment.phase)
    return (PHASES.index(ROUND_PHASES[0]) if moment.phase in ROUND_PHASES else place), moment.round, place


def main() -> int:
    args = _arguments()
    draw, mark = random.Random(args.seed), uuid.uuid4().hex
    folder = Path(tempfile.mkdtemp(prefix="w2v_spark-faults-", dir=args.scratch))
    drill = Drill(job.command_line(), args.cluster, args.exchange, args.threads_per_replica, args.words)
    try:
        with _cluster(args, folder, mark) as cluster:
            write_text(folder / "text.txt", args.words, args.seed)
            job.set_up("./spark-submit.sh")
            run_drill(drill, _setting(args, cluster, folder, mark), cluster, folder, args, draw)
    finally:
        if drill.problems:
            job.say(f"what was lost can be looked at in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(drill.summary())
    print(kills_table([drill], job.table))
    print("\n".join(drill.problems) or "nothing was lost, nothing was left behind")
    if args.output:
        write_results(args.output, drill)
    return bool(drill.problems)


def _arguments() -> argparse.Namespace:
    text, _, more = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(description=text.partition(":")[0], epilog=more)
    parser.add_argument("--kills", type=int, default=50, metavar="N", help="how many victims to kill (default 50)")
    parser.add_argument("--cluster", choices=("local", "local-cluster", "standalone"), default="standalone")
    parser.add_argument("--exchange", choices=("storage", "direct"), default="storage", help="how replicas merge")
    parser.add_argument(
        "--threads-per-replica", type=int, default=1, metavar="N", help="default 1, which gives the same bytes"
    )
    parser.add_argument("--words", type=job.whole, default=1_000_000, metavar="N", help="of the text (default 1e6)")
    parser.add_argument("--minutes", type=float, default=120, help="begin no other run after so long (default 120)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scratch", metavar="DIR", help="where text, models and logs go for a while")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="write PATH.md and PATH.json, beside the drills of other commands that are there",
    )
    args = parser.parse_args()
    if args.output and not args.output.parent.is_dir():
        parser.error(f"--output: there is no folder {args.output.parent}")
    return args


def _setting(args: argparse.Namespace, cluster: Standalone | None, folder: Path, mark: str) -> Setting:
    threads = args.threads_per_replica
    local = {"local": f"local[{2 * threads}]", "local-cluster": f"local-cluster[2,{threads},1024]"}
    # so many cores are promised, so that no job waits whether more come
    promised = {"spark.cores.max": str(2 * threads), "spark.executor.cores": str(threads)} if cluster else {}
    master = cluster.address if cluster else local[args.cluster]
    parameters: ParamValues = {**PARAMETERS, "threads_per_replica": threads, "exchange": args.exchange}
    return Setting(master, JAVA | promised, folder / "text.txt", parameters, mark)


@contextmanager
def _cluster(args: argparse.Namespace, folder: Path, mark: str) -> Iterator[Standalone | None]:
    if args.cluster != "standalone":
        yield None
        return
    path = f"{job.ROOT / '.venv' / 'bin'}:/usr/bin:/bin"
    environ = {MARK: mark, "SPARK_LOCAL_DIRS": str(folder / "local")}
    with standalone(folder, path, path, cores=args.threads_per_replica, environ=environ) as it:
        yield it


def run_drill(
    drill: Drill,
    setting: Setting,
    cluster: Standalone | None,
    folder: Path,
    args: argparse.Namespace,
    draw: random.Random,
) -> None:
    """Run jobs and kill until enough are killed, or the time is up, or something is lost."""
    exact, expected = args.threads_per_replica == 1, folder / "undisturbed"
    # the first run compiles kernels, which later ones find; the second tells how long they take
    undisturbed(setting, folder / "first")
    drill.seconds_undisturbed, seconds = undisturbed(setting, expected)
    if problems := compare(folder / "first", expected, exact):
        sys.exit(f"two undisturbed runs differ: {'; '.join(problems)}")
    job.say(
        f"an undisturbed run takes {drill.seconds_undisturbed:.1f} s, its topic score is {topic_score(expected):.3f}"
    )
    drawn = [phase for phase in PHASES if phase in seconds and phase not in (STARTING, DRAWING)]
    plan = Plan(kinds_of_victims(args.cluster), drawn, seconds, draw)
    end = time.monotonic() + 60 * args.minutes
    while len(drill.kills) < args.kills and not drill.problems and time.monotonic() < end:
        output = folder / f"run{drill.runs}"
        drill.runs += 1
        aims = plan.of_a_run(min(_KILLS_A_RUN, args.kills - len(drill.kills)))
        problems = survive(setting, cluster, output, aims, drill, plan) or _compared(output, expected, exact)
        problems += [f"left running: {command}" for command in left_running(setting)]
        drill.problems += [f"{output.name}: {problem}" for problem in problems]
        drill.redone += log_of(output).count("; once more (")
        job.say(f"run {drill.runs}: {len(drill.kills)} kills, {drill.starts} starts")


def kinds_of_victims(cluster: str) -> list[str]:
    """Whom this kind of cluster has: the workers of local-cluster live in the driver, executors of local mode, too."""
    lacking = {"local": {EXECUTOR, WORKER_DAEMON}, "local-cluster": {WORKER_DAEMON}, "standalone": set[str]()}
    return [kind for kind in (PYTHON_WORKER, EXECUTOR, WORKER_DAEMON, DRIVER) if kind not in lacking[cluster]]


def undisturbed(setting: Setting, output: Path) -> tuple[float, dict[str, float]]:
    """Run a job that nothing disturbs: the seconds it took, and those of each phase."""
    begun = time.monotonic()
    running, phases = start(setting, output)
    while running.poll() is None:
        phases.now()
        time.sleep(0.01)
    if running.returncode:
        sys.exit(f"the undisturbed run ended with status {running.returncode}:\n{log_of(output)[-3000:]}")
    return time.monotonic() - begun, phases.typical_seconds()


def survive(
    setting: Setting, cluster: Standalone | None, output: Path, aims: list[Aim], drill: Drill, plan: Plan
) -> list[str]:
    """One output: start its job, kill at all that is aimed at, and start what died again until it is done; what became
    of it where it was not.
    """
    aims, most_starts = list(aims), len(aims) + _MORE_STARTS
    for _ in range(most_starts):
        running, phases = start(setting, output)
        drill.starts += 1
        before, end = len(drill.kills), time.monotonic() + _LONGEST_START
        while running.poll() is None and time.monotonic() < end:
            now = phases.now()
            while aims and now.is_past(aims[0].moment):
                plan.missed(aims.pop(0))
            if aims and now.is_in(aims[0].moment):
                if killed := hit(setting, aims[0], phases, drill, plan.draw):
                    drill.kills.append(killed)
                    aims.pop(0)
                else:  # the phase was shorter than usual: earlier in that of the next round
                    aims[0] = replace(aims[0], delay=aims[0].delay / 2)
            if cluster:
                cluster.restart_dead_workers()
            time.sleep(0.01)
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            return [f"hangs in {phases.now().phase}; its log ends with {log_of(output)[-1500:]}"]
        # a driver that was killed after it had written the manifest leaves a model, which is not trained again
        if running.returncode == 0 or "holds a finished model" in last_log(output):
            for aim in aims:
                plan.missed(aim)
            return []
        if not any(killed.victim.startswith(DRIVER) for killed in drill.kills[before:]):
            drill.gave_up.append(last_words(output))
    return [f"is not done after {most_starts} starts: {log_of(output)[-1500:]}"]


def hit(setting: Setting, aim: Aim, phases: Phases, drill: Drill, draw: random.Random) -> Kill | None:
    """Kill what is aimed at when it is time; None where the phase ends before, or has no such victim."""
    time_to_kill = phases.since + aim.delay
    while time.monotonic() < time_to_kill:
        if phases.now().phase != aim.moment.phase:
            return None
        time.sleep(0.005)
    pids, now = find(setting.mark, aim.victim, draw), phases.now()
    if now.phase != aim.moment.phase or not strike(pids):
        return None
    job.say(f"  killed: {aim.victim} in {now.phase} {now.round or ''}")
    return Kill(drill.runs, drill.starts, aim.victim, now.phase, now.round)


def _compared(output: Path, expected: Path, exact: bool) -> list[str]:
    try:
        return compare(output, expected, exact)
    except (W2VError, ValueError) as e:
        return [str(e)]


if __name__ == "__main__":
    sys.exit(main())

"""What drills have shown: tables and JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import job
from phases import PHASES
from victims import VICTIMS


@dataclass(frozen=True)
class Kill:
    """A victim that was killed: in which run and which start of a job, and where that start was; round 0 where the
    phase is of no round.
    """

    run: int
    start: int
    victim: str
    phase: str
    round: int


@dataclass
class Drill:
    """What a drill has seen. `redone` are rounds that Spark gave up and the job did again, `gave_up` the last words of
    jobs that ended though nobody had killed their driver, `problems` what was lost or left behind.
    """

    command: str
    cluster: str
    exchange: str
    threads: int
    words: int
    seconds_undisturbed: float = 0.0
    runs: int = 0
    starts: int = 0
    redone: int = 0
    kills: list[Kill] = field(default_factory=list)
    gave_up: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> Drill:
        return cls(**{**told, "kills": [Kill(**kill) for kill in told["kills"]]})

    @property
    def title(self) -> str:
        """What was drilled."""
        how = {"storage": "through storage", "direct": "directly"}[self.exchange]
        return f"{self.cluster}, replicas of {_counted(self.threads, 'thread')} that merge {how}"

    @property
    def survived(self) -> list[Kill]:
        """Kills in runs that lost nothing."""
        lost = {int(problem.partition(":")[0].removeprefix("run")) + 1 for problem in self.problems}
        return [kill for kill in self.kills if kill.run not in lost]

    def summary(self) -> str:
        """In a sentence or two."""
        kills, runs = _counted(len(self.kills), "kill"), _counted(self.runs, "run")
        text = (
            f"{kills} in {runs} on {self.title}. Jobs were started again {_counted(self.starts - self.runs, 'time')}; "
        )
        text += f"steps that Spark gave up were done again {_counted(self.redone, 'time')}."
        for words, times in Counter(self.gave_up).items():
            text += f" A job whose driver nobody had killed ended {_counted(times, 'time')} with: {words}."
        return text


def kills_table(drills: Sequence[Drill], layout: Callable[[Sequence[Sequence[str]]], str]) -> str:
    """Kills by victim and phase, how many were survived, and what was lost."""
    kills = Counter((kill.victim, kill.phase) for drill in drills for kill in drill.kills)
    survived = Counter(kill.victim for drill in drills for kill in drill.survived)
    phases = [phase for phase in PHASES if any(phase == other for _, other in kills)]
    rows = [["killed", *phases, "times", "survived", "lost"]]
    for victim in (v for v in VICTIMS if any(v == other for other, _ in kills)):
        counts = [kills[victim, phase] for phase in phases]
        lost = sum(counts) - survived[victim]
        rows.append([victim, *map(str, [*counts, sum(counts), survived[victim]]), str(lost) if lost else "nothing"])
    return layout(rows)


def write_results(path: Path, drill: Drill) -> None:
    """PATH.md and PATH.json: all drills so far, this one in the place of that of the same command."""
    data = path.with_name(path.name + ".json")
    earlier = [Drill.from_dict(told) for told in json.loads(data.read_text())["drills"]] if data.exists() else []
    drills = [other for other in earlier if other.command != drill.command] + [drill]
    data.write_text(json.dumps({"drills": [asdict(drill) for drill in drills]}, indent=1) + "\n")
    path.with_name(path.name + ".md").write_text(markdown(drills), encoding="utf-8")


def markdown(drills: Sequence[Drill]) -> str:
    """All drills together, then each."""
    total = sum(len(drill.kills) for drill in drills)
    parts = [
        "# Kills at random moments",
        "\n".join(f"    {drill.command}" for drill in drills),
        f"{total} victims were killed with SIGKILL. A loss would be a run that does not end, vectors other than those "
        "of an undisturbed run (byte for byte with one thread a replica; words, row norms and scores with more), a "
        "file or directory left in the output, or a process left running.",
        kills_table(drills, job.markdown),
    ]
    for drill in drills:
        lost = "\n".join(f"- {problem}" for problem in drill.problems) or "Nothing was lost, nothing was left behind."
        parts += [f"## {drill.title[0].upper()}{drill.title[1:]}", drill.summary(), kills_table([drill], job.markdown)]
        parts += [f"{lost} An undisturbed run took {drill.seconds_undisturbed:.0f} s."]
    return "\n\n".join(parts) + "\n"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"

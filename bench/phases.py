"""The phases of a job by the descriptions of Spark's jobs, and which of them a running one is in, by the event log that
Spark writes meanwhile.
"""

from __future__ import annotations

import json
import re
import statistics
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

STARTING, DRAWING = "starting", "first vectors"
COUNTING, ENCODING, TRAINING = "counting", "encoding", "training"
MERGING, COMMITTING, PUBLISHING = "merging", "committing", "publishing"
# phases of Spark's jobs that are none of PHASES: numbering is part of counting there, and a round has phases of its own
NUMBERING, ROUNDS = "numbering", "rounds"
# in their order; replicas that merge directly train and merge in one stage, which is called training here
PHASES = (STARTING, COUNTING, ENCODING, DRAWING, TRAINING, MERGING, COMMITTING, PUBLISHING)
ROUND_PHASES = (TRAINING, MERGING, COMMITTING)

# descriptions that the program gives to Spark's jobs
DESCRIPTIONS = {
    COUNTING: re.compile(r"count the words"),
    NUMBERING: re.compile(r"number the vocabulary"),
    ENCODING: re.compile(r"encode the corpus|look at the encoded corpus"),
    DRAWING: re.compile(r"draw the first vectors"),
    ROUNDS: re.compile(r"round (\d+)/"),
    PUBLISHING: re.compile(r"publish the |write the metrics"),
}
_EVENTS = tuple(f'{{"Event":"SparkListener{name}"'.encode() for name in ("JobStart", "StageCompleted", "JobEnd"))


class Moment(NamedTuple):
    """A phase and, of those that come in every round, the round; 0 in all others."""

    phase: str
    round: int

    def is_in(self, wanted: Moment) -> bool:
        """Whether this is the wanted phase, in the wanted round or a later one."""
        return self.phase == wanted.phase and self.round >= wanted.round

    def is_past(self, wanted: Moment) -> bool:
        """Whether the wanted phase will not come again in this start of the job."""
        return _order(self.phase) > _order(wanted.phase)


def event_log(folder: Path) -> dict[str, str]:
    """Settings with which Spark writes its event log into a folder, as a single file that can be read at any time."""
    return {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.rolling.enabled": "false",
        "spark.eventLog.compress": "false",
        "spark.eventLog.dir": folder.as_uri(),
    }


def phase_of(started: dict[str, Any]) -> tuple[str, re.Match[str]] | None:
    """The phase of a job by the event of its start, a key of DESCRIPTIONS, and what its pattern found."""
    description = started["Properties"].get("spark.job.description") or ""
    found = ((phase, pattern.search(description)) for phase, pattern in DESCRIPTIONS.items())
    return next(((phase, match) for phase, match in found if match), None)


class Phases:
    """Follows one start of a job, whose event log is the only file in `folder`."""

    def __init__(self, folder: Path):
        self._folder, self._path, self._read, self._rest = folder, folder, 0, b""
        self._last_stage = 0
        self._history = [(time.monotonic(), Moment(STARTING, 0))]

    def now(self) -> Moment:
        """Where the job is. Spark writes the end of a stage and both ends of a job to the log at once."""
        for line in self._lines():
            if line.startswith(_EVENTS):
                moment = self._after(json.loads(line))
                if moment != self._history[-1][1]:
                    self._history.append((time.monotonic(), moment))
        return self._history[-1][1]

    @property
    def since(self) -> float:
        """When the phase began, as time.monotonic() counts."""
        return self._history[-1][0]

    def typical_seconds(self) -> dict[str, float]:
        """The median of the seconds that each phase took, as far as `now` was asked meanwhile."""
        taken = dict[str, list[float]]()
        for (begun, moment), (ended, _) in pairwise([*self._history, (time.monotonic(), self._history[-1][1])]):
            taken.setdefault(moment.phase, []).append(ended - begun)
        return {phase: statistics.median(seconds) for phase, seconds in taken.items()}

    def _lines(self) -> list[bytes]:
        """Whole lines that are new. Spark takes the log's name for that of a log it writes until the job ends."""
        if not self._path.is_file():
            self._path = next((path for path in self._folder.iterdir() if path.name[0] != "."), self._folder)
            if not self._path.is_file():
                return []
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                data = file.read()
        except FileNotFoundError:  # it has its last name now
            return []
        self._read += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines

    def _after(self, event: dict[str, Any]) -> Moment:
        """Where the job is after an event."""
        now = self._history[-1][1]
        match event["Event"]:
            case "SparkListenerJobStart":
                self._last_stage = max(event["Stage IDs"])
                return _begun(event) or now
            case "SparkListenerStageCompleted" if now.phase in (TRAINING, MERGING):
                stage = event["Stage Info"]
                if "Failure Reason" in stage:  # also of merging: where changes are lost, the replicas train again
                    return now._replace(phase=TRAINING)
                return now if stage["Stage ID"] == self._last_stage else now._replace(phase=MERGING)
            case "SparkListenerJobEnd" if now.phase in (TRAINING, MERGING):
                done = event["Job Result"]["Result"] == "JobSucceeded"
                return now._replace(phase=COMMITTING if done else TRAINING)
        return now


def _begun(started: dict[str, Any]) -> Moment | None:
    """Where a job is by the start of one of Spark's."""
    match phase_of(started):
        case (phase, found) if phase == ROUNDS:
            return Moment(TRAINING, int(found[1]))
        case (phase, _):
            return Moment(COUNTING if phase == NUMBERING else phase, 0)
    return None


def _order(phase: str) -> int:
    """The place of a phase among those of a start; all phases of the rounds have one."""
    return PHASES.index(TRAINING if phase in ROUND_PHASES else phase)

"""What a run of jobs/train.py took, by phase, from Spark's event log and the run's own metrics."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from phases import COUNTING, DESCRIPTIONS, ENCODING, ROUNDS, phase_of

from w2v_spark import store


@dataclass(frozen=True)
class Sizes:
    """What the seconds of a run depend on. `words` are those of the text, `records` the pairs of word and count that
    the map tasks of counting send, `kept` the words that are frequent enough, `vocabulary` those of them that are
    trained, `tasks` the map tasks of encoding. Of all rounds together: `syncs` are merges without storage, and
    `bytes_sent` what all replicas sent.
    """

    words: int
    records: int
    kept: int
    vocabulary: int
    tasks: int
    executors: int
    cores: int
    replicas: int
    exchange: str
    epochs: int
    rounds: int
    syncs: int
    vector_size: int
    bytes_sent: int

    @property
    def model_bytes(self) -> int:
        """syn0 and syn1."""
        return 8 * self.vocabulary * self.vector_size


@dataclass(frozen=True)
class Measured:
    """A run: its sizes, the seconds of each phase, and what its shuffles sent in bytes."""

    sizes: Sizes
    seconds: dict[str, float]
    bytes_counting: int
    bytes_encoding: int


@dataclass
class Jobs:
    """The jobs of a phase: when they ran, and of each of their stages what its tasks sent."""

    spans: list[tuple[float, float]]
    tasks: int = 0
    records: int = 0
    sent: int = 0

    def seconds(self) -> float:
        """The time in which any of them ran."""
        total, end = 0.0, 0.0
        for start, stop in sorted(self.spans):
            total += max(0.0, stop - max(start, end))
            end = max(end, stop)
        return total


def read_run(output: Path, events: Path, words: int, executors: int, cores: int) -> Measured:
    """A finished run on so many executors and cores in all, whose text had so many words; `events` is its event log.
    Ends the program where that lacks a phase.
    """
    with events.open(encoding="utf-8") as lines:
        jobs = jobs_by_phase(map(json.loads, lines))
    if lacking := [name for name, found in jobs.items() if not found.spans]:
        told = f"the event log {events} has no job of {', '.join(lacking)}"
        sys.exit(f"error: {told}: bring the descriptions in bench/phases.py up to date with the program's")
    model = store.open_model(str(output))
    params, rows = model.params, pq.read_table(output / store.METRICS).to_pylist()
    vocabulary = model.manifest["vocabulary"]["words"]
    sizes = Sizes(
        words=words,
        records=jobs[COUNTING].records,
        kept=vocabulary,
        vocabulary=vocabulary,
        tasks=jobs[ENCODING].tasks,
        executors=executors,
        cores=cores,
        replicas=params["num_replicas"],
        exchange=params["exchange"],
        epochs=params["max_iter"],
        rounds=len({row["round"] for row in rows}),
        syncs=sum(row["syncs"] for row in rows if row["shard"] == 0),
        vector_size=params["vector_size"],
        bytes_sent=sum(row["bytes_sent"] for row in rows),
    )
    seconds = {name: found.seconds() for name, found in jobs.items() if name != ROUNDS}
    return Measured(sizes, seconds | _of_rounds(rows), jobs[COUNTING].sent, jobs[ENCODING].sent)


def _of_rounds(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Seconds of all rounds: opening models, training, syncs, and all else, by the replica that took longest."""
    found = np.zeros(4)
    for number in sorted({row["round"] for row in rows}):
        mine = [row for row in rows if row["round"] == number]
        parts = np.array([[row["seconds_open"], row["seconds_train"], row["seconds_sync"]] for row in mine])
        slowest = parts[parts.sum(axis=1).argmax()]
        found += [*slowest, max(0.0, mine[0]["seconds_round"] - slowest.sum())]
    return dict(zip(("opening", "training", "syncs", "merging and writing"), found.tolist(), strict=True))


def jobs_by_phase(events: Iterable[dict[str, Any]]) -> dict[str, Jobs]:
    """The jobs of each phase."""
    phases = {name: Jobs([]) for name in DESCRIPTIONS}
    started, stages = dict[int, tuple[str, float]](), dict[int, str]()
    tasks = dict[int, int]()
    for event in events:
        match event["Event"]:
            case "SparkListenerJobStart":
                name, _ = phase_of(event) or ("", None)
                started[event["Job ID"]] = name, event["Submission Time"] / 1000
                stages |= dict.fromkeys(event["Stage IDs"], name)
            case "SparkListenerJobEnd":
                name, start = started[event["Job ID"]]
                if name:
                    phases[name].spans.append((start, event["Completion Time"] / 1000))
            case "SparkListenerTaskEnd":
                stage = event["Stage ID"]
                tasks[stage] = tasks.get(stage, 0) + 1
                written = (event.get("Task Metrics") or {}).get("Shuffle Write Metrics") or {}
                if name := stages.get(stage):
                    phases[name].records += written.get("Shuffle Records Written", 0)
                    phases[name].sent += written.get("Shuffle Bytes Written", 0)
    for name, phase in phases.items():
        mine = [stage for stage in stages if stages[stage] == name and stage in tasks]
        # the first stage of a phase reads the text
        phase.tasks = tasks[min(mine)] if mine else 0
    return phases

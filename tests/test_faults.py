"""Processes of a job on a cluster are killed, as bench/faults.py does it at random; and what it would find."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import faults
import faults_job
import numpy as np
import pytest
from conftest import ROOT
from encoded import EncodedRun
from faults_report import Drill, Kill, kills_table, write_results
from job import markdown
from phases import COMMITTING, COUNTING, ENCODING, MERGING, PHASES, STARTING, TRAINING, Moment, Phases
from simulate import simulate
from victims import MARK, marked_processes

import w2v_spark
from w2v_spark.params import ParamValues
from w2v_spark.vectors.save import write_model
from w2v_spark.vectors.vectors import Vectors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes by /proc")

PARAMETERS: ParamValues = {
    "num_replicas": 2,
    "threads_per_replica": 1,
    "rounds_per_epoch": 4,
    "max_iter": 1,
    "vector_size": 12,
}
# the last one ends the job
AIMS = [
    faults.Aim("Python worker", Moment(TRAINING, 1), 0.1),
    faults.Aim("executor", Moment(MERGING, 2), 0.0),
    faults.Aim("driver", Moment(COMMITTING, 2), 0.0),
]


@pytest.mark.slow  # and bench/faults.py kills many more
@pytest.mark.cluster
@linux
@pytest.mark.skipif(Path(sys.prefix).resolve() != ROOT / ".venv", reason="needs the environment of tests/run")
def test_a_job_survives_the_death_of_each_of_its_processes(spark: SparkSession, tmp_path: Path) -> None:
    text, output = tmp_path / "text.txt", tmp_path / "out"
    faults.write_text(text, 20_000, seed=1)
    conf = {"spark.sql.shuffle.partitions": "2"}
    setting = faults_job.Setting("local-cluster[1,2,1024]", conf, text, PARAMETERS, uuid.uuid4().hex)
    kills = killed_in_a_run(setting, output)
    assert [(kill.victim, kill.phase) for kill in kills] == [(aim.victim, aim.moment.phase) for aim in AIMS]
    shutil.copytree(output, tmp_path / "interrupted")
    # goes on in local mode, by the call of a notebook
    trained = w2v_spark.train(text, output, **PARAMETERS)
    assert faults_job.left_running(setting) == [] and faults_job.left_behind(output) == []
    # the bytes that undisturbed rounds give: test_rounds.py holds that
    corpus = EncodedRun.open(str(tmp_path / "interrupted"))
    undisturbed = {
        word: row.tobytes() for word, row in zip(corpus.words, simulate(corpus, trained.params), strict=True)
    }
    assert faults_job.read_vectors(output) == undisturbed


@pytest.mark.parametrize(
    ("description", "moment"),
    [
        ("count the words: totals", Moment(COUNTING, 0)),
        ("number the vocabulary", Moment(COUNTING, 0)),
        ("look at the encoded corpus", Moment(ENCODING, 0)),
        ("round 3/12 (attempt 2)", Moment(TRAINING, 3)),
        ("score the model of round 3", Moment(STARTING, 0)),
    ],
)
def test_a_job_is_in_the_phase_of_its_description(tmp_path: Path, description: str, moment: Moment) -> None:
    properties = {"spark.job.description": f"w2v_spark: {description}"}
    event = {"Event": "SparkListenerJobStart", "Stage IDs": [1], "Properties": properties}
    (tmp_path / "log").write_text(json.dumps(event, separators=(",", ":")) + "\n")
    assert Phases(tmp_path).now() == moment


def killed_in_a_run(setting: faults_job.Setting, output: Path) -> list[Kill]:
    """What was killed in one start of a job, which ends by it."""
    drill, end = Drill("", "local-cluster", "storage", 1, 0), time.monotonic() + 200
    running, phases = faults_job.start(setting, output)
    try:
        while running.poll() is None:
            assert time.monotonic() < end, faults_job.log_of(output)[-3000:]
            aims = AIMS[len(drill.kills) :]
            if aims and phases.now().is_in(aims[0].moment):
                killed = faults.hit(setting, aims[0], phases, drill, random.Random(1))
                drill.kills += [killed] if killed else []
            time.sleep(0.01)
        assert running.returncode, faults_job.log_of(output)[-3000:]
    finally:
        if running.poll() is None:
            for pid, _ in list(marked_processes(setting.mark)):
                os.kill(pid, signal.SIGKILL)
    return drill.kills


def model(path: Path, vectors: np.ndarray, words: list[str] | None = None) -> Path:
    write_model(Vectors(words or [f"t{i % 2}w{i}" for i in range(len(vectors))], vectors), str(path), {})
    return path


def test_what_is_lost_or_left_behind_is_found(tmp_path: Path) -> None:
    rows = np.random.default_rng(1).standard_normal((40, 8)).astype(np.float32)
    rows[::2, 0] += 9
    expected = model(tmp_path / "expected", rows)
    assert faults_job.compare(expected, expected, exact=True) == []
    nearly = model(tmp_path / "nearly", rows + np.float32(1e-3))
    assert faults_job.compare(nearly, expected, exact=True) == ["other vectors than in the undisturbed run"]
    assert faults_job.compare(nearly, expected, exact=False) == []
    assert "rows of a typical length" in faults_job.compare(model(tmp_path / "long", 2 * rows), expected, False)[0]
    mixed = model(tmp_path / "mixed", np.random.default_rng(1).permuted(rows, axis=0))
    assert "a topic score of" in faults_job.compare(mixed, expected, exact=False)[-1]
    others = model(tmp_path / "others", rows, [f"word{i}" for i in range(40)])
    assert faults_job.compare(others, expected, exact=False) == ["other words than in the undisturbed run"]
    (expected / "vectors" / "_temporary").mkdir()
    (expected / "vectors" / "part-1.parquet").touch()
    (expected / "work").mkdir()
    names = "work", "vectors/part-1.parquet", "vectors/_temporary"
    assert faults_job.left_behind(expected) == ["holds work", *(f"holds {expected / name}" for name in names[1:])]


@linux
def test_a_process_that_is_left_is_found_by_its_mark(tmp_path: Path) -> None:
    setting = faults_job.Setting("local", {}, tmp_path, {}, uuid.uuid4().hex)
    assert faults_job.left_running(setting) == []
    with subprocess.Popen(["sleep", "100"], env={**os.environ, MARK: setting.mark}) as left:
        # its environment can be read a moment after it was started
        end = time.monotonic() + 30
        while not (found := faults_job.left_running(setting, seconds=0)) and time.monotonic() < end:
            time.sleep(0.05)
        left.kill()
    assert [command.split() for command in found] == [["sleep", "100"]]


def test_each_pair_of_victim_and_phase_is_drawn_as_often() -> None:
    kinds, phases = faults.kinds_of_victims("standalone"), [p for p in PHASES if p not in ("starting", "first vectors")]
    plan = faults.Plan(kinds, phases, dict.fromkeys(phases, 1.0), random.Random(1))
    runs = [plan.of_a_run(6) for _ in range(3 * 4 * 6 // 6)]
    drawn = Counter((aim.victim.partition("'")[0], aim.moment.phase) for run in runs for aim in run)
    assert drawn == {(kind, phase): 3 for kind in kinds for phase in phases}
    for run in runs:
        assert not any(later.moment.is_past(earlier.moment) for later, earlier in zip(run, run[1:], strict=False))
        assert [a.moment.round for a in run if a.moment.round] == sorted(a.moment.round for a in run if a.moment.round)


def test_drills_are_kept_beside_each_other_each_by_its_command(tmp_path: Path) -> None:
    kills = [Kill(1, 1, "driver", TRAINING, 3), Kill(2, 2, "driver", MERGING, 1), Kill(2, 2, "executor", TRAINING, 2)]
    lost = Drill("first", "standalone", "storage", 1, 9, runs=2, starts=4, kills=kills, problems=["run1: holds work"])
    write_results(tmp_path / "faults", lost)
    write_results(tmp_path / "faults", Drill("second", "standalone", "direct", 1, 9, kills=kills[:1]))
    assert kills_table([lost], markdown).splitlines() == [
        "| killed | training | merging | times | survived | lost |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| executor | 1 | 0 | 1 | 0 | 1 |",
        "| driver | 1 | 1 | 2 | 1 | 1 |",
    ]
    text = (tmp_path / "faults.md").read_text()
    assert text.startswith("# Kills at random moments\n\n    first\n    second\n\n4 victims")
    assert "- run1: holds work" in text
    write_results(tmp_path / "faults", Drill("first", "standalone", "storage", 1, 9))
    assert "holds work" not in (tmp_path / "faults.md").read_text()

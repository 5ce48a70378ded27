"""Real clusters on this machine: executors as processes of their own, a standalone master and worker, spark-submit."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import LIGHT_JAVA, ROOT, write_small_text
from standalone import java_home
from standalone import standalone as standalone_cluster

import w2v_spark
from w2v_spark import store
from w2v_spark.vectors.load import read_model

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.cluster

SMALL: dict[str, Any] = {"vector_size": 12, "min_count": 2, "max_iter": 1, "rounds_per_epoch": 3}
SAME = {**SMALL, "num_replicas": 3, "threads_per_replica": 1}


def arguments(params: dict[str, Any]) -> list[str]:
    return [text for name, value in params.items() for text in ("--" + name.replace("_", "-"), str(value))]


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


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The text of all runs of this file."""
    return write_small_text(tmp_path_factory.mktemp("cluster") / "text")


@pytest.fixture(scope="module")
def local_vectors(spark: SparkSession, text: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The vectors that local mode gives by the parameters of `SAME`."""
    output = tmp_path_factory.mktemp("local") / "out"
    w2v_spark.train(text, output, **SAME)
    return vectors_of(output)


def test_executors_give_the_bytes_of_local_mode(text: Path, local_vectors: dict[str, bytes], tmp_path: Path) -> None:
    options = ["--master", "local-cluster[2,1,2048]", "--conf", "spark.sql.files.maxPartitionBytes=32768"]
    done = train(options, text, tmp_path / "out", *arguments(SAME))
    assert done.returncode == 0, done.stdout[-3000:]
    assert vectors_of(tmp_path / "out") == local_vectors


@pytest.fixture(scope="module")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a master with two workers: empty environment, HOME that cannot be written, directories of their
    own. The first's python3 has our packages, the second's is bare.
    """
    folder = tmp_path_factory.mktemp("standalone")
    ours, bare = folder / "ours", folder / "bare"
    ours.mkdir()
    (ours / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (ours / "python3").chmod(0o755)
    bare.mkdir()
    for name in ("python3", f"python3.{sys.version_info[1]}"):
        (bare / name).symlink_to(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info[1]}")
    light = {"SPARK_DAEMON_JAVA_OPTS": LIGHT_JAVA}
    with standalone_cluster(folder, f"{ours}:/usr/bin:/bin", f"{bare}:/usr/bin:/bin", environ=light) as cluster:
        yield cluster.address


LACKING = (
    "error: Spark's workers lack a package that training needs (No module named 'w2v_spark'): run ./spark-submit.sh "
    "--pack once and submit with ./spark-submit.sh, which sends w2v_spark and all that it needs; or install them in "
    "the workers' Python (PYSPARK_PYTHON)\n"
)


def test_one_worker_of_two_that_lacks_our_packages_is_found(standalone: str, text: Path, tmp_path: Path) -> None:
    done = vendor_submit(standalone, text, tmp_path / "out", "--conf", "spark.pyspark.python=python3")
    assert done.returncode == 2, done.stdout[-3000:]
    assert LACKING in done.stdout and "Traceback" not in done.stdout.partition("error: ")[2]
    assert "counted" not in done.stdout


@pytest.fixture(scope="module")
def archive() -> str:
    """The address of the packed environment."""
    subprocess.run([str(ROOT / "spark-submit.sh"), "--pack"], cwd=ROOT, check=True)
    return (ROOT / "build" / "environment.tar.gz").as_uri()


@pytest.mark.slow
def test_the_packed_job_runs_on_workers_without_our_packages(
    standalone: str, archive: str, text: Path, local_vectors: dict[str, bytes], tmp_path: Path
) -> None:
    done = train(["--master", standalone], text, tmp_path / "ours", *arguments(SAME))
    assert done.returncode == 0, done.stdout[-3000:]
    assert vectors_of(tmp_path / "ours") == local_vectors


@pytest.mark.slow
def test_any_spark_submit_runs_it_on_one_core_however_many_tasks_it_would_make(
    standalone: str, archive: str, text: Path, tmp_path: Path
) -> None:
    packed = ["--archives", f"{archive}#environment", "--conf", "spark.pyspark.python=./environment/bin/python"]
    one_core = ["--conf", "spark.cores.max=1", "--conf", "spark.default.parallelism=8"]
    done = vendor_submit(standalone, text, tmp_path / "out", *packed, *one_core)
    assert done.returncode == 0, done.stdout[-3000:]
    params = store.open_model(str(tmp_path / "out")).manifest["params"]
    assert (params["num_replicas"], params["threads_per_replica"]) == (1, 1)


def vendor_submit(master: str, source: Path, output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """spark-submit as any Spark installation has it."""
    import pyspark

    command = [str(Path(pyspark.__file__).parent / "bin" / "spark-submit"), "--master", master, *options]
    command += ["--conf", f"spark.pyspark.driver.python={sys.executable}", "--conf", "spark.ui.enabled=false"]
    command += ["--driver-java-options", LIGHT_JAVA]
    command += [str(ROOT / "jobs" / "train.py"), "--input", str(source), "--output", str(output), *arguments(SMALL)]
    environ = {name: os.environ[name] for name in ("SPARK_SUBMIT_OPTS",)}
    environ |= {"PATH": "/usr/bin:/bin", "JAVA_HOME": java_home(), "HOME": str(output.parent)}
    return subprocess.run(command, env=environ, cwd=output.parent, text=True, capture_output=True, timeout=300)

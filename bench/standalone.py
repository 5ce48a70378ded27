"""A real standalone Spark cluster on this machine: a master and workers, each a JVM of its own, on loopback."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyspark
from job import ROOT

SYSTEM_PATH = "/usr/bin:/bin"


class Standalone:
    """A master, and workers of so many cores each; `paths` are the PATHs that the workers have, `environ` what they
    have besides.
    """

    def __init__(self, folder: Path, paths: tuple[str, ...], cores: int, environ: Mapping[str, str]):
        self._folder, self._paths, self._cores, self._environ = folder, paths, cores, environ
        self._port = free_port()
        self.address = f"spark://127.0.0.1:{self._port}"
        self.workers: list[subprocess.Popen[bytes]] = []
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        options = ["--host", "127.0.0.1", "--port", str(self._port), "--webui-port", "0"]
        self._spawn("Master", SYSTEM_PATH, "master", options)
        self._wait_for("master", "elected leader")
        self.workers = [self._start_worker(i) for i in range(len(self._paths))]
        self._wait_for_workers(*range(len(self._paths)))

    def restart_dead_workers(self) -> None:
        """What an operator or a supervisor does."""
        dead = [i for i, worker in enumerate(self.workers) if worker.poll() is not None]
        for i in dead:
            self.workers[i] = self._start_worker(i)
        self._wait_for_workers(*dead)

    def stop(self) -> None:
        for process in self._started:
            process.terminate()
        for process in self._started:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()

    def _start_worker(self, number: int) -> subprocess.Popen[bytes]:
        options = ["--host", "127.0.0.1", "--webui-port", "0", "--cores", str(self._cores), "--memory", "2g"]
        options += ["--work-dir", str(self._folder / f"worker{number}"), self.address]
        return self._spawn("Worker", self._paths[number], f"worker{number}", options)

    def _wait_for_workers(self, *numbers: int) -> None:
        for number in numbers:
            self._wait_for(f"worker{number}", "registered with master")

    def _spawn(self, kind: str, path: str, name: str, options: list[str]) -> subprocess.Popen[bytes]:
        spark_home, directory = Path(pyspark.__file__).parent, self._folder / name
        directory.mkdir(exist_ok=True)
        environ = {
            **self._environ,
            "PATH": path,
            "JAVA_HOME": java_home(),
            "SPARK_HOME": str(spark_home),
            "HOME": "/nonexistent",
            "SPARK_NO_DAEMONIZE": "1",
            "SPARK_LOCAL_IP": "127.0.0.1",
        }
        command = [str(spark_home / "bin" / "spark-class"), f"org.apache.spark.deploy.{kind.lower()}.{kind}", *options]
        with (directory / "log").open("w") as log:
            process = subprocess.Popen(command, env=environ, cwd=directory, stdout=log, stderr=log)
        self._started.append(process)
        return process

    def _wait_for(self, name: str, line: str) -> None:
        wait_for(self._folder / name / "log", line)


@contextlib.contextmanager
def standalone(
    folder: Path, *paths: str, cores: int = 2, environ: Mapping[str, str] | None = None
) -> Iterator[Standalone]:
    """A cluster with a worker for each PATH, for the block."""
    cluster = Standalone(folder, paths, cores, environ or {})
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def java_home() -> str:
    """The Java that the jobs of this checkout use."""
    found = os.environ.get("JAVA_HOME") or (
        str(Path(os.path.realpath(java)).parents[1]) if (java := shutil.which("java")) else None
    )
    return found or str(ROOT / ".venv" / "jre")


def wait_for(log: Path, line: str, seconds: float = 60) -> None:
    """Wait until a log says this."""
    end = time.monotonic() + seconds
    while line not in log.read_text():
        if time.monotonic() > end:
            raise TimeoutError(log.read_text()[-3000:])
        time.sleep(0.2)

"""The built wheel in an environment of its own: queries without pyspark."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT


@pytest.mark.slow
def test_an_empty_environment_with_the_wheel_queries_vectors(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="builds the wheel")
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=ROOT, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run([str(venv / "bin" / "pip"), "install", "-q", str(wheel)], check=True)
    environ = {**os.environ, "PATH": str(venv / "bin"), "PYTHONPATH": ""}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(arguments, env=environ, cwd=tmp_path, text=True, capture_output=True)

    model = str(ROOT / "tests" / "data" / "model-v1")
    word = run("python", "-c", f"import w2v_spark; print(w2v_spark.Vectors.open({model!r}).index_to_key[0])").stdout
    asked = run("w2v", "query", "--vectors", model, "similar", word.strip(), "--top", "3")
    assert asked.returncode == 0 and len(asked.stdout.splitlines()) >= 3, asked.stderr
    assert run("python", "-c", "import pyspark").returncode != 0
    trained = run("w2v", "train", "--input", "x", "--output", "y")
    assert trained.returncode == 2 and "requires extra 'spark'" in trained.stderr

"""The built wheel: what it holds, and queries in an environment of its own, without pyspark."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

BUILD = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"


@pytest.mark.slow
def test_an_empty_environment_with_the_wheel_queries_vectors(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="builds the wheel")
    subprocess.run([sys.executable, "-c", BUILD, tmp_path], cwd=ROOT, check=True)
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


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of this checkout, with a CUDA source whether or not one is written yet."""
    pytest.importorskip("hatchling")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "w2v_spark", source / "w2v_spark", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    (source / "README.md").touch()
    (source / "w2v_spark" / "kernels" / "probe.cu").touch()
    subprocess.run([sys.executable, "-c", BUILD, out], cwd=source, check=True, capture_output=True)
    return zipfile.ZipFile(next(out.glob("*.whl")))


def test_wheel_holds_the_package(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert {"w2v_spark/py.typed", "w2v_spark/params.py", "w2v_spark/kernels/probe.cu"} <= set(names)
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"w2v_spark"}
    text = {name.rpartition("/")[2]: wheel.read(name).decode() for name in names if ".dist-info/" in name}
    assert "w2v = w2v_spark.cli:main" in text["entry_points.txt"]
    assert "License-Expression: Apache-2.0" in text["METADATA"]
    core = re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", text["METADATA"], re.MULTILINE)
    assert sorted(core) == ["numba", "numpy", "pyarrow"]

"""Checkouts to try the set-up and spark-submit.sh in: each with a small .venv of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ("spark-submit.sh", "conf/environment.sh", "tests/run", ".ci/run")
TOOLS = ("bash", "sh", "cat", "cp", "mv", "mkdir", "chmod", "rm", "dirname", "cmp", "tr", "sed")


def run(*words: str | Path, cwd: Path | None = None, **env: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs a command with this environment and nothing else in it."""
    return subprocess.run(
        [str(word) for word in words],
        env={name: str(value) for name, value in env.items()},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder for the PATH that has the tools of a bare machine, but neither Python nor Java."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in TOOLS:
        (folder / name).symlink_to(shutil.which(name) or name)
    return folder


@pytest.fixture
def checkout(template: Path, tmp_path: Path) -> Path:
    """A checkout of its own, in a folder whose name has a space."""
    return shutil.copytree(template, tmp_path / "my checkout", symlinks=True)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose set-up is done: its .venv is a small one that sees this one's packages."""
    root = tmp_path_factory.mktemp("template") / "my checkout"
    conf = ("submit.py", "java_classes.py", "java_classes_job.py", "pack.py", "w2v_spark.pth")
    others = (*(f"conf/{name}" for name in conf), "requirements.lock")
    for name in (*SCRIPTS, *others):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, root / name)
    (root / "jobs").mkdir()
    (root / "jobs" / "train.py").write_text("")
    (root / "w2v_spark").mkdir()
    (root / "w2v_spark" / "__init__.py").write_text("")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / ".venv"], check=True)
    site = next((root / ".venv").glob("lib/python3*/site-packages"))
    packages = Path(next(path for path in sys.path if (Path(path) / "pip").is_dir()))
    (site / "packages.pth").write_text(f"{packages}\n")
    in_checkout(root, "write_helpers; cp requirements.lock .venv/installed-requirements.lock", check=True)
    return root


def in_checkout(root: Path, command: str, check: bool = False, **env: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs shell code with conf/environment.sh loaded."""
    env.setdefault("PATH", os.environ["PATH"])
    bash = shutil.which("bash") or "bash"
    done = run(bash, "-euc", f"root=$PWD; . conf/environment.sh; {command}", cwd=root, **env)
    assert not check or done.returncode == 0, done.stderr
    return done

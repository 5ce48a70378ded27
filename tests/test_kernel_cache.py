"""Compiled kernels on disk: found again wherever the package lies, and kept where nobody else can write."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import w2v_spark
from w2v_spark.kernels import cache

RUN = """
import sys, numpy as np
from w2v_spark.kernels import adasum, cache, cpu
assert "EXPECT" in cpu.__file__, cpu.__file__
block = np.ones((2, 3), np.float32)
adasum.adasum_add(np.zeros((1, 2, 3), np.float32), np.zeros(2, np.int64), np.arange(2, dtype=np.int32), block)
if len(sys.argv) > 1:
    print(sum(adasum._adasum_adder().stats.cache_hits.values()))
    sys.exit()
kernel = cpu.compile_kernel("skip_gram", "negative_sampling", 8, 1, 2)
one = np.full(4, 2**32 - 1, np.uint32)
model = np.zeros((4, 16), np.float32)
words = np.arange(4, dtype=np.int32)
outputs = cpu.Outputs.of_counts("negative_sampling", np.ones(4, np.int64))
kernel(words, np.array([0, 4]), model, model.copy(), one, outputs, .1, .1, 1)
hits = [sum(f.stats.cache_hits.values()) for f in (kernel._train, adasum._adasum_adder())]
print(cache.cache_directory(), *hits)
"""


def test_of_processes_that_start_at_once_one_compiles(tmp_path):
    package = Path(w2v_spark.__file__).parents[1]
    with ThreadPoolExecutor() as both:
        found = both.map(lambda _: run_from(package, "adasum", NUMBA_CACHE_DIR=str(tmp_path)), range(2))
        assert sorted(found) == [["0"], ["1"]]


def run_from(path, *arguments, **environment):
    env = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME")}
    env |= {"PYTHONPATH": str(path)} | environment
    code = RUN.replace("EXPECT", str(path))
    done = subprocess.run([sys.executable, "-c", code, *arguments], env=env, cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_kernels_of_old_versions_are_removed(tmp_path, monkeypatch):
    for i in range(9):
        (tmp_path / f"kernels-{i:016x}").mkdir()
        (tmp_path / f"kernels-{i:016x}" / "kernel.nbc").touch()
        os.utime(tmp_path / f"kernels-{i:016x}", (i, i))
    (tmp_path / "kernels-of-others").mkdir()
    monkeypatch.setattr(cache, "cache_directory", lambda: tmp_path)
    locator = cache._Locator(test_kernels_of_old_versions_are_removed)
    locator.ensure_cache_path()
    left = {path.name for path in tmp_path.iterdir()}
    newest = {f"kernels-{i:016x}" for i in range(9)[1 - cache._MOST_VERSIONS :]}
    assert left == {"kernels-of-others", Path(locator.get_cache_path()).name} | newest


@pytest.mark.slow
def test_package_in_a_zip_compiles_once_wherever_the_zip_lies(tmp_path):
    package = Path(w2v_spark.__file__).parent
    homes = {"HOME": str(tmp_path / "home")}
    (tmp_path / "home").mkdir(mode=0o700)
    archives = [tmp_path / name / "package.zip" for name in ("first", "second")]
    for archive in archives:
        archive.parent.mkdir()
        with zipfile.ZipFile(archive, "w") as writer:
            for file in package.rglob("*.py"):
                writer.write(file, file.relative_to(package.parent))
    directory = str(tmp_path / "home" / ".cache" / "w2v_spark")
    assert run_from(archives[0], **homes) == [directory, "0", "0"]
    assert run_from(archives[1], **homes) == [directory, "1", "1"]
    for damage in (b"no pickle", pickle.dumps(7)):
        for damaged in Path(directory).rglob("*.nb*"):
            damaged.write_bytes(damage)
        assert run_from(archives[1], "adasum", **homes) == ["0"]
        assert run_from(archives[1], "adasum", **homes) == ["1"]


@pytest.fixture
def directory_chosen(monkeypatch, tmp_path):
    """Asks anew where compiled kernels go, with HOME and the directory for temporary files below tmp_path."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    return cache.cache_directory.__wrapped__


def test_compiled_code_is_kept_in_a_private_directory(directory_chosen, tmp_path):
    assert directory_chosen() == tmp_path / "cache" / "w2v_spark"
    assert (tmp_path / "cache" / "w2v_spark").stat().st_mode & 0o777 == 0o700


def test_the_users_own_directory_wins(directory_chosen, tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "mine"))
    assert directory_chosen() == tmp_path / "mine"


@pytest.mark.parametrize("spoil", ["open to others", "a link", "a file", "in an open directory", "relative"])
def test_a_directory_that_others_could_write_to_is_not_used(directory_chosen, tmp_path, monkeypatch, spoil):
    wanted = tmp_path / "cache" / "w2v_spark"
    wanted.parent.mkdir()
    if spoil == "open to others":
        wanted.mkdir()
        wanted.chmod(0o755)
    elif spoil == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        wanted.symlink_to(tmp_path / "elsewhere")
    elif spoil == "a file":
        wanted.touch(mode=0o600)
    elif spoil == "in an open directory":
        wanted.parent.chmod(0o777)
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    fallback = tmp_path / "tmp" / f"w2v_spark-{os.geteuid()}"
    assert directory_chosen() == fallback
    fallback.chmod(0o770)
    assert directory_chosen() is None

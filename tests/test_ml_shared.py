"""Vectors that the Python workers of an executor share."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from w2v_spark import Vectors
from w2v_spark.executor_files import kept_on_executor
from w2v_spark.ml import shared
from w2v_spark.vectors.save import write_model


def _write(path: Path, value: float) -> str:
    write_model(Vectors(["a\nb", "c"], np.full((2, 3), value, np.float32)), str(path), {})
    return str(path)


def test_they_are_mapped_and_the_oldest_files_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = tmp_path / "blockmgr"
    local.mkdir()
    monkeypatch.setenv("SPARK_LOCAL_DIRS", f"{local},{tmp_path / 'other'}")
    first = shared.open_on_worker(_write(tmp_path / "0", 0.0))
    assert isinstance(first.vectors.base, np.memmap)
    assert first.index_to_key == ["a\nb", "c"]
    assert shared.open_on_worker(str(tmp_path / "0")) is first
    for i in range(1, 6):
        assert shared.open_on_worker(_write(tmp_path / str(i), i)).vectors[1, 2] == i
    assert len([path for path in (local / "w2v_spark" / "vectors").iterdir() if path.is_dir()]) == 4
    assert not first.vectors.any()
    assert not shared.open_on_worker(str(tmp_path / "0")).vectors.any(), "it is written again"


def test_models_in_rotation_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path / "local"))
    made = list[str]()

    def use(content: str) -> str:
        def make(folder: Path) -> None:
            made.append(content)
            (folder / "file").write_text(content)

        return kept_on_executor("texts", content, make, lambda folder: (folder / "file").read_text(), 2)

    for content in ("a", "b", "a", "c", "a"):
        assert use(content) == content
        time.sleep(0.02)  # the clock of file systems has ticks
    assert made == ["a", "b", "c"], "what was used last stays, not what was made last"


def test_another_model_in_the_same_directory_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path))
    directory = _write(tmp_path / "model", 1.0)
    assert shared.open_on_worker(directory).vectors[0, 0] == 1
    shutil.rmtree(directory)
    assert _write(tmp_path / "model", 2.0) == directory
    assert shared.open_on_worker(directory).vectors[0, 0] == 2

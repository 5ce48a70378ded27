"""Runs that end before their time: ended at a certain place, and what they are compared with."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

import w2v_spark
from w2v_spark import store
from w2v_spark.spark import loop
from w2v_spark.vectors.load import read_model

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SMALL: dict[str, Any] = {
    "vector_size": 12,
    "min_count": 1,
    "max_iter": 2,
    "num_replicas": 2,
    "threads_per_replica": 1,
    "rounds_per_epoch": 2,
}


class Interrupted(BaseException):
    """Stands for what ends a driver at a certain place."""


@pytest.fixture(scope="session")
def whole(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, int]:
    """A text, the vectors of an undisturbed run on it, and its rounds."""
    place = tmp_path_factory.mktemp("whole")
    text = place / "text.txt"
    text.write_text("".join(f"sea{i % 7} hill{i % 11} town{i % 13} star{i % 5}\n" for i in range(4000)))
    w2v_spark.train(text, place / "out", **SMALL)
    return text, vectors_of(place / "out"), rounds_of(place / "out")


def vectors_of(output: Path) -> bytes:
    _, _, vectors = read_model(store.open_model(str(output)))
    return bytes(vectors.tobytes())


def rounds_of(output: Path) -> int:
    """Rounds that the metrics tell of, each once for each replica."""
    table = pq.read_table(output / "metrics")
    numbers = table["round"].to_pylist()
    assert sorted(numbers) == [n for n in range(1, max(numbers) + 1) for _ in range(2)]
    return max(numbers)


def check_as_undisturbed(output: Path, whole: tuple[Path, bytes, int]) -> None:
    """The model is that of the undisturbed run, with all its rounds, and nothing else is there."""
    _, vectors, in_all = whole
    assert vectors_of(output) == vectors and rounds_of(output) == in_all
    assert is_clean(output)


def is_clean(output: Path) -> bool:
    """Nothing but a model lies there, and nothing that a writer left."""
    names = {p.name for p in output.iterdir() if not p.name.startswith(".")}
    left = [p for p in output.rglob("*") if "_temporary" in p.name or re.match(r"\.\w+\.json\.", p.name)]
    return names <= {"model.json", "report.html", "vocab", "vectors", "metrics"} and not left


def interrupt(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, when: Callable[..., bool]) -> None:
    """End the driver where this function is called so."""
    real = getattr(module, name)

    def stop(*args: Any, **options: Any) -> Any:
        if when(*args, **options):
            raise Interrupted
        return real(*args, **options)

    monkeypatch.setattr(module, name, stop)


def train_until_interrupted(text: Path, output: Path, **more: Any) -> None:
    with pytest.raises(Interrupted):
        w2v_spark.train(text, output, **SMALL, **more)


def interrupted(monkeypatch: pytest.MonkeyPatch, text: Path, output: Path, round: int = 3) -> None:
    """A run that ended after so many rounds."""
    with monkeypatch.context() as patched:
        interrupt(patched, loop, "write_metrics", lambda work, number, rows: number == round + 1)
        train_until_interrupted(text, output)

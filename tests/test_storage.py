"""What storage does to a run and a model: a disk that fills up or is read-only, files that are damaged or strange."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import w2v_spark
from w2v_spark import Vectors
from w2v_spark.errors import FormatError, OutputError, W2VError
from w2v_spark.spark import attempts, fit
from w2v_spark.spark.read import Source

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SMALL: dict[str, Any] = {
    "vector_size": 100,
    "min_count": 1,
    "max_iter": 1,
    "num_replicas": 2,
    "threads_per_replica": 1,
    "rounds_per_epoch": 3,
}


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("".join(f"sea{i % 239} hill{i % 271} town{i % 303}\n" for i in range(1000)))
    return path


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Callable[[str], None]]]:
    """A file system of its own, and a function that changes its mount options."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(*options: str) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(place)], check=True)

    try:
        mount("size=840k")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount a file system")
    yield place, lambda options: mount("remount", options)
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.slow
def test_a_disk_that_fills_up_while_rounds_are_committed(
    spark: SparkSession,
    text: Path,
    tmp_path: Path,
    disk: tuple[Path, Callable[[str], None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place, remount = disk
    monkeypatch.setattr(attempts, "STORAGE_SECONDS", (0, 0, 0))
    with pytest.raises(
        W2VError, match=r"No space left on device; what was done before is kept, and the same command goes"
    ):
        w2v_spark.train(text, place / "out", **SMALL)
    with pytest.raises(FormatError, match="holds an unfinished run"):
        Vectors.open(place / "out")
    remount("size=50m")
    w2v_spark.train(text, place / "out", **SMALL)
    expected = w2v_spark.train(text, tmp_path / "expected", **SMALL).wv
    assert Vectors.open(place / "out").vectors.tobytes() == expected.vectors.tobytes()


def test_a_disk_that_is_read_only(spark: SparkSession, text: Path, disk: tuple[Path, Callable[[str], None]]) -> None:
    place, remount = disk
    remount("ro")
    with pytest.raises(OutputError, match=r"^output file:\S+/out cannot be written: .*Read-only file system"):
        w2v_spark.train(text, place / "out", **SMALL)


def test_counts_of_an_earlier_run(
    spark: SparkSession, text: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A stray file beside them is not read, and one that is damaged is named."""

    def words(min_count: int) -> set[str]:
        with fit.prepare(Source(paths=(str(text),)), tmp_path / "out", **SMALL | {"min_count": min_count}) as prepared:
            return set(prepared.vocabulary.read()["word"].to_pylist())

    assert len(words(1)) == 813
    file = next((tmp_path / "out" / "work").glob("*/counts/*.parquet"))
    pq.write_table(pa.table({"word": ["stray"], "count": [1000]}), file.with_name("part-99999.parquet"))
    assert words(2) == words(1)
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 1
    file.write_bytes(data)
    with pytest.raises(FormatError, match=rf"^file:/+{file} cannot be read by Spark \("):
        words(3)
    assert words(3) <= words(1)  # they are counted anew
    (file,) = (tmp_path / "out" / "work").glob("*/counts/*.parquet")
    data = bytearray(file.read_bytes())
    file.write_bytes(data[:-1])
    assert words(4) <= words(1)
    assert (
        f"{file} has {len(data) - 1} bytes, the manifest says {len(data)} bytes: the counts of an earlier run"
        in caplog.text
    )


@pytest.fixture(scope="module")
def model(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("model")
    (place / "text.txt").write_text("one two three four five six seven\n" * 100)
    w2v_spark.train(place / "text.txt", place / "out", vector_size=100, min_count=1, max_iter=1)
    return place / "out"


@pytest.mark.parametrize("damage", ["flipped", "cut", "missing", "empty"])
def test_a_damaged_file_of_a_model_is_never_read_as_whole(model: Path, tmp_path: Path, damage: str) -> None:
    subprocess.run(["cp", "-r", str(model), str(tmp_path / "out")], check=True)
    file = next((tmp_path / "out" / "vectors").glob("*.parquet"))
    data = bytearray(file.read_bytes())
    if damage == "missing":
        file.unlink()
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    else:
        file.write_bytes(data[: len(data) // 2 if damage == "cut" else 0])
    with pytest.raises(FormatError, match=rf"{file.name} (is missing|has \d+ bytes|cannot be read as Parquet)"):
        Vectors.open(tmp_path / "out")


def test_what_the_manifest_does_not_name_is_not_read(model: Path, tmp_path: Path) -> None:
    subprocess.run(["cp", "-r", str(model), str(tmp_path / "out")], check=True)
    file = next((tmp_path / "out" / "vectors").glob("*.parquet"))
    file.with_name("part-99999-stray.snappy.parquet").write_bytes(file.read_bytes())
    (file.parent / "_SUCCESS").unlink()
    assert len(Vectors.open(tmp_path / "out")) == 7

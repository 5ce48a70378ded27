"""Storage that fails for a while or for good, and rounds that it has damaged."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from file_systems import LikeHdfs, damage_file, place_of
from interrupted_runs import SMALL, check_as_undisturbed, interrupted, rounds_of, vectors_of

import w2v_spark
from w2v_spark.errors import FormatError, StorageError, W2VError
from w2v_spark.place import Place
from w2v_spark.spark import attempts
from w2v_spark.workdir.pointer import Pointer

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_storage_that_fails_for_a_while_costs_a_round_and_no_more(
    spark: SparkSession,
    whole: tuple[Path, bytes, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """On what the driver takes for hdfs."""
    failed: list[str] = []

    def fail_twice(operation: str, path: str) -> None:
        of_this_round = "/r00002" in path and len(failed) < 2
        if of_this_round and (operation == "list" if failed else operation == "open" and "matrix=metrics" in path):
            failed.append(path)
            raise OSError(255, f"HDFS {operation} failed")

    monkeypatch.setattr(attempts, "STORAGE_SECONDS", (0, 0, 0))
    monkeypatch.setattr(Place, "open", lambda address: place_of(LikeHdfs(fail_twice), address.removeprefix("file:")))
    w2v_spark.train(whole[0], tmp_path / "out", **SMALL)
    monkeypatch.undo()
    assert re.search(r"round 2/\d+ .* failed: .*cannot be read: .*HDFS open failed.*; once more \(1 of", caplog.text)
    assert re.search(r"round 2/\d+ .* failed: .*cannot be listed: .*HDFS list failed.*; once more \(2 of", caplog.text)
    assert "damaged" not in caplog.text and "going back" not in caplog.text
    check_as_undisturbed(tmp_path / "out", whole)


def test_a_listing_without_a_file_and_a_pointer_that_is_not_written_cost_a_try_each(
    spark: SparkSession,
    whole: tuple[Path, bytes, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    listed, moved, left = Pointer.of_directory, Pointer.move, {"listing": 1, "writing": 1}

    def list_late(work: Place, round: int, directory: str, partitions: int) -> Pointer:
        pointer = listed(work, round, directory, partitions)
        if round == 2 and left["listing"]:
            left["listing"] -= 1
            pointer.files["syn1"].pop()
        return pointer

    def write_late(pointer: Pointer, work: Place, before: Pointer | None) -> None:
        if pointer.round == 3 and left["writing"]:
            left["writing"] -= 1
            raise OSError(255, "HDFS: name node fails over")
        moved(pointer, work, before)

    monkeypatch.setattr(attempts, "STORAGE_SECONDS", (0, 0, 0))
    monkeypatch.setattr(Pointer, "of_directory", list_late)
    monkeypatch.setattr(Pointer, "move", write_late)
    w2v_spark.train(whole[0], tmp_path / "out", **SMALL)
    assert left == {"listing": 0, "writing": 0}
    assert re.search(
        r"round 2/\d+ .* failed: \S+ lists \d+ files of syn1, and tasks .*; once more \(1 of 3\)", caplog.text
    )
    assert re.search(r"noting round 3 failed: \S+ cannot be written: .*fails over; once more", caplog.text)
    check_as_undisturbed(tmp_path / "out", whole)


def test_storage_that_goes_on_failing_is_told(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    tried, paused = [], []

    def step(attempt: int) -> None:
        tried.append(attempt)
        raise StorageError("s3a://bucket/a.parquet cannot be read: AWS Error ACCESS_DENIED")

    monkeypatch.setattr(attempts.time, "sleep", paused.append)
    with pytest.raises(W2VError) as caught:
        attempts.redo(spark, "publishing", step)
    assert str(caught.value) == (
        "publishing failed 4 times, the last time with: s3a://bucket/a.parquet cannot be read: AWS Error "
        "ACCESS_DENIED; what was done before is kept, and the same command goes on from there"
    )
    assert tried == [1, 2, 3, 4] and paused == [2, 10, 30]


@pytest.mark.parametrize(
    "damage", [pytest.param("missing", marks=pytest.mark.slow), pytest.param("cut", marks=pytest.mark.slow), "flipped"]
)
def test_a_damaged_round_is_left_for_the_one_before(
    spark: SparkSession,
    whole: tuple[Path, bytes, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    damage: str,
) -> None:
    text, vectors, in_all = whole
    output = tmp_path / "out"
    interrupted(monkeypatch, text, output)
    pointers = Pointer.read(Place.open(output / "work"))
    assert [p.round for p in pointers] == [3, 2]
    damage_file(output / "work" / pointers[0].directory / pointers[0].files["syn1"][0].name, damage)
    w2v_spark.train(text, output, **SMALL)
    assert "going back to round 2" in caplog.text
    assert vectors_of(output) == vectors and rounds_of(output) == in_all


def test_nothing_to_go_back_to(
    spark: SparkSession, whole: tuple[Path, bytes, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, output = whole[0], tmp_path / "out"
    interrupted(monkeypatch, text, output, round=1)
    for pointer in Pointer.read(Place.open(output / "work")):
        damage_file(output / "work" / pointer.directory / pointer.files["syn0"][0].name, "missing")
    with pytest.raises(
        FormatError,
        match=r"is missing, the manifest says \d+ bytes: the unfinished run cannot go on; give --overwrite to",
    ):
        w2v_spark.train(text, output, **SMALL)

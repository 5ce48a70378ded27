"""Claiming an output: what is taken, what is refused, and how a run learns that another has taken over."""

from __future__ import annotations

import contextlib
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from w2v_spark import store
from w2v_spark.errors import FormatError, OutputError
from w2v_spark.place import Place
from w2v_spark.spark import fit, lease
from w2v_spark.spark.claim import claim_output
from w2v_spark.spark.read import Source
from w2v_spark.spark.run import Run
from w2v_spark.workdir.pointer import Pointer

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def claim(directory: Path, application: str = "local-1", overwrite: bool = False) -> Run:
    """A run whose driver then gives no more signs of life."""
    run = claim_output(Place.open(directory), application, overwrite)
    run.release()
    return run


def refusal(directory: Path, overwrite: bool = False) -> str:
    with pytest.raises(OutputError) as caught:
        claim(directory, overwrite=overwrite)
    return str(caught.value)


def put(directory: Path, *names: str, text: str = "{}") -> None:
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)


def not_ours(directory: Path, names: str) -> str:
    return f"output {directory} holds files that are not ours ({names}): give an empty or new directory"


def test_a_later_run_takes_over_what_is_done(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = claim(tmp_path / "new" / "out")
    key = first.key("the input", 5)
    assert key and first.key(None, 5) is None
    first.begin("counts")
    counts = Path(first.own.path) / "counts" / "part-0.parquet"
    put(counts.parent, counts.name)
    facts = {"words": 7, "files": [{"name": counts.name, "bytes": 2}]}
    first.mark("counts", key, facts)
    first.mark("vocabulary", key, {})
    second = claim(tmp_path / "new" / "out", "local-2")
    assert second.done("counts", key, "counts") == {"key": key, "run": first.tag, **facts}
    assert second.done("counts", None, "counts") is None and second.place("counts") == first.own
    counts.write_text("")
    assert second.done("counts", key, "counts") is None
    assert (
        f"{counts} has 0 bytes, the manifest says 2 bytes: the counts of an earlier run cannot be used" in caplog.text
    )
    assert second.tag != first.tag and second.tag.isalnum()
    second.begin("vocabulary")
    assert second.key_of("vocabulary") is None and second.key_of("counts") == key


def test_a_run_that_lost_its_output_stops(tmp_path: Path) -> None:
    first = claim(tmp_path)
    first.still_ours()
    second = claim(tmp_path, "application_17_0001")
    expected = (
        f"output {tmp_path} is no longer this run's: application application_17_0001 has taken it over from "
        "application local-1; give each run a directory of its own"
    )
    for step in (
        first.still_ours,
        lambda: first.publish({}),
        lambda: first.begin("counts"),
        lambda: first.mark("counts", None, {}),
    ):
        with pytest.raises(OutputError) as caught:
            step()
        assert str(caught.value) == expected
    first.finish(keep_work=False)
    second.still_ours()
    second.finish(keep_work=False)
    assert not (tmp_path / "work").exists()
    second.finish(keep_work=True)
    with pytest.raises(OutputError, match=r"its work/run.json is gone, removed or brought to its end by another run"):
        second.still_ours()


def test_two_runs_of_one_application_are_told_apart(tmp_path: Path) -> None:
    first, second = claim(tmp_path), claim(tmp_path)
    second.still_ours()
    with pytest.raises(OutputError, match="application local-1 has taken it over from application local-1"):
        first.still_ours()


def test_what_a_run_left_that_died_early_can_be_claimed(tmp_path: Path) -> None:
    (tmp_path / "a" / "work").mkdir(parents=True)
    put(tmp_path / "b", "work/.run.json.1f", "work/0a1b2c3d/counts/_temporary/0/part")
    put(tmp_path / "c", "work/run.json", text="")
    put(tmp_path / "d", "work/run.json", text='{"format": "w2v_spark", "stages": [1]}')
    put(
        tmp_path / "e",
        "work/run.json",
        "vectors/part-0.parquet",
        "vocab/_temporary/0/x",
        text='{"format": "w2v_spark"}',
    )
    put(tmp_path / "f", ".DS_Store")
    for name in "abcdef":
        assert claim(tmp_path / name).stages == {}


@pytest.mark.parametrize(
    "name",
    [
        "vocab/_started_8123",
        "vectors/_committed_8123",
        "metrics/_committed_vacuum12",
        "vectors/.nfs0000000001",
        "vocab/.DS_Store",
        "vectors/_temporary_$folder$",
        "vectors_$folder$",
        ".DS_Store",
        ".nfs0000000001",
    ],
)
def test_what_platforms_leave_is_no_ones(tmp_path: Path, name: str) -> None:
    manifest = store.model_manifest({"vector_size": 2}, {store.VECTORS: []})
    put(tmp_path / "done", "model.json", text=json.dumps(manifest))
    put(tmp_path / "done", "vocab/part-0.parquet", "vectors/part-0.parquet", "metrics/part-0.parquet", name)
    put(tmp_path / "begun", "work/run.json", name, text='{"format": "w2v_spark"}')
    claim(tmp_path / "done", overwrite=True)
    claim(tmp_path / "begun")


def test_what_is_not_ours_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "mine", "letter.txt", "work/draft.txt")
    put(tmp_path / "draft", "work/draft.txt", "work/0a1b2c3d")
    put(tmp_path / "other", "work/run.json", "work/go.sh")
    put(tmp_path / "bare", "vectors/part-0", "vocab/part-0")
    put(tmp_path / "mixed", "model.json", "letter.txt")
    put(tmp_path / "alien", "model.json")
    put(tmp_path / "guest", "vectors/notes.txt", "vectors/_SUCCESS", "work/run.json", text='{"format": "w2v_spark"}')
    for overwrite in (False, True):
        assert refusal(tmp_path / "mine", overwrite) == not_ours(tmp_path / "mine", "letter.txt")
        assert refusal(tmp_path / "draft", overwrite) == not_ours(tmp_path / "draft", "work/draft.txt")
        assert refusal(tmp_path / "other", overwrite) == not_ours(tmp_path / "other", "work/go.sh")
        assert refusal(tmp_path / "bare", overwrite) == not_ours(tmp_path / "bare", "vectors, vocab")
        assert refusal(tmp_path / "guest", overwrite) == not_ours(tmp_path / "guest", "vectors/notes.txt")
        assert refusal(tmp_path / "mixed", overwrite) == not_ours(tmp_path / "mixed", "letter.txt")
        assert refusal(tmp_path / "alien", overwrite) == (
            f"output {tmp_path}/alien holds a model.json that is not ours: give an empty or new directory "
            f"({tmp_path}/alien/model.json was not written by w2v_spark)"
        )
    assert (tmp_path / "mine" / "letter.txt").exists()


def test_a_path_that_spark_takes_for_a_pattern(tmp_path: Path) -> None:
    for name in ("a[1]", "b*", "c?", "d{x}", "e\\"):
        text = refusal(tmp_path / name)
        assert text.endswith("in its path, a pattern to Spark: give another directory")
    assert not list(tmp_path.iterdir())


def test_a_finished_model_and_a_file(tmp_path: Path) -> None:
    manifest = store.model_manifest({"vector_size": 2}, {store.VECTORS: []})
    put(tmp_path / "done", "model.json", text=json.dumps(manifest))
    assert refusal(tmp_path / "done") == (
        f"output {tmp_path}/done holds a finished model: give overwrite=True (--overwrite) to replace it, or another "
        "directory"
    )
    put(tmp_path, "file")
    assert refusal(tmp_path / "file").startswith(f"output {tmp_path}/file cannot be written: ")
    assert refusal(tmp_path / "file" / "out").startswith(f"output {tmp_path}/file/out cannot be written: ")


TABLES = (store.VOCAB, store.VECTORS, store.METRICS)


def put_model(directory: Path, name: str) -> dict[str, Any]:
    """A model of one file in each table; its manifest, which is not written."""
    for table in TABLES:
        (directory / table).mkdir(parents=True)
        pq.write_table(pa.table({"model": [name]}), directory / table / f"part-{name}.parquet")
    files = {table: Place.open(directory / table).files() for table in TABLES}
    return store.model_manifest({"vector_size": 2}, files)


def models_in(output: Path) -> set[str]:
    """The names of the models whose files lie in the output's tables."""
    return {path.name for path in output.glob("*/part-*")}


def test_a_model_moves_into_its_place_whole(tmp_path: Path) -> None:
    put(tmp_path, "model.json", text=json.dumps(put_model(tmp_path, "old")))
    put(tmp_path, "report.html")
    run = claim(tmp_path, overwrite=True)
    manifest = put_model(Path(run.draft.path), "new")
    assert models_in(tmp_path) == {"part-old.parquet"} and (tmp_path / "model.json").exists()
    run.publish(manifest)
    assert models_in(tmp_path) == {"part-new.parquet"} and store.open_model(str(tmp_path)).manifest == manifest
    assert not (tmp_path / "report.html").exists() and not run.draft.exists()


@pytest.mark.parametrize("step", range(6))
def test_two_runs_that_publish_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """The second begins and ends right after one of the looks of the first, which is too late for a look to help."""
    first = claim(tmp_path)
    manifest, looks, look = put_model(Path(first.draft.path), "first"), itertools.count(), first.still_ours

    def be_overtaken() -> None:
        look()
        if next(looks) == step:
            second = claim(tmp_path, "local-2", overwrite=True)
            second.publish(put_model(Path(second.draft.path), "second"))
            second.finish(keep_work=False)

    monkeypatch.setattr(first, "still_ours", be_overtaken)
    # the last look stands before the manifest
    with pytest.raises((OutputError, OSError)) if step < 4 else contextlib.nullcontext():
        first.publish(manifest)
    for table in TABLES:
        assert len({path.name for path in (tmp_path / table).glob("part-*")}) == 1
    with contextlib.suppress(FormatError):  # whoever goes by the manifest is told, or reads the whole of one model
        model = store.open_model(str(tmp_path))
        for table in TABLES:
            store.read_files(Place.open(tmp_path / table), model.files(table))
        assert models_in(tmp_path) == {model.files(table)[0].name for table in TABLES}
    if step == 5:
        assert store.open_model(str(tmp_path)).manifest == manifest


def test_a_plan_drops_no_rounds(tmp_path: Path) -> None:
    run = claim(tmp_path)
    Pointer(0, f"{run.tag}/rounds/r00000", 1, {}).move(run.work, None)
    run.begin_training({"given": {}})
    with pytest.raises(OutputError) as caught:
        claim_output(Place.open(tmp_path), "local-2", overwrite=True, only_plan=True)
    assert str(caught.value) == (
        f"output {tmp_path} holds an unfinished run, whose rounds --overwrite would drop: plan without --overwrite, or "
        "with another --output"
    )
    run.still_ours()
    planned = claim_output(Place.open(tmp_path), "local-2", overwrite=False, only_plan=True)
    planned.release()
    assert planned.training == {"given": {}}


def test_a_second_run_waits_and_is_refused_while_the_first_lives(
    spark: SparkSession, small_text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.2)
    source, small = Source(paths=(str(small_text),)), {"vector_size": 10, "max_iter": 1}
    with fit.prepare(source, tmp_path / "out", **small) as first:
        with pytest.raises(OutputError, match=r"is in use by application local-\d+ \("):
            fit.train(small_text, tmp_path / "out", **small)
        first.train()
    assert store.open_model(str(tmp_path / "out")).params["vector_size"] == 10


def test_a_run_taken_for_dead_stops_when_it_wakes(spark: SparkSession, small_text: Path, tmp_path: Path) -> None:
    with fit.prepare(Source(paths=(str(small_text),)), tmp_path / "out", vector_size=10, max_iter=1) as first:
        first.run.release()
        fit.train(small_text, tmp_path / "out", vector_size=10, max_iter=1, keep_work=True)
        with pytest.raises(OutputError, match=r"is no longer this run's: application local-\d+ has taken it over"):
            first.train()


@pytest.mark.parametrize(("damaged", "left"), [("phrases-1", set()), ("counts", {"phrases-1"}), ("corpus", None)])
def test_a_stage_whose_file_is_damaged_is_done_anew(tmp_path: Path, damaged: str, left: set[str] | None) -> None:
    run = claim(tmp_path)
    stages = ("phrases-1", "counts", "vocabulary", "corpus")
    for stage in stages:
        run.mark(stage, "key", {"files": [{"name": f"part-of-{stage}", "bytes": 1}]})
    run.forget_damaged(FormatError("another file cannot be read"))
    assert set(run.stages) == set(stages)
    run.training = {"given": {}} if left is None else None  # rounds go on with these files or not at all
    run.forget_damaged(FormatError(f"work/part-of-{damaged} cannot be read"))
    assert set(run.stages) == (set(stages) if left is None else left)

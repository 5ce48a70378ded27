"""An interrupted run goes on where it was and ends with the vectors that it would have had."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import ROOT
from file_systems import damage_file
from interrupted_runs import (
    SMALL,
    Interrupted,
    check_as_undisturbed,
    interrupt,
    interrupted,
    is_clean,
    rounds_of,
    train_until_interrupted,
    vectors_of,
)
from standalone import wait_for

import w2v_spark
from w2v_spark import cli, store
from w2v_spark.errors import FormatError, OutputError
from w2v_spark.place import Place
from w2v_spark.spark import fit, lease, loop, publish, resume, rounds
from w2v_spark.spark.claim import claim_output
from w2v_spark.spark.read import Source
from w2v_spark.spark.scoring import Scoring

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

INTERRUPTIONS = {
    "before encoding": (fit, "_encoded", lambda *_: True),
    "in the first vectors": (rounds, "go_on_from", lambda run, pointer, before: before is None),
    "after a round, before its pointer": (rounds, "go_on_from", lambda run, pointer, before: pointer.round == 3),
    "after a round, before its metrics": (loop, "write_metrics", lambda work, round, rows: round == 2),
    "in publishing": (publish, "write_metrics", lambda *_: True),
    "before the manifest": (store, "model_manifest", lambda *_, **__: True),
    "while the model takes its place": (Place, "take", lambda output, name, draft: name == "vectors"),
}
# what the others show, too
ALIKE = ("in the first vectors", "after a round, before its metrics", "in publishing")


@pytest.mark.parametrize(
    "where", [pytest.param(where, marks=pytest.mark.slow) if where in ALIKE else where for where in INTERRUPTIONS]
)
def test_a_run_goes_on_wherever_it_was_interrupted(
    spark: SparkSession,
    whole: tuple[Path, bytes, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    where: str,
) -> None:
    text, vectors, in_all = whole
    with monkeypatch.context() as patched:
        interrupt(patched, *INTERRUPTIONS[where])
        train_until_interrupted(text, tmp_path / "out")
    pairs = tmp_path / "pairs.txt"
    pairs.write_text("sea1 sea2 9\nsea1 town3 2\nhill1 hill4 7\n")
    scoring = Scoring.of_files(2, pairs=pairs) if where == "after a round, before its pointer" else None
    caplog.clear()
    with caplog.at_level(logging.INFO, "w2v_spark"):
        w2v_spark.train(text, tmp_path / "out", **SMALL, scoring=scoring)
    assert vectors_of(tmp_path / "out") == vectors
    assert rounds_of(tmp_path / "out") == in_all and is_clean(tmp_path / "out")
    if scoring:
        assert f"going on after round 2/{in_all}, where this run was interrupted" in caplog.text
        assert "evaluate_every was none, from here on 2" in caplog.text and "scores after round 4" in caplog.text
    assert "counted 16,000 words" not in caplog.text


def test_another_run_is_refused_and_told_how_it_differs(
    spark: SparkSession,
    whole: tuple[Path, bytes, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text, output = shutil.copy(whole[0], tmp_path / "text.txt"), tmp_path / "out"
    interrupted(monkeypatch, text, output, round=1)
    with pytest.raises(OutputError) as caught:
        w2v_spark.train(text, output, **{**SMALL, "window_size": 3, "num_replicas": None})
    assert str(caught.value) == (
        f"output file:{output} holds an unfinished run that was started otherwise (window_size was 5, now 3, "
        "num_replicas was 2, now auto): start it as it was to go on, give --overwrite to begin anew, or another "
        "directory"
    )
    asked = ["train", "--input", str(text), "--output", str(output), "--plan", "--overwrite", "--max-iter", "9"]
    assert cli.main(asked) == 2
    assert "holds an unfinished run, whose rounds --overwrite would drop" in capsys.readouterr().err
    with text.open("a") as file:
        file.write("one more line\n")
    with pytest.raises(OutputError, match=r"started otherwise \(its input was another, or has changed since\)"):
        w2v_spark.train(text, output, **SMALL)
    w2v_spark.train(text, output, overwrite=True, **SMALL)
    assert is_clean(output) and vectors_of(output) != whole[1]


def test_the_memory_is_planned_for_the_executors_of_now(
    spark: SparkSession, whole: tuple[Path, bytes, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    interrupted(monkeypatch, whole[0], output, round=1)
    record = json.loads((output / "work" / "run.json").read_text())
    record["training"]["merge_tasks"] = 64
    (output / "work" / "run.json").write_text(json.dumps(record))
    with fit.prepare(Source(paths=(str(whole[0]),)), output, spark=spark, **SMALL) as prepared:
        assert prepared.layout.merge_tasks == 64
        assert prepared.plan.cores == spark.sparkContext.defaultParallelism < 64


def test_parts_that_are_lost_are_named(
    spark: SparkSession, whole: tuple[Path, bytes, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, source = tmp_path / "out", Source(paths=(str(whole[0]),))
    interrupted(monkeypatch, whole[0], output, round=1)
    (index,) = (output / "work").glob("*/corpus.json")
    for lost in (index, output / "work" / "metrics", output / "work" / "CURRENT"):
        lost.rename(output / "work" / ".hidden")
        with pytest.raises(FormatError, match="the unfinished run cannot go on; give --overwrite to begin anew$"):
            with fit.prepare(source, output, spark=spark, **SMALL) as prepared:
                resume.read_progress(prepared.run)
        (output / "work" / ".hidden").rename(lost)
    for encoded in (output / "work").glob("*/corpus/*.parquet"):
        damage_file(encoded, "flipped")
    w2v_spark.train(whole[0], output, overwrite=True, **SMALL)
    assert vectors_of(output) == whole[1]


def test_an_encoded_text_without_its_index_is_encoded_again(
    spark: SparkSession, whole: tuple[Path, bytes, int], tmp_path: Path
) -> None:
    for _ in range(2):
        with fit.prepare(Source(paths=(str(whole[0]),)), tmp_path / "out", spark=spark, **SMALL) as run:
            encoded = fit._encoded(run.spark, run.run, run.documents, run.params, run.vocabulary)
        encoded.parent.delete("corpus.json")
    assert (encoded.parent.uri, encoded.words) == (run.run.own.uri, run.vocabulary.total_count)


def test_a_table_goes_on_with_the_text_that_was_encoded(
    spark: SparkSession, whole: tuple[Path, bytes, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, vectors, _ = whole
    spark.read.text(str(text)).createOrReplaceTempView("lines")
    source = w2v_spark.spark.read.Source(table="lines")
    with monkeypatch.context() as patched:
        interrupt(patched, loop, "write_metrics", lambda work, number, rows: number == 2)
        with pytest.raises(Interrupted):
            w2v_spark.train(source, tmp_path / "out", **SMALL)
    spark.read.text(str(text)).limit(10).createOrReplaceTempView("lines")
    w2v_spark.train(source, tmp_path / "out", **SMALL)
    assert vectors_of(tmp_path / "out") == vectors


def test_a_dataframe_begins_anew(
    spark: SparkSession,
    whole: tuple[Path, bytes, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    text, vectors, _ = whole
    frame = spark.read.text(str(text))
    interrupted(monkeypatch, frame, tmp_path / "out", round=1)
    w2v_spark.train(frame, tmp_path / "out", **SMALL)
    assert "a DataFrame cannot be told from another" in caplog.text
    assert vectors_of(tmp_path / "out") == vectors


def test_an_interrupted_overwrite_goes_on_without_being_told_again(
    spark: SparkSession, whole: tuple[Path, bytes, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, vectors, _ = whole
    output = tmp_path / "out"
    w2v_spark.train(text, output, **{**SMALL, "max_iter": 1})
    with pytest.raises(OutputError, match="holds a finished model"):
        w2v_spark.train(text, output, **SMALL)
    old = vectors_of(output)
    with monkeypatch.context() as patched:
        interrupt(patched, store, "model_manifest", lambda *_, **__: True)
        train_until_interrupted(text, output, overwrite=True)
    assert vectors_of(output) == old != vectors  # it is whole until all of the new one is there
    w2v_spark.train(text, output, **SMALL)
    assert vectors_of(output) == vectors


def test_a_driver_started_again_by_the_cluster_goes_on_though_told_to_overwrite(tmp_path: Path) -> None:
    place = Place.open(tmp_path)
    run = claim_output(place, "application_1", overwrite=True)
    run.begin_training({"given": {}})
    run.release()
    again = claim_output(place, "application_1", overwrite=True)
    again.release()
    assert again.training is None  # in the same process, a notebook's second call
    record = json.loads((tmp_path / "work" / "run.json").read_text())
    stages = {"counts": {"key": "of the text", "run": again.tag}}
    record |= {"process": "elsewhere/1/1", "training": {"given": {}}, "stages": stages}
    pointer = {"round": 0, "directory": f"{again.tag}/rounds/r00000", "partitions": 1, "files": {}, "before": None}
    (tmp_path / "work" / "CURRENT").write_text(json.dumps(pointer))
    for application, training in (("application_1", {"given": {}}), ("application_2", None)):
        (tmp_path / "work" / "run.json").write_text(json.dumps(record))
        retried = claim_output(place, application, overwrite=True)
        retried.release()
        assert retried.training == training
        # what is begun anew trusts no file of the run before it
        assert retried.stages == (stages if training else {})


def test_a_worker_killed_in_a_round(
    spark: SparkSession, whole: tuple[Path, bytes, int], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed: list[int] = []

    def kill() -> None:
        while not (tmp_path / "out" / "work" / "metrics").exists():
            time.sleep(0.01)
        while not killed:
            for pid in python_workers():
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    w2v_spark.train(whole[0], tmp_path / "out", **SMALL)
    killer.join(10)
    assert killed
    check_as_undisturbed(tmp_path / "out", whole)


@pytest.mark.slow  # a job in a process of its own
def test_ctrl_c_in_a_round_is_told_in_a_word(small_text: Path, tmp_path: Path) -> None:
    """As a terminal sends it: to Python, and to all processes that it has begun."""
    command = [sys.executable, ROOT / "jobs" / "train.py", "--input", small_text, "--output", tmp_path / "out"]
    command += ["--min-count", "2", "--vector-size", "12", "--max-iter", "2000"]
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(tmp_path / "log", "round 2", 200)
        told = (tmp_path / "log").stat().st_size
        os.killpg(running.pid, signal.SIGINT)
        assert running.wait(60) == 130
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
    said = (tmp_path / "log").read_bytes()[told:].decode()
    assert said.endswith("interrupted\n") and "Traceback" not in said and "ERROR" not in said


def python_workers() -> list[int]:
    """Python workers below this process's JVM that Spark's daemon has forked."""
    table = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in table.splitlines()[1:]]
    parent, command = {int(p): int(q) for p, q, _ in rows}, {int(p): c for p, _, c in rows}
    daemons = {p for p, c in command.items() if "pyspark.daemon" in c and parent.get(parent[p]) == os.getpid()}
    return [p for p, q in parent.items() if q in daemons]


def test_two_runs_on_one_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(lease, "STALE_SECONDS", 1.0)
    place = Place.open(tmp_path)
    first = claim_output(place, "application_1", overwrite=False)
    with pytest.raises(OutputError) as caught:
        claim_output(place, "application_2", overwrite=False)
    assert str(caught.value) == (
        f"output {tmp_path} is in use by application application_1 ({lease.this_process()}): let it end, or give "
        "another directory"
    )
    first.release()
    assert not (tmp_path / "work" / lease.LEASE).exists()
    claim_output(place, "application_2", overwrite=False).release()


def test_a_dead_run_is_succeeded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lease, "STALE_SECONDS", 0.5)
    sign = {"run": "0" * 8, "application": "application_1", "beat": 7}
    ended = subprocess.Popen(["true"])
    ended.wait()
    machine = lease.this_process().rpartition("/")[0]
    (tmp_path / "work").mkdir()
    for process, waits in ((f"{machine}/{ended.pid}", False), ("elsewhere/4026/17", True)):
        caplog.clear()
        (tmp_path / "work" / lease.LEASE).write_text(json.dumps(sign | {"process": process}))
        claim_output(Place.open(tmp_path), "application_2", overwrite=False).release()
        assert ("gave no sign of life" in caplog.text) == waits


def test_a_lease_that_cannot_be_read_is_someones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(lease, "STALE_SECONDS", 0.5)
    sign = tmp_path / "work" / lease.LEASE
    sign.parent.mkdir()
    sign.write_text("")
    lease.wait_for_lease(Place.open(tmp_path / "work"), "application_2")
    assert "another run gave no sign of life for 0 s: going on in its place" in caplog.text
    living = {"run": "0" * 8, "application": "application_1", "process": "elsewhere/1/1", "beat": 1}
    threading.Timer(0.2, lambda: sign.write_text(json.dumps(living))).start()
    with pytest.raises(OutputError, match=r"is in use by application application_1 \(elsewhere/1/1\): let it end"):
        lease.wait_for_lease(Place.open(tmp_path / "work"), "application_2")


def test_metrics_that_have_no_column_or_lack_one_are_refused(tmp_path: Path) -> None:
    place = Place.open(tmp_path)
    row: dict[str, object] = dict.fromkeys([*store.METRICS_SCHEMA.names, "kind", "loss_sum", "loss_pairs"])
    resume.write_metrics(place, 1, [row])
    assert resume.read_metrics(place, 1) == [row]
    for wrong in (row | {"words_lost": 1}, {name: value for name, value in row.items() if name != "pairs"}):
        with pytest.raises(ValueError, match=r"a row of metrics and their schema differ in (words_lost|pairs)$"):
            resume.write_metrics(place, 2, [row, wrong])
    assert resume.read_metrics(place, 1) == [row]

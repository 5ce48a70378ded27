"""The cost model of bench/scaling.py: fits find what was put in, and projections take the longest of three."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scaling import duration
from scaling_model import TERMS, Setting, fit, non_negative, project, share_kept
from scaling_runs import Measured, Sizes, jobs_by_phase, read_run

from w2v_spark.spark.session import described

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SETTING = Setting(
    words=10**11,
    vocabulary=5_000_000,
    vector_size=300,
    epochs=1,
    executors=32,
    cores=16,
    exchange="storage",
    network=1.25e9,
    storage=0.5e9,
    core_speed=1.0,
    word_bytes=6.0,
    heaps=(44.0, 0.55),
    min_count=5,
    task_bytes=128e6,
)


def run(words: int, vocabulary: int, executors: int, exchange: str, seconds: dict[str, dict[str, float]]) -> Measured:
    """A run whose phases take so many seconds for each unit."""
    sizes = Sizes(
        words=words,
        records=3 * vocabulary + words // 50,
        kept=vocabulary,
        vocabulary=vocabulary,
        tasks=2 * executors + words // 10**6,
        executors=executors,
        cores=executors,
        replicas=executors,
        exchange=exchange,
        epochs=1,
        rounds=4,
        syncs=60 * (exchange == "direct"),
        vector_size=100,
        bytes_sent=vocabulary * 100 * executors * 7 + words,
    )
    took = {phase: sum(each * TERMS[phase][name](sizes) for name, each in of.items()) for phase, of in seconds.items()}
    return Measured(sizes, took, bytes_counting=20 * sizes.records, bytes_encoding=12 * words)


def test_the_fit_finds_the_seconds_of_each_unit() -> None:
    draw = np.random.default_rng(3)
    seconds = {phase: {name: draw.uniform(1e-9, 1e-6) for name in names} for phase, names in TERMS.items()}
    layouts = [(1, "storage"), (2, "storage"), (2, "direct")]
    sizes = itertools.product((2_000_000, 8_000_000, 32_000_000), (50_000, 500_000), layouts)
    runs = [run(words, vocabulary, *layout, seconds) for words, vocabulary, layout in sizes]
    for phase, found in fit(runs).items():
        assert found.seconds == pytest.approx(seconds[phase], rel=1e-4), phase
        assert found.error < 1e-6


def test_no_unit_takes_less_than_no_time() -> None:
    table = np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]])
    assert non_negative(table, np.array([3.0, 2.0, 1.0])) == pytest.approx([2.0, 0.0])
    assert non_negative(table, np.array([2.0, 4.0, 6.0])) == pytest.approx([0.0, 2.0])
    assert non_negative(np.zeros((2, 2)), np.ones(2)) == pytest.approx([0.0, 0.0])


def test_a_phase_waits_for_what_takes_longest() -> None:
    seconds = {phase: dict.fromkeys(names, 0.0) for phase, names in TERMS.items()}
    seconds["training"]["word trained / cores"] = 1e-6
    runs = [run(2_000_000, vocabulary, 2, "storage", seconds) for vocabulary in (50_000, 500_000)]
    costs = project(fit(runs), runs, SETTING)
    assert costs["training"].bound == "computing"
    assert costs["training"].seconds == pytest.approx(10**11 / (32 * 16) * 1e-6, rel=1e-6)
    # 6 bytes a word from storage, and 4 of each id to it
    assert costs["encoding"].storage == pytest.approx(10**12 / (32 * 0.5e9))
    assert costs["encoding"].network == pytest.approx(12 * 10**11 / (32 * 1.25e9))
    sizes = SETTING.sizes()
    assert sizes.rounds == 32 and sizes.vocabulary == 5_000_000
    assert sizes.kept == int(44 * 1e11**0.55 * share_kept(0.55, 5))
    # each of the replicas reads the model once a round, at its own storage's speed
    assert costs["opening"].seconds == pytest.approx(32 * sizes.model_bytes / 0.5e9)
    gpu = project(fit(runs), runs, replace(SETTING, gpu=5e7))
    assert gpu["training"].computing == pytest.approx(10**11 / (32 * 5e7))


def test_replicas_that_merge_directly_write_fewer_models() -> None:
    direct = replace(SETTING, exchange="direct").sizes()
    assert direct.rounds == 4 and direct.syncs == 32
    # a change in half precision, and the whole row back, where storage brings it back
    assert direct.bytes_sent == 3 * SETTING.sizes().bytes_sent * (direct.replicas - 1) // direct.replicas


def test_the_share_of_words_kept() -> None:
    assert share_kept(0.5, 1) == 1.0
    assert share_kept(0.5, 3) == pytest.approx(0.5 * 0.75)


def test_jobs_are_found_by_their_descriptions(spark: SparkSession, event_log: Path) -> None:
    def counted() -> tuple[int, float]:
        lines = [line for log in sorted(event_log.rglob("events_*")) for line in log.read_text().splitlines()]
        found = jobs_by_phase(map(json.loads, lines))["counting"]
        return found.records, found.seconds()

    records, seconds = counted()
    with described(spark, "count the words"):
        spark.range(0, 1000, 1, 2).selectExpr("id % 7 AS word").groupBy("word").count().collect()
    spark.range(10).count()
    after, longer = counted()
    # two tasks sent seven groups each
    assert after - records == 14 and longer > seconds


def test_a_run_without_a_phase_is_refused(tmp_path: Path) -> None:
    # all but numbering and rounds, which other words describe
    descriptions = ["count the words", "number the words", "encode the corpus", "draw the first vectors", "pass 1/2"]
    events: list[dict[str, object]] = []
    for number, text in enumerate([*descriptions, "publish the vectors"]):
        properties = {"spark.job.description": f"w2v_spark: {text}"}
        events.append({"Event": "SparkListenerJobStart", "Job ID": number, "Submission Time": 1000 * number})
        events[-1] |= {"Stage IDs": [number], "Properties": properties}
        events.append({"Event": "SparkListenerJobEnd", "Job ID": number, "Completion Time": 1000 * number + 500})
    log = tmp_path / "events"
    log.write_text("".join(f"{json.dumps(event)}\n" for event in events))
    with pytest.raises(SystemExit) as stop:
        read_run(tmp_path / "out", log, 1, 1, 1)
    assert str(stop.value) == (
        f"error: the event log {log} has no job of numbering, rounds: bring the descriptions in bench/phases.py up to "
        "date with the program's"
    )


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.25, "0.2 s"), (119, "119.0 s"), (121, "2.0 min"), (9_000, "2.5 h"), (864_000, "10.0 days")],
)
def test_durations(seconds: float, told: str) -> None:
    assert duration(seconds) == told

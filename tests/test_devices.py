"""Which device trains: what is chosen and said where there is no GPU, and the GPU that each task owns."""

from __future__ import annotations

import json
import logging
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from conftest import ROOT

import w2v_spark
from w2v_spark.errors import DeviceError, MissingExtraError, ParamError
from w2v_spark.params import Params
from w2v_spark.spark.layout import resolve
from w2v_spark.training.replica import Sampling, open_replica
from w2v_spark.training.sentences import Piece, joined
from w2v_spark.workdir.blocks import SYN0, SYN1

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SMALL: dict[str, Any] = {"vector_size": 8, "min_count": 2, "sample": 0.0, "max_iter": 1}
GPUS = """
import json
from pyspark.sql import SparkSession
from w2v_spark.errors import DeviceError
from w2v_spark.params import Params
from w2v_spark.spark import devices
from w2v_spark.spark.layout import resolve

spark = SparkSession.builder.getOrCreate()
looks = devices.look_at_gpus(spark, 2, devices.gpu_profile(spark, 1))
try:
    resolve(spark, Params(device="cuda"), 100)
except DeviceError as e:
    refused = str(e)
resolved, _ = resolve(spark, Params(), 100)
print("found", json.dumps([[look.number for look in looks], refused, resolved.device]))
spark.stop()
"""


@pytest.fixture
def no_gpu() -> None:
    """Skips where there is a GPU."""
    from w2v_spark.kernels.cuda_device import count_devices

    try:
        count_devices()
    except (DeviceError, MissingExtraError):
        return
    pytest.skip("there is a GPU")


def test_a_machine_without_a_gpu(
    no_gpu: None, spark: SparkSession, small_text: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DeviceError, match=r"^device=cuda needs a GPU: on \S+, found no (GPU|NVIDIA driver)"):
        w2v_spark.train(small_text, tmp_path / "cuda", **SMALL, device="cuda")
    assert not (tmp_path / "cuda" / "model.json").exists()
    with caplog.at_level(logging.INFO, "w2v_spark"):
        trained = w2v_spark.train(small_text, tmp_path / "auto", **SMALL)
    assert trained.params.device == "cpu"
    assert "replicas train on the CPU (device=auto): " in caplog.text


def test_gpus_of_local_mode_train_no_more_replicas_at_once_than_it_has_cores(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("w2v_spark.spark.layout.choose_gpus", lambda *_: 8)
    params = Params(device="cuda", exchange="direct")
    assert resolve(spark, params.replace(num_replicas=2), 100)[0].exchange == "direct"
    with pytest.raises(ParamError, match="needs all 8 replicas to run at once; the executors have room for 2"):
        resolve(spark, params, 100)


@pytest.mark.slow
@pytest.mark.cluster
def test_each_task_owns_the_gpu_that_spark_gives_it(no_gpu: None, tmp_path: Path) -> None:
    discovery = tmp_path / "two-gpus.sh"
    discovery.write_text('#!/bin/sh\necho \'{"name": "gpu", "addresses": ["0", "1"]}\'\n')
    discovery.chmod(discovery.stat().st_mode | stat.S_IXUSR)
    script = tmp_path / "gpus.py"
    script.write_text(GPUS)
    settings = {
        "spark.executor.cores": "1",
        "spark.worker.resource.gpu.amount": "2",
        "spark.worker.resource.gpu.discoveryScript": str(discovery),
        "spark.executor.resource.gpu.amount": "1",
        "spark.ui.enabled": "false",
    }
    options = [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
    command = ["./spark-submit.sh", "--master", "local-cluster[1,2,2048]", *options, str(script)]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr[-3000:]
    numbers, refused, device = json.loads(next(s for s in done.stdout.splitlines() if s.startswith("found "))[6:])
    assert sorted(numbers) == [0, 1]
    assert refused.startswith("device=cuda needs a GPU: on ")
    assert device == "cpu"


def test_the_discovery_script_counts_what_is_visible() -> None:
    for visible, expected in (("3,5", ["0", "1"]), ("", [])):
        command = ["sh", str(ROOT / "conf" / "gpu-discovery.sh")]
        done = subprocess.run(
            command, env={"CUDA_VISIBLE_DEVICES": visible, "PATH": "/usr/bin:/bin"}, capture_output=True
        )
        assert json.loads(done.stdout) == {"name": "gpu", "addresses": expected}


def test_joined_pieces_are_the_same_sentences() -> None:
    def piece(at: int, *lengths: int) -> Piece:
        words = sum(lengths)
        offsets = np.cumsum([0, *lengths])
        return Piece(np.arange(at, at + words, dtype=np.int32), offsets, at / 100, (at + words) / 100, at)

    pieces = [piece(0, 2, 3), piece(5, 4), piece(9, 1), piece(10, 30), piece(40, 1)]
    found = list(joined(iter(pieces), 10))
    assert [len(p.ids) for p in found] == [10, 30, 1]
    assert found[0].offsets.tolist() == [0, 2, 5, 9, 10] and found[0].ids.tolist() == list(range(10))
    assert [(p.start, p.stop, p.key) for p in found] == [(0.0, 0.1, 0), (0.1, 0.4, 10), (0.4, 0.41, 40)]


def test_a_replica_on_a_gpu_is_used_like_one_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the emulated GPU, whose one tile at a time differs from the CPU's in rounding and in the order of tiles."""
    emulator = pytest.importorskip("cuda_emulator")
    if emulator.COMPILER is None:
        pytest.skip("needs g++ to emulate the kernels")
    from w2v_spark.kernels import cuda_device

    emulator.emulate(monkeypatch)
    monkeypatch.setattr(cuda_device, "open_card", lambda number: emulator.CARD)
    params = Params(vector_size=16, window_size=2, sample=0.0, num_replicas=1)
    sampling = Sampling.of_counts(np.full(50, 20, np.int64), params)
    draw = np.random.default_rng(1)
    model = {matrix: draw.normal(scale=0.1, size=(50, 16)).astype(np.float32) for matrix in (SYN0, SYN1)}
    piece = Piece(draw.integers(0, 50, 32, dtype=np.int32), np.array([0, 20, 32]), 0.0, 0.5, 7)
    trained = {}
    for device in (None, 0):
        replica = open_replica(
            params, sampling, lambda matrix: [[(0, model[matrix][:30])], [(30, model[matrix][30:])]], device
        )
        kept, pairs, _, _ = replica.train(piece)
        trained[device] = replica.rows(SYN0, 0, 50)[:, :16] - model[SYN0]
        assert (kept, pairs > 32) == (32, True)
    moved = [np.linalg.norm(rows, axis=1) > 0 for rows in trained.values()]
    assert np.array_equal(*moved)
    assert replica.processor == "emulated"


def test_blocks_that_lack_rows_are_refused() -> None:
    params = Params(vector_size=4)
    sampling = Sampling.of_counts(np.full(3, 5, np.int64), params)
    with pytest.raises(w2v_spark.W2VError, match="the model has 2 rows of syn0, the vocabulary 3"):
        open_replica(params, sampling, lambda matrix: [[(0, np.zeros((2, 4), np.float32))]], None)

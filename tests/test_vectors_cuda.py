"""Exact search with device="cuda": what it lacks is told in a sentence, and its answers are those of the CPU."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from device_arrays import CupyOnHost, DeviceArray, in_place_of_cupy
from make_model_v1 import MODEL_V1

from w2v_spark.cli_evaluate import evaluate_main
from w2v_spark.errors import DeviceError, MissingExtraError, ParamError, pip_install
from w2v_spark.kernels import arrays
from w2v_spark.kernels.arrays import CudaArrays, arrays_on
from w2v_spark.vectors import metrics, search
from w2v_spark.vectors.evaluate import answer_analogies
from w2v_spark.vectors.metrics import Rows
from w2v_spark.vectors.vectors import Vectors


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[CupyOnHost]:
    """In place of CuPy, with blocks smaller than the vectors."""
    monkeypatch.setattr(search, "BLOCK_ROWS", 64)
    monkeypatch.setattr(search, "BLOCK_QUERIES", 8)
    monkeypatch.setattr(arrays, "UPLOAD_ROWS", 100)
    with in_place_of_cupy(monkeypatch) as found:
        yield found


def matrix(rows: int, size: int, dtype: str = "float32") -> np.ndarray:
    """Random vectors, of which some are there twice, and one is zero."""
    found = np.random.default_rng(7).normal(size=(rows, size)).astype(dtype)
    found[rows // 2 : rows // 2 + 20] = found[:20]
    found[rows // 3] = 0
    return found


def both(dtype: str = "float32", size: int = 6) -> tuple[Vectors, Vectors]:
    """The same vectors, searched here and on the device."""
    words, numbers = [f"w{i}" for i in range(300)], matrix(300, size, dtype)
    return Vectors(words, numbers), Vectors(words, numbers, device="cuda")


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("metric", metrics.METRICS)
def test_answers_are_those_of_the_cpu(stand_in: CupyOnHost, metric: str, dtype: str) -> None:
    here, there = both(dtype)
    words = [f"w{i}" for i in range(0, 300, 13)]  # more than two blocks of queries, and than numbers in a vector
    assert there.most_similar_each(words, 7, metric=metric) == here.most_similar_each(words, 7, metric=metric)
    few = (["w1", "w7"], ["w9"], 80, 3, 290)
    assert there.most_similar(*few, metric=metric) == here.most_similar(*few, metric=metric)
    every = [v.most_similar("w1", topn=None, restrict_vocab=200, metric=metric) for v in (here, there)]
    assert type(every[1]) is np.ndarray
    assert np.array_equal(*every)


def test_other_questions_are_answered_alike(stand_in: CupyOnHost, tmp_path: Path) -> None:
    here, there = both()
    for ask in (
        lambda v: v.most_similar_cosmul(["w1", "w2"], ["w3"], 9),
        lambda v: v.most_similar_cosmul("w1", topn=None).tolist(),
        lambda v: v.distances("w4").tolist(),
        lambda v: v.distances("w4", ["w1", "w2"]).tolist(),
        lambda v: v.rank("w4", "w9"),
        lambda v: v.similarity("w4", "w9"),
        lambda v: v.doesnt_match(["w4", "w9", "w2"]),
    ):
        assert ask(there) == ask(here)
    questions = tmp_path / "questions.txt"
    questions.write_text(": s\n" + "".join(f"w{i} w{i + 1} w{i + 2} w{i + 3}\n" for i in range(30)))
    for method in ("add", "mul"):
        found, expected = (answer_analogies(v, questions, 250, method=method) for v in (there, here))
        assert np.array_equal(found.correct, expected.correct)


def test_evaluate_with_a_device(stand_in: CupyOnHost, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    questions = tmp_path / "questions.txt"
    questions.write_text(": family\nsusuki susukiri busamu busamuri\nsusuki busamu futima fizeda\n")
    command = ["--vectors", str(MODEL_V1), "--analogies", str(questions)]
    assert evaluate_main(command) == 0
    expected = capsys.readouterr()
    assert evaluate_main([*command, "--device", "cuda"]) == 0
    assert capsys.readouterr() == expected
    assert (200, 16) in stand_in.made


def test_the_matrix_is_copied_once_and_in_pieces(stand_in: CupyOnHost, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = list[tuple[int, ...]]()
    put = DeviceArray.set
    monkeypatch.setattr(DeviceArray, "set", lambda self, array: (copied.append(array.shape), put(self, array)))
    _, there = both(size=5)
    assert there.similarity("w1", "w2") == there.similarity("w2", "w1")
    assert stand_in.made[1:] == [], "what needs no search copies nothing"
    for _ in range(3):
        there.most_similar("w1")
        there.most_similar_each(["w1", "w2"], metric="chebyshev")
    assert stand_in.made.count((300, 5)) == 1
    assert [shape for shape in copied if shape[1:] == (5,) and shape[0] > 2] == [(100, 5)] * 3


def test_what_fails_on_the_gpu_is_told(stand_in: CupyOnHost, monkeypatch: pytest.MonkeyPatch) -> None:
    _, there = both()

    def out_of_memory(*given: Any, **options: Any) -> Any:
        raise MemoryError("Out of memory allocating 9,000 bytes")

    def fails(*given: Any, **options: Any) -> Any:
        raise stand_in.cuda.runtime.CUDARuntimeError("cudaErrorIllegalAddress:\n an illegal memory access")

    for failing, sentence in (
        (
            out_of_memory,
            "the GPU's memory does not suffice (Out of memory allocating 9,000 bytes): open the vectors with "
            "dtype='float16', or search on the CPU",
        ),
        (
            fails,
            "the GPU failed (cudaErrorIllegalAddress: an illegal memory access): check it with nvidia-smi and CuPy "
            f"with {pip_install('gpu-cuda13')} (gpu-cuda12 for older drivers), or search on the CPU",
        ),
    ):
        monkeypatch.setattr(stand_in, "empty", failing)
        for ask in (
            lambda: there.most_similar("w1"),
            lambda: there.most_similar_cosmul("w1"),
            lambda: there.distances("w1"),
        ):
            with pytest.raises(DeviceError) as error:
                ask()
            assert str(error.value) == sentence


def test_cupy_and_a_gpu_are_looked_for_before_anything_is_read(
    stand_in: CupyOnHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_gpu() -> int:
        error = stand_in.cuda.runtime.CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")
        error.status = 100
        raise error

    def no_cublas(*given: object) -> object:
        raise ImportError('Failure finding "libcublas.so.13"')

    monkeypatch.setattr(DeviceArray, "__matmul__", no_cublas)
    with pytest.raises(DeviceError, match=r'^the GPU failed \(Failure finding "libcublas.so.13"\): check it with'):
        Vectors.open("/nowhere", device="cuda")
    monkeypatch.setattr(stand_in.cuda.runtime, "getDeviceCount", no_gpu)
    with pytest.raises(DeviceError) as error:
        Vectors.open("/nowhere", device="cuda")
    assert str(error.value) == (
        "found no GPU: this process must see one (nvidia-smi lists them, CUDA_VISIBLE_DEVICES may hide them), or "
        "search on the CPU"
    )
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(MissingExtraError) as missing:
        Vectors.open("/nowhere", device="cuda")
    assert str(missing.value) == (
        "a search on a GPU (gpu-cuda12 for drivers older than CUDA 13) requires extra 'gpu-cuda13': install it with "
        f"{pip_install('gpu-cuda13')}"
    )
    with pytest.raises(ParamError, match="^device must be one of cpu, cuda, got 'gpu'$"):
        Vectors.open("/nowhere", device="gpu")


def test_looking_for_a_gpu_loads_no_compiler() -> None:
    code = "import sys, w2v_spark.kernels.cuda_device; sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_stand_in_refuses_what_cupy_refuses() -> None:
    there = CudaArrays(CupyOnHost(types.SimpleNamespace(lexsort=lambda keys: None)))  # type: ignore[arg-type]
    array = there.put(np.arange(3.0))
    for mixed in (
        lambda: array + np.arange(3.0),
        lambda: np.asarray(array),
        lambda: there.xp.lexsort(array, axis=1),
        lambda: array[np.array([1])],
    ):
        with pytest.raises(TypeError):
            mixed()
    assert there.get(array + 1).tolist() == [1, 2, 3]


# ---- on a GPU


@pytest.fixture
def gpu() -> CudaArrays:
    """The GPU; skips where there is none."""
    arrays_on.cache_clear()
    try:
        found = arrays_on("cuda")
    except (DeviceError, MissingExtraError) as e:
        pytest.skip(f"needs a GPU: {e}")
    assert isinstance(found, CudaArrays)
    return found


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("metric", metrics.METRICS)
def test_a_gpu_finds_what_the_cpu_finds(gpu: CudaArrays, metric: str, dtype: str) -> None:
    numbers = matrix(30_000, 100, dtype)
    queries = numbers[:2_000:2].astype(np.float32)
    here = Rows.of(numbers)
    there = Rows(gpu.put(here.vectors), gpu.put(here.lengths), gpu)
    ids, values = search.top_k(here, queries, 12, metric)
    found, on_gpu = search.top_k(there, queries, 12, metric)
    assert np.allclose(on_gpu, values, rtol=1e-4, atol=1e-5)
    # rows that are as near as another may change places with it
    moved = found != ids
    near = np.isclose(values[:, 1:], values[:, :-1], rtol=1e-4, atol=1e-5)
    ties = np.pad(near, [(0, 0), (0, 1)], constant_values=True) | np.pad(near, [(0, 0), (1, 0)])
    assert not (moved & ~ties).any()
    assert moved.mean() < 0.01
    # of vectors that are there twice the first comes first
    assert found[:10, 0].tolist() == ids[:10, 0].tolist()


def test_a_gpu_opens_a_model(gpu: CudaArrays) -> None:
    found = Vectors.open(MODEL_V1, device="cuda").most_similar("susuki", topn=3)
    expected = Vectors.open(MODEL_V1).most_similar("susuki", topn=3)
    assert [word for word, _ in found] == [word for word, _ in expected]
    assert [cosine for _, cosine in found] == pytest.approx([cosine for _, cosine in expected], abs=1e-5)

"""NVRTC compiles the CUDA kernels for every architecture without a GPU, and each thing missing has its sentence."""

import itertools
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from w2v_spark.errors import DeviceError, MissingExtraError, ParamError, W2VError, pip_install
from w2v_spark.kernels import cuda_compile, cuda_device
from w2v_spark.kernels.cuda_centre_plan import plan_centres
from w2v_spark.kernels.cuda_compile import compile_kernels, compiled, read_usage
from w2v_spark.kernels.cuda_device import count_devices, open_card, told
from w2v_spark.kernels.cuda_plan import TENSOR_CAPABILITY, Layout, Shared, device_bytes, plan_layout
from w2v_spark.kernels.outputs import Outputs

# bytes that a block can ask for, and that a multiprocessor has (CUDA C++ Programming Guide, "Technical Specifications")
SHARED = {
    75: Shared(64 << 10, 64 << 10),
    80: Shared(163 << 10, 164 << 10),
    86: Shared(99 << 10, 100 << 10),
    89: Shared(99 << 10, 100 << 10),
    90: Shared(227 << 10, 228 << 10),
    100: Shared(227 << 10, 228 << 10),
}
VECTOR_SIZES = (1, 16, 50, 100, 128, 300, 512, 1024)
# the least and the most of the narrowest band, of the one between and of the widest; negatives are no matter of
# compilation
WINDOWS = ((1, 5, 8), pytest.param((9, 16), marks=pytest.mark.slow), (17, 20))
REGISTERS = 65536
CENTRES = [
    ("cbow", "negative_sampling", False),
    ("cbow", "negative_sampling", True),
    ("cbow", "hierarchical_softmax", False),
    ("skip_gram", "hierarchical_softmax", False),
]


@pytest.fixture
def nvrtc():
    """NVRTC, which Linux has in the test set-up."""
    pytest.importorskip("cupy")
    from cupy.cuda import nvrtc

    return nvrtc


def check_usage(layout, usage, shared, capability):
    """The kernels fit the card without spills; a line that tells what training takes."""
    assert set(usage) == {*cuda_compile.STRIP_KERNELS, layout.kernel}
    for kernel in usage.values():
        assert kernel.spilled == 0 and kernel.stack == 0, kernel
        assert kernel.shared <= 48 << 10
    train = usage[layout.kernel]
    bytes_of_block = train.shared + layout.shared_bytes
    registers = layout.threads * train.registers
    together = min(REGISTERS // registers, shared.multiprocessor // (bytes_of_block + 1024))
    assert bytes_of_block <= shared.block and together >= 1
    # what the driver is told covers what the compiler added
    assert layout.shared_bytes + 4096 >= bytes_of_block
    return (
        f"{train.registers:3} registers, {train.spilled} spilled, {bytes_of_block / 1024:5.1f} KB shared, slab "
        f"{layout.slab:4}, {together} blocks a multiprocessor (sm_{capability})"
    )


@pytest.mark.parametrize("windows", WINDOWS)
@pytest.mark.parametrize("capability", SHARED)
def test_kernels_compile_without_spills_within_each_architectures_limits(nvrtc, capability, windows, capsys):
    shared, lines = SHARED[capability], []
    for tensor in (False, True) if capability >= TENSOR_CAPABILITY else (False,):
        usage = None
        for window in windows:
            for size in VECTOR_SIZES:
                layout = plan_layout(size, window, shared, tensor)
                usage = usage or read_usage(compile_kernels(layout, capability)[1])
                told = check_usage(layout, usage, shared, capability)
                if window in (1, 5, 20) and size in (16, 100, 300, 1024):
                    lines.append(f"{'bf16' if tensor else 'float':5} window {window:2} vector {size:4}: {told}")
    with capsys.disabled():
        print("", *lines, sep="\n")


@pytest.mark.parametrize("capability", SHARED)
def test_kernels_of_centres_compile_without_spills_within_each_architectures_limits(nvrtc, capability, capsys):
    shared, lines = SHARED[capability], []
    deepest = 2.0 ** np.arange(40)  # as many counts make a way of 39 nodes
    for architecture, loss, exclude in CENTRES:
        outputs = Outputs.of_counts(loss, deepest.astype(np.int64))
        usage = None
        for window, size in itertools.product((1, 5, 20), VECTOR_SIZES):
            layout = plan_centres(architecture, outputs, (size, window, 32), shared, exclude_window=exclude)
            usage = usage or read_usage(compile_kernels(layout, capability)[1])
            told = check_usage(layout, usage, shared, capability)
            if window == 5 and size in (100, 1024) and not exclude:
                lines.append(f"{architecture:9} {loss:20} vector {size:4}: {told}")
    with capsys.disabled():
        print("", *lines, sep="\n")


@pytest.mark.parametrize("capability", [75, 90])
def test_kernels_that_exclude_windows_compile_without_spills(nvrtc, capability):
    layout = plan_layout(100, 5, SHARED[capability], capability >= TENSOR_CAPABILITY, exclude=True)
    check_usage(layout, read_usage(compile_kernels(layout, capability)[1]), SHARED[capability], capability)


def test_layouts_of_every_size_fit_and_cover_the_vector():
    for shared in SHARED.values():
        for tensor in (False, True):
            for size in range(1, 1025):
                layout = plan_layout(size, 20, shared, tensor)
                width = -(-size // 16) * 16
                assert layout.slab % 16 == 0 and 16 <= layout.slab <= width and layout.band == 80
                assert layout.shared_bytes + 4096 <= shared.block


def test_what_the_kernel_cannot_do_is_refused_in_a_sentence():
    with pytest.raises(ParamError, match="shared memory are needed, the card has 16384"):
        plan_layout(100, 5, Shared(16 << 10, 16 << 10), False)
    outputs = Outputs.of_counts("negative_sampling", np.ones(9, np.int64))
    with pytest.raises(ParamError, match="window_size 5 and 6 decisions of a centre: .* the card has 4096"):
        plan_centres("cbow", outputs, (100, 5, 5), Shared(4 << 10, 16 << 10))


def test_memory_for_a_large_model_is_told_beforehand():
    model = 2 * 4 * 20_000_000 * 304
    assert model < device_bytes(20_000_000, 300, 1 << 22) < 1.02 * model
    assert device_bytes(1000, 100, 1 << 30) > 20 << 30


@pytest.mark.parametrize("width", [1, 2, 4])
def test_the_kernels_that_measure_a_cards_memory_compile(nvrtc, width):
    source = (Path(__file__).resolve().parents[1] / "bench" / "gpu_ceilings.cu").read_text(encoding="utf-8")
    program = nvrtc.createProgram(source, "gpu_ceilings.cu", (), ())
    nvrtc.compileProgram(program, ("--gpu-architecture=sm_90", f"-DWIDTH={width}"))
    assert nvrtc.getCUBIN(program)


# --- what is missing ---


def test_importing_starts_no_cuda_and_needs_no_cupy():
    code = "import sys, w2v_spark.kernels.cuda; assert 'cupy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_missing_cupy_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(MissingExtraError, match="requires extra 'gpu-cuda13': install it with "):
        count_devices()


class CudaError(RuntimeError):
    """As CuPy's errors are."""

    def __init__(self, status):
        super().__init__(f"cudaError {status}")
        self.status = status


def stand_in(monkeypatch, status=None, driver=0, capability=(9, 0), devices=2):
    """A CuPy that finds such devices, or fails with a status."""

    def count():
        if status is not None:
            raise CudaError(status)
        return devices

    attributes = {16: 132, 75: capability[0], 76: capability[1], 81: 228 << 10, 97: 227 << 10}
    runtime = types.SimpleNamespace(
        CUDARuntimeError=CudaError,
        getDeviceCount=count,
        driverGetVersion=lambda: driver,
        runtimeGetVersion=lambda: 13020,
        deviceGetAttribute=lambda which, number: attributes[which],
        getDeviceProperties=lambda number: {"name": b"Some GPU"},
    )
    errors = types.SimpleNamespace(CUDADriverError=type("CUDADriverError", (RuntimeError,), {}))
    memory = types.SimpleNamespace(OutOfMemoryError=type("OutOfMemoryError", (MemoryError,), {}))
    cupy = types.SimpleNamespace(cuda=types.SimpleNamespace(runtime=runtime, driver=errors, memory=memory))
    monkeypatch.setattr(cuda_device, "import_cupy", lambda: cupy)
    return cupy


@pytest.mark.parametrize(
    ("status", "driver", "sentence"),
    [
        (100, 13020, "found no GPU: .* CUDA_VISIBLE_DEVICES may hide them.*device=cpu"),
        (35, 0, "found no NVIDIA driver: install one, or train with device=cpu"),
        (35, 12040, r"driver is too old: it is for CUDA 12\.4, CuPy needs 13\.2: update the driver, or .*gpu-cuda12"),
        (999, 13020, r"CUDA does not start \(cudaError 999\): check the GPU with nvidia-smi"),
    ],
)
def test_a_missing_gpu_or_driver_has_its_sentence(monkeypatch, status, driver, sentence):
    stand_in(monkeypatch, status, driver)
    with pytest.raises(DeviceError, match=sentence) as caught:
        open_card(0)
    assert isinstance(caught.value, W2VError) and "\n" not in str(caught.value)


def test_a_machine_without_a_gpu_says_so():
    cupy = pytest.importorskip("cupy")
    if cupy.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(DeviceError, match="found no|too old"):
        count_devices()


def test_a_card_is_described_or_refused(monkeypatch):
    stand_in(monkeypatch)
    card = open_card(1)
    assert (card.name, card.capability, card.multiprocessors, card.tensor) == ("Some GPU", 90, 132, True)
    assert card.shared == SHARED[90]
    with pytest.raises(DeviceError, match="GPU 2 was asked for: this process sees 2, numbered from 0"):
        open_card(2)
    stand_in(monkeypatch, capability=(7, 0))
    with pytest.raises(DeviceError, match=r"has compute capability 7\.0: it must be at least 7\.5"):
        open_card(0)


def test_out_of_memory_and_failures_of_the_gpu_have_sentences(monkeypatch):
    cuda = stand_in(monkeypatch).cuda
    for error, sentence in (
        (cuda.memory.OutOfMemoryError("no room"), r"memory does not suffice: training takes 5\.0 GB.*no room"),
        (CudaError(700), "the GPU failed .cudaError 700."),
        (cuda.driver.CUDADriverError("bad launch"), "the GPU failed .bad launch."),
    ):
        with pytest.raises(DeviceError, match=sentence), told(5_000_000_000):
            raise error


def test_missing_nvrtc_and_architectures_it_cannot_do_have_sentences(nvrtc, monkeypatch):
    layout = plan_layout(100, 5, SHARED[90], True)
    with pytest.raises(DeviceError, match=r"compute capability 7\.5 cannot multiply bf16 matrices: .* at least 8\.0"):
        compile_kernels(layout, 75)
    with pytest.raises(DeviceError, match=r"NVRTC \d+\.\d+ cannot compile for compute capability 30\.0"):
        compile_kernels(layout, 300)

    def none():
        raise RuntimeError("Failure finding libnvrtc\nwith details")

    monkeypatch.setattr(nvrtc, "getVersion", none)
    with pytest.raises(DeviceError) as error:
        compile_kernels(layout, 90)
    assert str(error.value) == (
        "CuPy finds no NVRTC, the library that compiles GPU kernels (Failure finding libnvrtc): install it with "
        f"{pip_install('gpu-cuda12')}, or gpu-cuda13, whichever CuPy is of"
    )


# --- compiled code on disk ---


@pytest.fixture
def compilations(nvrtc, monkeypatch, tmp_path):
    """The layouts that were compiled, while compiled code goes below tmp_path."""
    seen = []

    def count(layout, capability):
        seen.append(layout)
        return b"binary %d" % layout.band, ""

    monkeypatch.setattr(cuda_compile, "compile_kernels", count)
    monkeypatch.setattr(cuda_compile, "cache_directory", lambda: tmp_path)
    compiled.cache_clear()
    yield seen
    compiled.cache_clear()


def test_compiled_code_is_found_again_on_disk(compilations, tmp_path):
    layouts = [Layout(32, band, 64, True, slab) for band, slab in ((48, 64), (48, 128), (64, 64))]
    for _process in range(2):
        assert [compiled(layout, 90) for layout in layouts] == [b"binary 48", b"binary 48", b"binary 64"]
        compiled.cache_clear()
    assert len(compilations) == 2 and len(list(tmp_path.iterdir())) == 2


def test_a_directory_that_cannot_be_written_costs_a_compilation_only(compilations, monkeypatch, tmp_path):
    for directory in (tmp_path / "missing", None):
        monkeypatch.setattr(cuda_compile, "cache_directory", lambda directory=directory: directory)
        compiled.cache_clear()
        assert compiled(Layout(32, 48, 64, False, 64), 75) == b"binary 48"
    assert len(compilations) == 2


def test_usage_is_read_from_the_compilers_log():
    log = """
ptxas info    : Compiling entry function 'one' for 'sm_90'
ptxas info    : Function properties for one
ptxas         .     8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 91 registers, used 1 barriers, 2016 bytes smem
ptxas info    : Compiling entry function 'two' for 'sm_90'
ptxas info    : Function properties for two
ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 12 registers, used 0 barriers
"""
    found = read_usage(log)
    assert [(u.registers, u.stack, u.spilled, u.shared) for u in found.values()] == [(91, 8, 16, 2016), (12, 0, 0, 0)]
    assert np.all(list(found) == ["one", "two"])

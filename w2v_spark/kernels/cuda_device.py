"""The GPUs of this machine, and a sentence for each thing that can be missing or go wrong with them.

CUDA starts when its functions are called, never on import: a process that forks later must not have called them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from w2v_spark.errors import DeviceError, MissingExtraError
from w2v_spark.kernels.cuda_plan import LEAST_CAPABILITY, TENSOR_CAPABILITY, Shared

_NO_DEVICE, _INSUFFICIENT_DRIVER = 100, 35  # cudaError_t
# cudaDeviceAttr
_MULTIPROCESSORS, _MAJOR, _MINOR, _SHARED_OF_MULTIPROCESSOR, _SHARED_OF_BLOCK = 16, 75, 76, 81, 97
_TAKE_LESS = "use more replicas on more GPUs, a smaller vector_size or max_vocab, or device=cpu"


def import_cupy(use: str = "training on a GPU") -> Any:
    """CuPy, or the sentence that names the extra which this use of it requires."""
    try:
        import cupy
    except ImportError as e:
        raise MissingExtraError(f"{use} (gpu-cuda12 for drivers older than CUDA 13)", "gpu-cuda13") from e
    return cupy


@dataclass(frozen=True)
class Card:
    """A GPU that is ready for use."""

    number: int
    name: str
    capability: int  # times ten
    multiprocessors: int
    shared: Shared

    @property
    def tensor(self) -> bool:
        """Whether it multiplies bf16 matrices."""
        return self.capability >= TENSOR_CAPABILITY


def count_devices(instead: str = "train with device=cpu") -> int:
    """How many GPUs this process can use: at least one, or a sentence that says what is missing."""
    runtime = import_cupy().cuda.runtime
    try:
        return int(runtime.getDeviceCount())
    except runtime.CUDARuntimeError as e:
        if e.status == _NO_DEVICE:
            raise DeviceError(
                "found no GPU: this process must see one (nvidia-smi lists them, CUDA_VISIBLE_DEVICES may hide them), "
                f"or {instead}"
            ) from e
        if e.status != _INSUFFICIENT_DRIVER:
            raise DeviceError(f"CUDA does not start ({e}): check the GPU with nvidia-smi, or {instead}") from e
        driver, wanted = _dotted(runtime.driverGetVersion()), _dotted(runtime.runtimeGetVersion())
        if driver == "0.0":
            raise DeviceError(f"found no NVIDIA driver: install one, or {instead}") from e
        raise DeviceError(
            f"the NVIDIA driver is too old: it is for CUDA {driver}, CuPy needs {wanted}: update the driver, or "
            "install the extra gpu-cuda12 in place of gpu-cuda13"
        ) from e


def _dotted(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"


def open_card(number: int) -> Card:
    """A GPU by its number among those that this process sees."""
    found = count_devices()
    if not 0 <= number < found:
        raise DeviceError(f"GPU {number} was asked for: this process sees {found}, numbered from 0")
    runtime = import_cupy().cuda.runtime
    with told(0):
        wanted = (_MULTIPROCESSORS, _MAJOR, _MINOR, _SHARED_OF_BLOCK, _SHARED_OF_MULTIPROCESSOR)
        multiprocessors, major, minor, *shared = (runtime.deviceGetAttribute(which, number) for which in wanted)
        name = runtime.getDeviceProperties(number)["name"].decode()
    card = Card(number, name, 10 * major + minor, multiprocessors, Shared(*shared))
    if card.capability < LEAST_CAPABILITY:
        raise DeviceError(
            f"GPU {number} ({name}) has compute capability {major}.{minor}: it must be at least "
            f"{LEAST_CAPABILITY / 10}; train with device=cpu"
        )
    return card


@contextlib.contextmanager
def told(needed: int) -> Iterator[None]:
    """Turns what CUDA says into our sentences; `needed` is the memory asked for in all, in bytes."""
    cuda = import_cupy().cuda
    try:
        yield
    except cuda.memory.OutOfMemoryError as e:
        raise DeviceError(
            f"the GPU's memory does not suffice: training takes {needed / 1e9:.1f} GB, and CUDA says: {e}; {_TAKE_LESS}"
        ) from e
    except (cuda.runtime.CUDARuntimeError, cuda.driver.CUDADriverError) as e:
        raise DeviceError(f"the GPU failed ({e}): its driver's log may say why (dmesg); train again") from e


def refuse_if_too_large(needed: int, card: Card) -> None:
    """Say that so many bytes are not free before anything is allocated; the card must be the current one."""
    cupy = import_cupy()
    free, total = cupy.cuda.runtime.memGetInfo()
    free += cupy.get_default_memory_pool().free_bytes()
    if needed > free:
        raise DeviceError(
            f"training takes {needed / 1e9:.1f} GB of GPU memory, and of the {total / 1e9:.1f} GB of GPU {card.number} "
            f"({card.name}) {free / 1e9:.1f} GB are free: {_TAKE_LESS}"
        )

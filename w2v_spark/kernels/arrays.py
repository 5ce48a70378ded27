"""Where the arrays of a search lie: in memory, computed with by numpy, or on a GPU, by CuPy, which has the same
functions.

CUDA starts when a GPU is asked for, never on import: a process that forks later must not have done so.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import numpy.typing as npt

from w2v_spark.errors import DeviceError, ParamError, W2VError, one_line, pip_install

DEVICES = ("cpu", "cuda")

# rows that are copied to a GPU together: 79 MB at 300 numbers
UPLOAD_ROWS = 65_536


class Arrays:
    """Arrays in memory. `xp` is the module whose functions take and give them."""

    xp: Any = np

    def put(self, array: npt.NDArray[Any]) -> Any:
        """An array of numpy as one of `xp`."""
        return array

    def get(self, array: Any) -> npt.NDArray[Any]:
        """An array of `xp` as one of numpy."""
        return array  # type: ignore[no-any-return]

    def told(self) -> AbstractContextManager[None]:
        """Turns what fails in a block into our sentences."""
        return contextlib.nullcontext()


HOST = Arrays()


class CudaArrays(Arrays):
    """Arrays in the memory of the current GPU; `xp` is CuPy."""

    def __init__(self, cupy: Any):
        self.xp = cupy

    def put(self, array: npt.NDArray[Any]) -> Any:
        with self.told():
            there = self.xp.empty(array.shape, array.dtype)
            for start in range(0, len(array), UPLOAD_ROWS):
                part = slice(start, start + UPLOAD_ROWS)
                there[part].set(np.ascontiguousarray(array[part]))
        return there

    def get(self, array: Any) -> npt.NDArray[Any]:
        return array.get()  # type: ignore[no-any-return]

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        try:
            yield
        except W2VError:
            raise
        except MemoryError as e:
            raise DeviceError(
                f"the GPU's memory does not suffice ({e}): open the vectors with dtype='float16', or search on the CPU"
            ) from e
        # those of CUDA, of cuBLAS and of the compiler, and libraries of theirs that are not there
        except (RuntimeError, ImportError, OSError) as e:
            raise DeviceError(
                f"the GPU failed ({one_line(e)[:200]}): check it with nvidia-smi and CuPy with "
                f"{pip_install('gpu-cuda13')} (gpu-cuda12 for older drivers), or search on the CPU"
            ) from e


@functools.cache
def arrays_on(device: str) -> Arrays:
    """Arrays on "cpu" or "cuda", the current GPU. MissingExtraError without CuPy, DeviceError where no GPU works."""
    if device not in DEVICES:
        raise ParamError(f"device must be one of {', '.join(DEVICES)}, got {device!r}")
    if device == "cpu":
        return HOST
    from w2v_spark.kernels.cuda_device import count_devices, import_cupy

    cupy = import_cupy("a search on a GPU")
    count_devices("search on the CPU")
    found = CudaArrays(cupy)
    with found.told():  # a CuPy without cuBLAS or without a compiler is told now, not in the middle of a search
        one = found.put(np.ones((1, 1), np.float32))
        found.get(one @ one + one)
    return found

"""A stand-in for CuPy whose GPU is emulated: g++ compiles the CUDA kernels behind cuda_emulator.h."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import shutil
import subprocess
import tempfile
import types
from pathlib import Path
from typing import Any

import numpy as np

from w2v_spark.kernels import cuda_compile, cuda_device, cuda_model
from w2v_spark.kernels.cuda_device import Card
from w2v_spark.kernels.cuda_plan import Shared

HEADER = Path(__file__).with_name("cuda_emulator.h")
COMPILER = shutil.which("g++")
BLOCKS_TOGETHER = 3


@functools.cache
def build(source: str, definitions: tuple[str, ...]) -> ctypes.CDLL:
    """The kernels as a library of the host."""
    with tempfile.TemporaryDirectory() as folder:
        code, library = Path(folder, "kernels.cpp"), Path(folder, "kernels.so")
        code.write_text(f'#include "{HEADER}"\n{source}\nEMULATE_KERNELS\n')
        options = ("-std=c++17", "-O1", "-Wall", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-function")
        checks = ("-fsanitize=undefined", "-fno-sanitize-recover=undefined")
        done = subprocess.run(
            [COMPILER, *options, *checks, "-shared", "-fPIC", *definitions, "-o", library, code],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return ctypes.CDLL(str(library))


class EmulatedArray:
    """An array "on the device"; only its own methods move data."""

    def __init__(self, shape: Any, dtype: Any):
        self.content = np.full(np.prod(shape, dtype=int) * np.dtype(dtype).itemsize, 0xAB, np.uint8)
        self.content = self.content.view(dtype).reshape(shape)
        self.data = types.SimpleNamespace(ptr=self.content.ctypes.data)

    def set(self, array: np.ndarray) -> None:
        assert array.shape == self.content.shape and array.dtype == self.content.dtype
        self.content[...] = array

    def __len__(self) -> int:
        return len(self.content)

    def get(self) -> np.ndarray:
        return self.content.copy()


class EmulatedCupy:
    """As much of CuPy as the product uses. `order` is that of a block's threads: 0 rising, 1 falling, else random."""

    def __init__(self, order: int = 0, free_bytes: int = 1 << 34):
        self.order, self.free_bytes = order, free_bytes
        self.runtime = types.SimpleNamespace(
            CUDARuntimeError=type("CUDARuntimeError", (RuntimeError,), {}),
            memcpyHostToDevice=1,
            memcpyDeviceToHost=2,
            memcpy2D=_memcpy2d,
            memGetInfo=lambda: (self.free_bytes, 1 << 35),
            deviceSynchronize=lambda: None,
        )
        driver = types.SimpleNamespace(
            CUDADriverError=type("CUDADriverError", (RuntimeError,), {}),
            funcSetAttribute=lambda function, attribute, value: None,
            occupancyMaxActiveBlocksPerMultiprocessor=lambda function, threads, shared: BLOCKS_TOGETHER,
        )
        memory = types.SimpleNamespace(OutOfMemoryError=type("OutOfMemoryError", (MemoryError,), {}))
        self.cuda = types.SimpleNamespace(
            runtime=self.runtime,
            driver=driver,
            memory=memory,
            Device=lambda number: contextlib.nullcontext(),
            function=types.SimpleNamespace(Module=lambda: _Module(self)),
        )

    def empty(self, shape: Any, dtype: Any) -> EmulatedArray:
        return EmulatedArray(shape, dtype)

    def zeros(self, shape: Any, dtype: Any) -> EmulatedArray:
        array = EmulatedArray(shape, dtype)
        array.content[...] = 0
        return array

    def get_default_memory_pool(self) -> Any:
        return types.SimpleNamespace(free_bytes=lambda: 0)


def _memcpy2d(to: int, to_pitch: int, source: int, source_pitch: int, width: int, height: int, kind: int) -> None:
    for row in range(height):
        ctypes.memmove(to + row * to_pitch, source + row * source_pitch, width)


class _Module:
    def __init__(self, cupy: EmulatedCupy):
        self.cupy = cupy

    def load(self, layout: cuda_compile.AnyLayout) -> None:
        parts = tuple(part for part in layout.parts if part != "ptx")
        definitions = (*cuda_compile.definitions(layout), f"-DTRAIN={layout.kernel}")
        self.compiled = build(cuda_compile.cuda_source(parts), definitions)

    def get_function(self, name: str) -> _Function:
        return _Function(self, name)


class _Function:
    def __init__(self, module: _Module, name: str):
        self.module, self.name, self.ptr = module, name, 0

    def __call__(self, grid: Any, block: Any, arguments: Any, shared: int) -> None:
        values = [np.uint64(a.data.ptr) if isinstance(a, EmulatedArray) else a for a in arguments]
        assert all(isinstance(v, np.generic) for v in values)
        kept = [np.array(v) for v in values]
        pointers = (ctypes.c_void_p * len(kept))(*(v.ctypes.data for v in kept))
        order = self.module.cupy.order
        failed = self.module.compiled.emulate(self.name.encode(), grid[0], block[0], shared, order, pointers)
        assert not failed


CARD = Card(0, "emulated", 90, 4, Shared(227 << 10, 228 << 10))


def emulate(monkeypatch: Any, order: int = 0, free_bytes: int = 1 << 34) -> EmulatedCupy:
    """Let the product use the stand-in."""
    cupy = EmulatedCupy(order, free_bytes)
    for module in (cuda_model, cuda_device):
        monkeypatch.setattr(module, "import_cupy", lambda: cupy)
    monkeypatch.setattr(cuda_model, "compiled", lambda layout, capability: layout)
    return cupy

"""Compiles the CUDA kernels with NVRTC, which needs no GPU and no driver, and says what they take of a card."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from w2v_spark.errors import DeviceError, pip_install
from w2v_spark.kernels.cache import cache_directory
from w2v_spark.kernels.cuda_centre_plan import CentreLayout
from w2v_spark.kernels.cuda_device import import_cupy
from w2v_spark.kernels.cuda_plan import (
    SCAN_THREADS,
    STRIP_THREADS,
    STRIP_TOKENS,
    TENSOR_CAPABILITY,
    Layout,
)
from w2v_spark.kernels.sizes import MEASURED, MOST_UPDATES

AnyLayout = Layout | CentreLayout

STRIP_KERNELS = ("mark_starts", "count_kept", "scan_counts", "lay_strip")


@dataclass(frozen=True)
class Usage:
    """What a kernel takes of a card, as the compiler tells it: registers of a thread, bytes of the rest."""

    kernel: str
    registers: int
    stack: int
    spilled: int
    shared: int  # static


def cuda_source(parts: tuple[str, ...]) -> str:
    """The source of all kernels that such parts make, as one text."""
    folder = resources.files(__package__)
    return "\n".join(folder.joinpath(f"cuda_{name}.cu").read_text(encoding="utf-8") for name in parts)


def definitions(layout: AnyLayout) -> tuple[str, ...]:
    """The compiler's options that make the source one of this layout."""
    values = {
        **{name: int(value) for name, value in layout.macros.items()},
        "ROWS": layout.turn_words,
        "TENSOR": int(layout.tensor),
        "MEASURED": MEASURED,
        "MOST_UPDATES": f"{MOST_UPDATES}f",
        "THREADS": layout.threads,
        "STRIP_THREADS": STRIP_THREADS,
        "STRIP_TOKENS": STRIP_TOKENS,
        "SCAN_THREADS": SCAN_THREADS,
    }
    return tuple(f"-D{name}={value}" for name, value in values.items())


def compile_kernels(layout: AnyLayout, capability: int) -> tuple[bytes, str]:
    """Compile for a compute capability, given times ten.

    Returns:
        The binary that the driver loads, and the compiler's log.
    """
    import_cupy()
    from cupy.cuda import nvrtc

    if layout.tensor and capability < TENSOR_CAPABILITY:
        raise DeviceError(
            f"a GPU of compute capability {capability / 10} cannot multiply bf16 matrices: it must be at least "
            f"{TENSOR_CAPABILITY / 10}"
        )
    try:
        version = nvrtc.getVersion()
    except RuntimeError as e:
        raise DeviceError(
            f"CuPy finds no NVRTC, the library that compiles GPU kernels ({_first_line(e)}): install it with "
            f"{pip_install('gpu-cuda12')}, or gpu-cuda13, whichever CuPy is of"
        ) from e
    if capability not in nvrtc.getSupportedArchs():
        raise DeviceError(
            f"NVRTC {version[0]}.{version[1]} cannot compile for compute capability {capability / 10}: for a newer GPU "
            "upgrade NVRTC, for an older one use the extra gpu-cuda12"
        )
    program = nvrtc.createProgram(cuda_source(layout.parts), "w2v_spark.cu", (), ())
    try:
        options = (f"--gpu-architecture=sm_{capability}", "--ptxas-options=-v", "--std=c++17", *definitions(layout))
        try:
            nvrtc.compileProgram(program, options)
        except nvrtc.NVRTCError as e:
            raise RuntimeError(f"{e}\n{nvrtc.getProgramLog(program)}") from e
        return nvrtc.getCUBIN(program), nvrtc.getProgramLog(program)
    finally:
        nvrtc.destroyProgram(program)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(":. ")


_ENTRY = re.compile(
    r"entry function '(?P<kernel>\w+)'.*?(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, "
    r"(?P<loads>\d+) bytes spill loads.*?Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
    re.DOTALL,
)


def read_usage(log: str) -> dict[str, Usage]:
    """What each kernel takes, from the compiler's log."""
    found = {}
    for entry in _ENTRY.finditer(log):
        shared = re.search(r"(\d+) bytes smem", entry["rest"])
        found[entry["kernel"]] = Usage(
            entry["kernel"],
            int(entry["registers"]),
            int(entry["stack"]),
            int(entry["stores"]) + int(entry["loads"]),
            int(shared[1]) if shared else 0,
        )
    return found


@functools.lru_cache(maxsize=8)
def compiled(layout: AnyLayout, capability: int) -> bytes:
    """The binary, from disk if it is there: of the same sources, options and compiler, in our private directory."""
    directory = cache_directory()
    if directory is None:
        return compile_kernels(layout, capability)[0]
    import_cupy()
    from cupy.cuda import nvrtc

    told = (cuda_source(layout.parts), *definitions(layout), capability, _version_or_none(nvrtc))
    path = directory / f"cuda-{hashlib.sha256(repr(told).encode()).hexdigest()[:32]}.cubin"
    with contextlib.suppress(OSError):
        return path.read_bytes()
    binary = compile_kernels(layout, capability)[0]
    with contextlib.suppress(OSError):
        _write_whole(path, binary)
    return binary


def _version_or_none(nvrtc: Any) -> Any:
    with contextlib.suppress(RuntimeError):
        return nvrtc.getVersion()
    return None


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file that others see whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except OSError:
        os.unlink(name)
        raise

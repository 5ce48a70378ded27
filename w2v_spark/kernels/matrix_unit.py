"""Whether this processor multiplies matrices, and this process may use it: Intel's AMX, in Xeons from 2023 on."""

from __future__ import annotations

import ctypes
import functools
import platform
import sys

from numba.core.registry import cpu_target

_FEATURES = {"+amx-tile", "+amx-bf16", "+avx512bf16", "+avx512bw"}  # as LLVM tells them
# Linux saves the unit's registers only for processes that asked: Documentation/arch/x86/xstate.rst
_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _XFEATURE_XTILEDATA = 158, 0x1023, 18


@functools.cache
def has_matrix_unit() -> bool:
    """Whether kernels may multiply matrices of bf16: Numba compiles for a processor that does, and Linux lets us."""
    _, _, features = cpu_target.target_context.codegen().magic_tuple()
    return set(features.split(",")) >= _FEATURES and _permitted()


def _permitted() -> bool:
    """Whether Linux lets this process, and what it forks, use the unit from now on."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    call = ctypes.CDLL(None).syscall
    call.argtypes, call.restype = [ctypes.c_long] * 3, ctypes.c_long
    return bool(call(_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _XFEATURE_XTILEDATA) == 0)

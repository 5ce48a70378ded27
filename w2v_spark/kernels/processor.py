"""The processor that kernels are compiled for, and whether it multiplies bf16 numbers faster than float32.

Intel's Xeons from 2023 on have a unit for matrices, AMX. AMD's processors from Zen 4 on form twice as many products of
pairs of bf16 as of float32, by AVX512_BF16; those of Intel that have it take, measured, four times as long for it.
"""

from __future__ import annotations

import ctypes
import functools
import platform
import sys

from numba.core.registry import cpu_target

# as LLVM tells them
_MATRIX_FEATURES = {"+amx-tile", "+amx-bf16", "+avx512bf16", "+avx512bw"}
_PAIR_FEATURES = {"+avx512bf16", "+avx512bw", "+avx512vl"}
_FAST_PAIRS = "znver"
# Linux saves the unit's registers only for processes that asked: Documentation/arch/x86/xstate.rst
_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _XFEATURE_XTILEDATA = 158, 0x1023, 18


def cpu_name() -> str:
    """The processor, as LLVM calls it."""
    return _compiled_for()[0]


def multiplies_bf16() -> bool:
    """Whether kernels may multiply bf16, in one way or the other."""
    return has_matrix_unit() or has_fast_pairs()


@functools.cache
def has_matrix_unit() -> bool:
    """Whether kernels may multiply matrices of bf16: Numba compiles for a processor that does, and Linux lets us."""
    _, features = _compiled_for()
    return features >= _MATRIX_FEATURES and _permitted()


@functools.cache
def has_fast_pairs() -> bool:
    """Whether Numba compiles for a processor that multiplies pairs of bf16 faster than as many float32 numbers."""
    processor, features = _compiled_for()
    return features >= _PAIR_FEATURES and processor.startswith(_FAST_PAIRS)


def _compiled_for() -> tuple[str, set[str]]:
    """The processor that Numba compiles for, and its features, as LLVM calls them."""
    _, processor, features = cpu_target.target_context.codegen().magic_tuple()
    return str(processor), set(features.split(","))


def _permitted() -> bool:
    """Whether Linux lets this process, and what it forks, use the unit from now on."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    call = ctypes.CDLL(None).syscall
    call.argtypes, call.restype = [ctypes.c_long] * 3, ctypes.c_long
    return bool(call(_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _XFEATURE_XTILEDATA) == 0)

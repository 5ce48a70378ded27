"""A stand-in for CuPy whose arrays lie in memory and refuse what CuPy's refuse: to be mixed with numpy's arrays, to
become them unasked, and to be given to functions that CuPy has not.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from w2v_spark.kernels.arrays import arrays_on

METHODS = ("astype", "view", "max", "sum", "ravel", "copy")


class DeviceArray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array "on the device"; `set` and `get` alone move numbers."""

    def __init__(self, content: np.ndarray):
        self.content = content

    shape = property(lambda self: self.content.shape)
    dtype = property(lambda self: self.content.dtype)
    T = property(lambda self: DeviceArray(self.content.T))

    def __len__(self) -> int:
        return len(self.content)

    def __getitem__(self, key: Any) -> DeviceArray:
        return DeviceArray(np.asarray(self.content[inner(key)]))

    def __setitem__(self, key: Any, value: Any) -> None:
        self.content[inner(key)] = inner(value)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __getattr__(self, name: str) -> Any:
        if name not in METHODS:
            raise AttributeError(name)
        return lambda *given, **options: DeviceArray(getattr(self.content, name)(*given, **options))

    def __array__(self, *given: Any, **options: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def __array_ufunc__(self, ufunc: Any, method: str, *given: Any, out: Any = None) -> Any:
        assert method == "__call__"
        result = ufunc(*inner(given), **({} if out is None else {"out": inner(out)}))
        return out[0] if out else DeviceArray(np.asarray(result))

    def set(self, array: np.ndarray) -> None:
        assert type(array) is np.ndarray and array.shape == self.shape and array.dtype == self.dtype
        assert array.flags.c_contiguous and self.content.flags.c_contiguous
        self.content[...] = array

    def get(self) -> np.ndarray:
        return self.content.copy()


def inner(given: Any) -> Any:
    """What numpy computes with in place of arrays of the device; arrays of numpy are refused."""
    if isinstance(given, np.ndarray):
        raise TypeError(f"Unsupported type {type(given)}")
    if isinstance(given, DeviceArray):
        return given.content
    return type(given)(map(inner, given)) if isinstance(given, tuple | list) else given


@contextlib.contextmanager
def in_place_of_cupy(patch: pytest.MonkeyPatch) -> Iterator[CupyOnHost]:
    """A CuPy without a GPU, of which only functions that the true one has, where it is installed, are used."""
    try:
        import cupy
    except ImportError:
        cupy = None
    found = CupyOnHost(cupy)
    patch.setitem(sys.modules, "cupy", found)
    arrays_on.cache_clear()
    yield found
    arrays_on.cache_clear()


class CupyOnHost:
    """What a search uses of the module cupy; it notes the shape of each array that it makes empty."""

    def __init__(self, cupy: types.ModuleType | None = None):
        self.cupy, self.made = cupy, list[tuple[int, ...]]()
        runtime = types.SimpleNamespace(getDeviceCount=lambda: 1, CUDARuntimeError=type("E", (RuntimeError,), {}))
        self.cuda = types.SimpleNamespace(runtime=runtime)

    def empty(self, shape: Any, dtype: Any) -> DeviceArray:
        self.made.append(shape)
        return DeviceArray(np.empty(shape, dtype))

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any, **options: Any) -> Any:
            theirs = None if self.cupy is None else getattr(self.cupy, name)
            if inspect.isfunction(theirs):  # the others are ufuncs
                inspect.signature(theirs).bind(*given, **options)
            result = getattr(np, name)(*inner(given), **options)
            return tuple(map(DeviceArray, result)) if isinstance(result, tuple) else DeviceArray(np.asarray(result))

        return call

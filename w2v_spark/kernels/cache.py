"""Compiled kernels on disk, so that only the first process pays for compiling, where nobody else can write.

Numba's own `cache=True` is not enough here. What it keeps is pickle, so whoever can write there can run code as us; it
fails where HOME cannot be written; from a zip (`--py-files`) it finds nothing again, because Spark unpacks to another
path in each application; and it notices a change in a kernel's own file only, not in those the kernel is built from.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TextIO, TypeVar

import numba
from numba import types
from numba.core import caching

from w2v_spark import corpus

Function = TypeVar("Function", bound=Callable[..., Any])

# a division by zero gives inf instead of an exception, which would keep LLVM from vectorising; no fast flags: the same
# sums in the same order give the same bytes on AVX2 and AVX-512 (which costs 5 %)
_OPTIONS: dict[str, Any] = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
# what only compiled functions call is compiled in three quarters of the time without what lets Python and C call it
_INNER: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_LONGEST_WAIT = 60.0  # seconds; a kernel compiles in about ten
_MOST_VERSIONS = 4  # of this package whose kernels stay on disk, some 20 MB each


def inner(function: Function) -> Function:
    """Compile a function that compiled functions call, never Python; it is built anew, and inlined, for each literal
    argument.
    """
    compiled: Function = numba.njit(**_OPTIONS, **_INNER)(function)
    return compiled


def inlined(function: Function) -> Function:
    """Like `inner`, for what is called for each word: its code is put where it is called in any case.

    A call that passes arrays on counts their references, atomically: tens of nanoseconds, half of all time in
    hierarchical softmax.
    """
    compiled: Function = numba.njit(**_OPTIONS, **_INNER, forceinline=True)(function)
    return compiled


def read_only(kind: Any, dimensions: int = 1, layout: Literal["C", "A"] = "C") -> Any:
    """Numba's type of an array of such numbers that is only read; layout "A" is any."""
    return types.Array(kind, dimensions, layout, readonly=True)


def compile_now(signature: Any) -> Callable[[Function], Function]:
    """Compile a function for one signature, or load it from disk; other types of arguments are then an error."""

    def decorate(function: Function) -> Function:
        dispatcher: Any = numba.njit(**_OPTIONS)(function)
        if cache_directory() is None:
            dispatcher.compile(signature)
        else:
            dispatcher._cache = _make_cache(function)
            with _alone(function):
                dispatcher.compile(signature)
        dispatcher.disable_compile()
        compiled: Function = dispatcher
        return compiled

    return decorate


@functools.cache
def cache_directory() -> Path | None:
    """Where compiled kernels are kept: NUMBA_CACHE_DIR if that is set, else a private directory; None keeps nothing.

    Private means: a directory, no link, owned by this user, closed to all others, and below directories that no other
    user can rename. Tried are the user's cache directory and, where HOME cannot be written, the one for temporary
    files.
    """
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return Path(chosen)
    if not hasattr(os, "geteuid"):
        return None
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    candidate = Path(home, "w2v_spark")
    if candidate.is_absolute() and _made_private(candidate):
        return candidate
    with contextlib.suppress(OSError):  # no folder for temporary files can be written
        candidate = Path(tempfile.gettempdir(), f"w2v_spark-{os.geteuid()}")
        return candidate if _made_private(candidate) else None
    return None


def _made_private(directory: Path) -> bool:
    """Whether the directory is private and writable, after making it where it is missing."""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        parent = directory.parent.resolve(strict=True)
        directory = parent / directory.name
        try:
            directory.mkdir(mode=0o700)
        except FileExistsError:
            pass
        found = directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            return False
        if not all(_safe_parent(path.stat()) for path in (parent, *parent.parents)):
            return False
        with tempfile.TemporaryFile(dir=directory):
            return True
    except OSError:
        return False


def _safe_parent(found: os.stat_result) -> bool:
    """Whether only root and we can rename what we put into the directory: it is ours or root's, closed or sticky."""
    closed = not found.st_mode & 0o022 or bool(found.st_mode & stat.S_ISVTX)
    return found.st_uid in (0, os.geteuid()) and closed


@functools.cache
def _source_digest() -> str:
    """A digest of the sources that compiled code is built from, wherever they lie: any change in them compiles anew."""
    digest = hashlib.sha256(numba.__version__.encode())
    kernels = sorted(resources.files(__package__).iterdir(), key=lambda f: f.name)
    for file in (*kernels, resources.files(corpus) / "random.py"):
        if file.name.endswith(".py"):
            digest.update(file.read_bytes())
    return digest.hexdigest()


class _Locator:
    """Tells Numba where a function's compiled code lies: by what the sources say, not by where they are."""

    def __init__(self, function: Callable[..., Any]):
        self._line = function.__code__.co_firstlineno
        self._py_file = function.__code__.co_filename  # named where Numba warns that it cannot keep a function
        directory = cache_directory()
        assert directory is not None
        self._directory = directory / f"kernels-{_source_digest()[:16]}"

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> _Locator:
        return cls(function)

    def ensure_cache_path(self) -> None:
        if not self._directory.exists():
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _remove_oldest(self._directory.parent)

    def get_cache_path(self) -> str:
        return str(self._directory)

    def get_source_stamp(self) -> str:
        return _source_digest()

    def get_disambiguator(self) -> str:
        return str(self._line)


def _remove_oldest(parent: Path) -> None:
    """Remove kernels of versions whose turn was longest ago; one that still runs compiles once more."""
    versions = sorted(parent.glob("kernels-" + "[0-9a-f]" * 16), key=lambda path: path.stat().st_mtime)
    for path in versions[:-_MOST_VERSIONS]:
        shutil.rmtree(path, ignore_errors=True)


class _CacheImpl(caching.CompileResultCacheImpl):  # type: ignore[misc, unused-ignore]
    _locator_classes: Any = [_Locator]


class _Cache(caching.FunctionCache):  # type: ignore[misc, unused-ignore]
    """Numba's cache of a function in our directory; a full disk or a damaged file costs a compilation, not the job."""

    _impl_class: Any = _CacheImpl

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        load: Any = super().load_overload
        forget: Any = self.flush
        try:
            return load(sig, target_context)
        except Exception:  # damaged pickle raises what it likes, and to compile once more is right in any case
            with contextlib.suppress(OSError):
                forget()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        save: Any = super().save_overload
        with contextlib.suppress(OSError):
            save(sig, data)


@contextlib.contextmanager
def _alone(function: Callable[..., Any]) -> Iterator[None]:
    """Wait, a while, until no other process compiles this function: what it has compiled then lies on disk.

    Many replicas of a machine start at once. Each would compile the same, and of what they compile for two sizes at
    once only one would be found again, as both write the same table of contents.
    """
    locator, end = _Locator(function), time.monotonic() + _LONGEST_WAIT
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, ImportError):  # not every file system has locks, and Windows has others
            locator.ensure_cache_path()
            path = Path(locator.get_cache_path(), f"{function.__qualname__}-{locator.get_disambiguator()}.lock")
            lock = stack.enter_context(path.open("w"))
            while not _taken(lock) and time.monotonic() < end:
                time.sleep(0.05)
        yield


def _taken(lock: TextIO) -> bool:
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make_cache(function: Callable[..., Any]) -> Any:
    make: Any = _Cache
    return make(function)

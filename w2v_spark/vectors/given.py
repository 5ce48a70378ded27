"""What callers give: words, ids, vectors, lists of these, weights and whole numbers, refused by name where they are
something else.
"""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from numbers import Real
from typing import Any, Literal, Protocol, overload

import numpy as np
import numpy.typing as npt

from w2v_spark.array_types import Floats
from w2v_spark.errors import ParamError


class Sparks(Protocol):
    """A vector of Spark, dense or sparse."""

    def toArray(self) -> npt.NDArray[Any]: ...


Key = str | int | np.integer[Any]
Vector = npt.NDArray[np.floating] | Sequence[float] | Sparks
Item = Key | Vector
Items = Item | Sequence[Item | tuple[Item, float]]

KEYS = (str, int, np.integer)
_FLOATS = (float, np.floating)
# float32 holds the sum of as many as there are words
_HEAVIEST = 1e30


def shown(given: object) -> str:
    """A value in a message: short, and with its type."""
    return f"{' '.join(reprlib.repr(given).split())} ({type(given).__name__})"


def no_word(given: object) -> ParamError:
    """What is said where only a word or an id can be."""
    return ParamError(f"a word is a str or an id (int), got {shown(given)}")


def vector_of(given: Any) -> npt.NDArray[Any] | None:
    """The array that an array of numbers, a list of them, or a vector of Spark stands for; None for anything else."""
    if callable(getattr(given, "toArray", None)):
        given = given.toArray()
    if isinstance(given, list | tuple) and given and all(isinstance(number, Real) for number in given):
        given = np.asarray(given)
    return given if isinstance(given, np.ndarray) and given.dtype.kind in "fiu" else None


def item(given: object) -> Key | npt.NDArray[Any]:
    """A word or an id as it is, and a vector as an array."""
    if isinstance(given, KEYS):
        return given
    found = vector_of(given)
    if found is None:
        raise ParamError(f"a word is a str, an id (int) or a vector, got {shown(given)}")
    return found


def items(given: Any, sign: float) -> list[tuple[Key | npt.NDArray[Any], float]]:
    """What most_similar was given, as (word or vector, weight); a weight given by hand keeps its sign, as in gensim."""
    if given is None:
        return []
    if isinstance(given, tuple) and _is_pair(given) and isinstance(given[1], Real) and not isinstance(given[0], Real):
        raise ParamError(f"a word and its weight belong into a list, as in [('king', 0.5)], got {shown(given)}")
    if _is_one(given):
        return [(item(given), sign)]
    return [
        (item(one[0]), checked_weight(one[1])) if isinstance(one, tuple) and _is_pair(one) else (item(one), sign)
        for one in given
    ]


def _is_pair(given: tuple[Any, ...]) -> bool:
    """Whether it is a word or vector and its weight, rather than a vector of two numbers."""
    return len(given) == 2 and not isinstance(given[0], _FLOATS)


def _is_one(given: Any) -> bool:
    """Whether it is a word or vector by itself, or nothing that a list could be."""
    if isinstance(given, list | tuple):  # integers there are ids
        return len(given) > 0 and all(isinstance(number, _FLOATS) for number in given)
    vector = vector_of(given)
    return not is_list(given) or (vector is not None and vector.ndim < 2)


def is_list(given: Any) -> bool:
    """Whether its members can be asked for; a word is no list of its letters."""
    return (
        hasattr(given, "__iter__") and not isinstance(given, str | bytes | bytearray) and getattr(given, "ndim", 1) > 0
    )


def listed(name: str, given: Any) -> list[Any]:
    """The members of a list of words."""
    if not is_list(given):
        raise ParamError(f"{name} must be a list, got {shown(given)}")
    return list(given)


def matrix(name: str, given: Any) -> npt.NDArray[Any]:
    """Vectors as an array, a row for each."""
    if isinstance(given, np.ndarray) and given.dtype.kind in "fiu":
        return given
    rows = [vector_of(row) for row in given] if isinstance(given, list | tuple | np.ndarray) else [None]
    found = [row for row in rows if row is not None]
    if len(found) < len(rows) or len({row.shape for row in found}) != 1:
        raise ParamError(f"{name} must be vectors of one length, got {shown(given)}")
    return np.stack(found)


def finite(name: str, numbers: npt.NDArray[Any]) -> Floats:
    """Numbers as float32, refused where it cannot hold one."""
    with np.errstate(over="ignore"):
        found = numbers.astype(np.float32, copy=False)
    if not np.isfinite(found).all():
        raise ParamError(f"{name} must be finite numbers, none beyond 3.4e38, which is the largest float32")
    return found


def checked_weight(weight: Any) -> float:
    """A weight, refused where it is no finite number, or one too large to be summed."""
    real = isinstance(weight, Real)
    if not (real and abs(weight) <= _HEAVIEST):
        raise ParamError(f"a weight must be a number from -1e30 to 1e30, got {shown(weight)}")
    return float(weight)


def weights_of(given: Any) -> Floats:
    """Weights, (n,) float32."""
    return np.array([checked_weight(weight) for weight in listed("weights", given)], np.float32)


@overload
def checked_int(name: str, value: object, least: int | None = None) -> int: ...
@overload
def checked_int(name: str, value: object, least: int | None = None, *, none: Literal[True]) -> int | None: ...
def checked_int(name: str, value: object, least: int | None = None, *, none: bool = False) -> int | None:
    """A whole number that is not below `least`; None where that means something."""
    if value is None and none:
        return None
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or (least is not None and value < least):  # type: ignore[operator]  # it is whole
        least_said = "" if least is None else f" of at least {least}"
        raise ParamError(f"{name} must be an integer{least_said}{', or None' if none else ''}, got {value!r:.60}")
    return int(value)  # type: ignore[call-overload, no-any-return]  # it is whole

"""What a parameter may be, and the check that a value is that: one sentence for every mistake."""

from __future__ import annotations

import math
import numbers
import re
from dataclasses import dataclass
from typing import Any

from w2v_spark.errors import ParamError


@dataclass(frozen=True)
class Spec:
    """What a parameter may be: `kind` is its type, `low` and `high` are inclusive, `unset` is the word that stands for
    None.
    """

    kind: type
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    # what a name may be beside the choices: a word for it, and its pattern
    form: tuple[str, str] | None = None
    unset: str | None = None

    def allowed(self) -> str:
        """The allowed values in words, for messages and the README."""
        if self.choices:
            text = "one of " + ", ".join(self.choices) + (f", or {self.form[0]}" if self.form else "")
        elif self.kind is bool:
            text = "true or false"
        elif self.kind is str:
            text = "a name"
        else:
            noun, style = ("an integer", ",") if self.kind is int else ("a number", "g")
            if self.high is not None:
                text = f"{noun} from {self.low:{style}} to {self.high:{style}}"
            else:
                text = f"{noun} of at least {self.low:{style}}" if self.low is not None else noun
        return f"{text}, or {self.unset}" if self.unset else text

    def holds(self, number: float) -> bool:
        """Whether a number lies within the limits."""
        return (self.low is None or self.low <= number) and (self.high is None or number <= self.high)


def shown(value: Any) -> str:
    """A value in a message, cut where it is long: it may be a file's whole content."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, a list in a list in a list
        return f"{type(value).__name__} too large to show"
    return text if len(text) <= 500 else text[:497] + "..."


def _letters(choice: str) -> str:
    return re.sub(r"[-_ ]", "", choice).lower()


def checked(name: str, spec: Spec, value: Any) -> Any:
    """The value in its parameter's own type; numpy scalars and, for numbers and switches, their spelling as text are
    accepted.
    """

    def wrong() -> ParamError:
        alike = [choice for choice in spec.choices if _letters(choice) == _letters(str(value))]
        hint = f" (did you mean {alike[0]!r}?)" if alike else ""
        return ParamError(f"parameter {name} given invalid value {shown(value)}: must be {spec.allowed()}{hint}")

    if value is None or (isinstance(value, str) and spec.unset and value.lower() == spec.unset):
        if spec.unset:
            return None
        raise wrong()
    if spec.kind is bool:
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if type(value).__name__ not in ("bool", "bool_"):
            raise wrong()
        return bool(value)
    if spec.kind is str:
        if not isinstance(value, str) or not value or (spec.choices and value not in spec.choices):
            if not (isinstance(value, str) and spec.form and re.fullmatch(spec.form[1], value)):
                raise wrong()
        return value
    number = _number(spec.kind, value)
    if number is None or not spec.holds(number):
        raise wrong()
    return number


def _number(kind: type, value: Any) -> int | float | None:
    """The value as `kind`, or None where it is no such number."""
    try:
        if isinstance(value, str):
            value = kind(value)
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
            return None
    except (ValueError, OverflowError):  # no number at all, or an integer that no float holds
        return None
    if kind is float:
        return float(value)
    whole = int(value)  # type: ignore[call-overload]  # every Real of numpy and Python has __int__ or __trunc__
    return whole if whole == value else None

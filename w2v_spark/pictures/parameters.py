"""Parameters of a model as a page shows them."""

from __future__ import annotations

from w2v_spark.params import specs


def spelt(name: str, value: object) -> str:
    """A parameter's value as the command line spells it: auto or none where it is unset, true, 0.0001."""
    if value is None:
        spec = specs().get(name)
        return (spec and spec.unset) or "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)

"""How long a row of the matrices is in memory. Who plans a run asks, too, so nothing here loads a compiler."""

from __future__ import annotations

LANES = 16  # floats that the code works on at a time


def padded_size(vector_size: int) -> int:
    """The floats of a row: the vector's size rounded up to whole vectors of 16 lanes."""
    return -(-vector_size // LANES) * LANES

"""How long a row of the matrices is in memory, and how many rows a tile of skip-gram has, on CPUs and GPUs. Who plans a
run or looks for a GPU asks, too, so nothing here loads a compiler.
"""

from __future__ import annotations

LANES = 16  # floats that the code works on at a time
TILE_ROWS = 2 * LANES  # contexts in a tile
TILE_NEGATIVES = 64  # negatives that a tile's pairs share


def padded_size(vector_size: int) -> int:
    """The floats of a row: the vector's size rounded up to whole vectors of 16 lanes."""
    return -(-vector_size // LANES) * LANES

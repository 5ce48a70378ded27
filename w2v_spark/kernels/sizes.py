"""How long a row of the matrices is in memory, how it is cut for the registers of a CPU, and how many rows a tile of
skip-gram has, on CPUs and GPUs. Who plans a run or looks for a GPU asks, too, so nothing here loads a compiler.
"""

from __future__ import annotations

LANES = 16  # floats that the code works on at a time
TILE_ROWS = 2 * LANES  # contexts in a tile
TILE_NEGATIVES = 64  # negatives that a tile's pairs share
MEASURED = 64  # the loss is measured on one tile in so many, or bag of CBOW
# a word in n of a tile's rows gets about n * (window + 1) * (negative + 1) updates at once; measured, training diverges
# where these times the learning rate add up to 11 (English, few items) or to 8 (300,000 words of docstrings)
MOST_UPDATES = 6.0

_SLAB = 8  # most vectors of a row in registers at once; 64 rows of such a slab fill 32 KB of the first cache


def whole_vectors(floats: int) -> int:
    """So many floats rounded up to whole vectors of 16: of a vector, the floats of its row."""
    return -(-floats // LANES) * LANES


def slabs(width: int) -> tuple[int, int, int, int]:
    """How a row of so many floats is cut: `wide` slabs of so many floats, then `narrow` slabs of a vector less.

    As few slabs as fit the registers, as even as can be.
    """
    count = -(-width // (LANES * _SLAB))
    vectors = -(-width // (LANES * count))
    narrow = count * vectors - width // LANES
    return count - narrow, vectors * LANES, narrow, (vectors - 1) * LANES

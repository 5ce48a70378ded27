"""What the kernels cannot train is refused here: compiled code checks nothing itself. A driver asks, too, so nothing
here loads a compiler.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from w2v_spark.errors import ParamError
from w2v_spark.params import specs

# a word's step of a full softmax costs 6 * V * vector_size operations. At this size and 100 floats that is 20 MFLOP,
# 0.2 ms on one core: hundreds of times the cost of negative sampling, and the text that has so many words takes hours
MAX_VOCABULARY = 1 << 15

_SPECS = specs()


def check_sizes(processor: str, vector_size: int, window_size: int, negative: int) -> None:
    """Refuse sizes that no parameter may have."""
    for name, value in (("vector_size", vector_size), ("window_size", window_size), ("negative", negative)):
        if not (spec := _SPECS[name]).holds(value):
            raise ParamError(f"the {processor} kernel cannot train with {name} {value}: it must be {spec.allowed()}")


def check_softmax(words: int) -> None:
    """Refuse a vocabulary that is too large for a full softmax."""
    if words > MAX_VOCABULARY:
        raise ParamError(
            f"loss softmax trains every word of the vocabulary at every step, which {words:,} words make too slow: at "
            f"most {MAX_VOCABULARY:,} are allowed; use loss negative_sampling or hierarchical_softmax, or a larger "
            "min_count"
        )


def check_changes(rows: npt.NDArray[np.int32], values: npt.NDArray[Any], block: tuple[int, ...]) -> None:
    """Refuse changes of rows that a block, rows x vector size, does not have."""
    if len(block) != 2 or values.shape != (len(rows), block[1]):
        raise ValueError(f"changes of {len(rows)} rows have the shape {values.shape}, the block {block}")
    if len(rows) and not 0 <= rows.min() <= rows.max() < block[0]:
        raise ValueError(f"rows {rows.min()} to {rows.max()} changed in a block of {block[0]}")


def check_sentences(ids: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64], words: int) -> None:
    """Refuse ids and offsets out of range, by which a kernel would write into memory that is not ours."""
    if len(offsets) == 0 or offsets[0] < 0 or offsets[-1] > len(ids) or (np.diff(offsets) < 0).any():
        raise ValueError("offsets must rise from 0 or more to at most the number of ids")
    used = ids[offsets[0] : offsets[-1]]
    if len(used) and (used.min() < 0 or used.max() >= words):
        raise ValueError(f"ids must be from 0 to {words - 1}, not from {used.min()} to {used.max()}")

"""Which row groups of a Parquet file hold the rows of some numbers, where rows are sorted by their first column."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

# int64[row groups, 2]
Spans = npt.NDArray[np.int64]


def spans_of(file: pq.ParquetFile) -> Spans:
    """The least and the largest number in the first column of each row group; of any size where it does not tell."""
    spans = np.tile(np.array([0, np.iinfo(np.int64).max]), (file.num_row_groups, 1))
    for group in range(file.num_row_groups):
        statistics = file.metadata.row_group(group).column(0).statistics
        if statistics is not None and statistics.has_min_max:
            spans[group] = statistics.min, statistics.max
    return spans


def groups_with(spans: Spans, wanted: range) -> list[int]:
    """The row groups that may hold a wanted number."""
    found: list[int] = np.flatnonzero((spans[:, 0] < wanted.stop) & (spans[:, 1] >= wanted.start)).tolist()
    return found

"""Which row groups of a Parquet file hold some of its rows, from how many each has. No more of the footer is asked for:
a site may have Spark write no statistics, and over damaged ones pyarrow ends the process.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

# int64[row groups]
Ends = npt.NDArray[np.int64]


def row_ends(file: pq.ParquetFile) -> Ends:
    """The number of rows up to the end of each row group."""
    return np.cumsum([file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)], dtype=np.int64)


def groups_with(ends: Ends, rows: Sequence[int] | npt.NDArray[np.int64]) -> list[int]:
    """The row groups that hold these rows, each once, rising; rows past the end are in none."""
    groups = np.unique(np.searchsorted(ends, rows, side="right"))
    found: list[int] = groups[groups < len(ends)].tolist()
    return found

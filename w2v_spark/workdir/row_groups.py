"""Which row groups of a Parquet file hold some of its rows, from how many each has. No more of the footer is asked for:
a site may have Spark write no statistics, and over damaged ones pyarrow ends the process.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

# int64[row groups]
Ends = npt.NDArray[np.int64]


def row_ends(file: pq.ParquetFile) -> Ends:
    """The number of rows up to the end of each row group."""
    return np.cumsum([file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)], dtype=np.int64)


def groups_with(ends: Ends, rows: range) -> range:
    """The row groups from that of the first of these rows to that of the last; rows past the end are in none."""
    first, last = np.searchsorted(ends, [rows.start, rows.stop - 1], side="right").tolist()
    return range(first, min(last + 1, len(ends)))

"""What the arrays are called that modules hand to each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Halves = npt.NDArray[np.float16]
# of words, or of rows of a matrix
Ids = npt.NDArray[np.int32]
# of the words of a vocabulary
Counts = npt.NDArray[np.int64]

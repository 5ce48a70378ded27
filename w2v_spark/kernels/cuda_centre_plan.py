"""How the kernels that train one centre in a block lie in shared memory, and how crowded their rows are.

They train CBOW with negative sampling and both architectures with hierarchical softmax. Plain arithmetic: nothing here
needs a GPU or CuPy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from w2v_spark.array_types import Floats
from w2v_spark.corpus.noise import AliasTable, kept_words
from w2v_spark.errors import ParamError
from w2v_spark.kernels.cuda_plan import BEARABLE, GRANULE, RESERVED_BYTES, TILE_BYTES, Shared
from w2v_spark.kernels.outputs import Outputs
from w2v_spark.kernels.sizes import TILE_ROWS, whole_vectors

_BLOCKS_TOGETHER = 4  # on a multiprocessor


@dataclass(frozen=True)
class CentreLayout:
    """What a block of threads trains. Numbers and `mean` are told to the kernel, the rest is compiled into it."""

    cbow: bool
    hierarchical: bool
    exclude: bool  # whether words of the window are no negatives
    mean: bool  # of contexts, for CBOW, else their sum
    contexts: int  # most of a centre
    decisions: int  # most of a centre: its negatives and itself, or the nodes of the longest way
    slab: int  # columns of the vectors in shared memory at a time
    tensor: bool = False  # products on tensor cores

    kernel = "train_centres"
    parts = ("common", "turn", "strip", "ptx", "centre", "centres")
    threads = 64
    turn_words = TILE_ROWS  # centres that a block trains in a turn
    words_together = 1  # of those, trained at one time

    @property
    def inputs(self) -> int:
        return 1 if self.cbow else self.contexts

    @property
    def rows(self) -> int:
        """Vectors in shared memory."""
        return self.inputs + self.decisions

    @property
    def shared_bytes(self) -> int:
        """Dynamic shared memory of a block: a slab of all rows, and the gradients by the scores."""
        return 4 * (self.rows * (self.slab + 4) + self.inputs * self.decisions)

    @property
    def macros(self) -> dict[str, int]:
        """What is compiled into the kernel."""
        return {"CBOW": self.cbow, "HIERARCHICAL": self.hierarchical, "EXCLUDE_WINDOW": self.exclude}


def plan_centres(
    architecture: str,
    outputs: Outputs,
    sizes: tuple[int, int, int],
    shared: Shared,
    mean: bool = True,
    exclude_window: bool = False,
) -> CentreLayout:
    """The layout with the fewest slabs that still lets four blocks share a multiprocessor, if that is possible.

    Args:
        architecture: skip_gram or cbow.
        outputs: the tables of the loss.
        sizes: vector_size, window_size, negative.
        shared: the card's shared memory.
        mean: whether CBOW takes the mean of its contexts, else their sum.
        exclude_window: whether words of a centre's window are none of its negatives.
    """
    vector_size, window_size, negative = sizes
    hierarchical = outputs.loss == "hierarchical_softmax"
    decisions = outputs.numbers[0] if hierarchical else 1 + negative
    of = (architecture == "cbow", hierarchical, exclude_window and not hierarchical, mean, 2 * window_size, decisions)
    width = whole_vectors(vector_size)
    together = min(shared.block, shared.multiprocessor // _BLOCKS_TOGETHER - RESERVED_BYTES)
    for room in (together, shared.block):
        for slabs in range(1, width // GRANULE + 1):
            layout = CentreLayout(*of, slab=-(-width // (slabs * GRANULE)) * GRANULE)
            if layout.shared_bytes + TILE_BYTES <= room:
                return layout
    raise ParamError(
        f"the GPU kernel cannot train with window_size {window_size} and {decisions} decisions of a centre: "
        f"{layout.shared_bytes + TILE_BYTES} bytes of shared memory are needed, the card has {shared.block}"
    )


def centre_crowding(
    architecture: str,
    outputs: Outputs,
    counts: npt.NDArray[np.int64],
    keep: npt.NDArray[np.uint32],
    window_size: int,
    negative: int,
) -> tuple[Floats, Floats]:
    """How crowded each row of syn0 and of syn1 is: see `cuda_plan.crowding`.

    Each word kept is a context in window_size + 1 windows on average, and each time gets a change by every decision of
    the centre. A decision's row gets one for each context of skip-gram, and one for each centre of CBOW.
    """
    kept = kept_words(counts, keep)
    share = kept / max(kept.sum(), 1e-300)
    if outputs.loss == "hierarchical_softmax":
        starts, points, _ = outputs.tables
        lengths = np.diff(starts)
        decisions = float(share @ lengths)
        used = np.bincount(points[: starts[-1]], np.repeat(share, lengths), minlength=len(share))
    else:
        decisions = 1.0 + negative
        used = share + negative * AliasTable(*outputs.tables).to_probabilities()
    samples = 1 if architecture == "cbow" else window_size + 1
    return (
        ((window_size + 1) * decisions * share / BEARABLE).astype(np.float32),
        (samples * used / BEARABLE).astype(np.float32),
    )

"""How a tile lies in a block of GPU threads, how many tiles may run at one time, and what memory training takes.

Plain arithmetic: nothing here needs a GPU or CuPy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from w2v_spark.array_types import Floats
from w2v_spark.corpus.noise import AliasTable, kept_words
from w2v_spark.errors import ParamError
from w2v_spark.kernels.sizes import TILE_NEGATIVES, TILE_ROWS, whole_vectors

THREADS = 128  # of a block that trains
STRIP_THREADS, SCAN_THREADS = 256, 1024  # of a block that subsamples, and of the one that sums up
STRIP_TOKENS = 2048  # tokens of a block that subsamples
MAX_TOKENS = 1 << 30  # in one call: positions are 32 bits wide
TENSOR_CAPABILITY = 80  # the first compute capability, times ten, whose tensor cores multiply bf16
LEAST_CAPABILITY = 75  # the oldest that the kernels are compiled for and tested on
NO_SOFTMAX = (
    "device=cuda does not train loss softmax, whose vocabularies are small: use device=cpu, or loss negative_sampling "
    "or hierarchical_softmax"
)

# A row whose updates in flight are more than BEARABLE / step**2 changes by so much less. What many tiles at one time do
# was simulated with all of them starting from one model, the worst that can happen (`blocks` of
# cuda_reference.TileReference): on English at step 0.05, 8,448 words in flight diverge without it and do not with it.
BEARABLE = 0.16
# Words in flight are limited so that no context's row is scaled down further than MOST_SCALED times. In simulations of
# texts of which one word makes up 40 %, 14 times cost 3 % of the loss, 29 times 20 %, and 115 times diverged.
MOST_SCALED = 16.0
# And so that they are at most one in LEAST_TURNS of the words to be trained: simulated on English, one in 127 costs
# 0.4 % of the loss, one in 31 costs 3 %.
LEAST_TURNS = 128

GRANULE = 16  # a matrix instruction's rows, columns and terms
TILE_BYTES = 4096  # more than what a tile holds in shared memory beside vectors and gradients
RESERVED_BYTES = 1024  # of each block's shared memory, by CUDA
_BLOCKS_TOGETHER = 2  # on a multiprocessor: one computes while the other waits for memory
_ROW_BYTES = 3 * 4  # of a word beside its vectors and the tables of the loss: keep, two crowds
_TOKEN_BYTES = 3 * 4  # ids, words, where


@dataclass(frozen=True)
class Shared:
    """A card's shared memory, in bytes: the most that a block can have, and what a multiprocessor has."""

    block: int
    multiprocessor: int


@dataclass(frozen=True)
class Layout:
    """The sizes of a tile; all but `slab` are compiled into the kernels."""

    rows: int  # contexts: 16 or 32
    band: int  # words around, rounded up to whole matrices
    negatives: int  # that the tile's pairs share
    tensor: bool  # products in bf16 on tensor cores, else in float32
    slab: int  # columns of the vectors in shared memory at a time
    exclude: bool = False  # whether words of the window are no negatives

    kernel = "train_tiles"
    threads = THREADS

    @property
    def parts(self) -> tuple[str, ...]:
        """The .cu files, in the order of the joined source."""
        return ("common", "turn", "strip", "tile", "ptx", "tensor" if self.tensor else "float", "train")

    @property
    def turn_words(self) -> int:
        """Words that a block trains in a turn."""
        return self.rows

    @property
    def words_together(self) -> int:
        """Of those, trained at one time."""
        return self.rows

    @property
    def macros(self) -> dict[str, int]:
        """What is compiled into the kernel."""
        return {"BAND": self.band, "NEGATIVES": self.negatives, "EXCLUDE_WINDOW": self.exclude}

    @property
    def columns(self) -> int:
        return self.band + self.negatives

    @property
    def shared_bytes(self) -> int:
        """Dynamic shared memory of a block: a slab of all rows, and the gradients by the scores."""
        item, pad = (2, 8) if self.tensor else (4, 4)
        return item * ((self.rows + self.columns) * (self.slab + pad) + self.rows * (self.columns + pad))


def plan_layout(
    vector_size: int,
    window_size: int,
    shared: Shared,
    tensor: bool,
    rows: int = TILE_ROWS,
    negatives: int = TILE_NEGATIVES,
    exclude: bool = False,
) -> Layout:
    """The layout with the fewest slabs that still lets two blocks share a multiprocessor, if that is possible."""
    width, band = whole_vectors(vector_size), -(-(rows + 2 * window_size) // GRANULE) * GRANULE
    together = min(shared.block, shared.multiprocessor // _BLOCKS_TOGETHER - RESERVED_BYTES)
    for room in (together, shared.block):
        for slabs in range(1, width // GRANULE + 1):
            slab = -(-width // (slabs * GRANULE)) * GRANULE
            layout = Layout(rows, band, negatives, tensor, slab, exclude)
            if layout.shared_bytes + TILE_BYTES <= room:
                return layout
    raise ParamError(
        f"the GPU kernel cannot train with window_size {window_size} and tiles of {rows} words and {negatives} "
        f"negatives: {layout.shared_bytes + TILE_BYTES} bytes of shared memory are needed, the card has {shared.block}"
    )


def crowding(
    counts: npt.NDArray[np.int64],
    keep: npt.NDArray[np.uint32],
    noise: AliasTable,
    window_size: int,
    negative: int,
) -> tuple[Floats, Floats]:
    """How crowded each row of syn0 and of syn1 is.

    Of B words in flight, a row expects B * BEARABLE * crowd updates; so with step size r its changes are scaled by
    min(1, 1 / (r**2 * B * crowd)). A word kept is in window_size + 1 pairs on average.

    Args:
        counts: occurrences of each word in the corpus, [V].
        keep: the probability that an occurrence is kept, uint32[V], 2**32 - 1 is one.
        noise: the distribution of the negatives.
        window_size: most words between a centre and its context.
        negative: negatives for each pair.

    Returns:
        Two arrays float32[V].
    """
    kept = kept_words(counts, keep)
    share = kept / max(kept.sum(), 1e-300)
    pairs = (window_size + 1) / BEARABLE
    drawn = noise.to_probabilities()
    return (
        (pairs * (1 + negative) * share).astype(np.float32),
        (pairs * (share + negative * drawn)).astype(np.float32),
    )


def row_scale(crowd: Floats, words_in_flight: int, step: float) -> Floats:
    """How much of a row's change is added: what the kernel computes from `crowding`; nothing where that is infinite."""
    with np.errstate(invalid="ignore"):  # infinity times a step of 0
        updates = np.float32(words_in_flight) * np.float32(step) * np.float32(step) * crowd
    scale: Floats = np.float32(1) / np.fmax(np.float32(1), updates)
    return scale


def most_in_flight(words: float, crowd: float, step: float) -> int:
    """How many words may be trained at one time, so that they neither diverge nor miss too much of one another.

    Args:
        words: to be trained in the call, after subsampling.
        crowd: the largest `crowding` of a row of syn0.
        step: learning rate.
    """
    bearable = MOST_SCALED / max(step * step * crowd, 1e-30)
    return int(max(1.0, min(words / LEAST_TURNS, bearable)))


def frozen_crowd(crowd: Floats, frozen: npt.NDArray[np.bool_] | None) -> Floats:
    """The crowding of syn0 where words are frozen: infinite, so that their rows do not change."""
    return crowd if frozen is None else np.where(frozen, np.float32(np.inf), crowd)


def device_bytes(words: int, vector_size: int, tokens: int) -> int:
    """GPU memory that training takes: both matrices, keep, crowds, and a call's tokens; without tables of the loss."""
    sentences = tokens * 8  # at most, each of one token
    model = words * (2 * 4 * whole_vectors(vector_size) + _ROW_BYTES)
    return model + tokens * _TOKEN_BYTES + sentences + tokens // STRIP_TOKENS * 8 + 4096

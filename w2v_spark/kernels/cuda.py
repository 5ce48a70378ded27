"""Training on one GPU: skip-gram with negative sampling by tiles, the other pairs centre by centre.

The tiles are those of `cpu_sgns.py`, as many at one time as the corpus bears. Centres are trained each on its own, as
word2vec.c does, with negatives of their own, as many at one time as the corpus bears.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from w2v_spark.array_types import Counts
from w2v_spark.corpus.noise import AliasTable
from w2v_spark.errors import ParamError
from w2v_spark.kernels.cuda_centre_plan import centre_crowding, plan_centres
from w2v_spark.kernels.cuda_device import Card
from w2v_spark.kernels.cuda_model import DeviceModel, Task
from w2v_spark.kernels.cuda_plan import NO_SOFTMAX, Layout, crowding, plan_layout
from w2v_spark.kernels.outputs import Outputs

Sizes = tuple[int, int, int]  # vector_size, window_size, negative
Keep = npt.NDArray[np.uint32]
Frozen = npt.NDArray[np.bool_] | None


class TileModel(DeviceModel):
    """Skip-gram with negative sampling."""

    def __init__(
        self,
        card: Card,
        sizes: Sizes,
        counts: Counts,
        keep: Keep,
        noise: AliasTable,
        most_tokens: int,
        layout: Layout | None = None,
        exclude_window: bool = False,
        frozen: Frozen = None,
    ):
        """A model of zeros, in tiles that suit the card or as `layout` says; see `DeviceModel`."""
        if len(counts) == 0 or not len(counts) == len(keep) == len(noise.slots):
            raise ValueError("counts, keep and the alias table must be as long as the vocabulary, at least one word")
        crowds = crowding(counts, keep, noise, *sizes[1:])
        layout = layout or plan_layout(*sizes[:2], card.shared, card.tensor, exclude=exclude_window)
        super().__init__(card, Task(layout, sizes, crowds, (noise.slots,)), counts, keep, most_tokens, frozen)


class CentreModel(DeviceModel):
    """CBOW with negative sampling, or either architecture with hierarchical softmax."""

    def __init__(
        self,
        card: Card,
        architecture: str,
        sizes: Sizes,
        counts: Counts,
        keep: Keep,
        outputs: Outputs,
        most_tokens: int,
        mean: bool = True,
        exclude_window: bool = False,
        frozen: Frozen = None,
        slab: int | None = None,
    ):
        """A model of zeros, in slabs that suit the card or of so many columns; see `cpu.compile_kernel` and
        `DeviceModel`.
        """
        if len(counts) == 0 or {len(counts), len(keep)} != {outputs.words}:
            raise ValueError("counts, keep and the tables of the loss must be as long as the vocabulary, at least one")
        layout = plan_centres(architecture, outputs, sizes, card.shared, mean, exclude_window)
        layout = replace(layout, slab=slab or layout.slab)
        crowds = centre_crowding(architecture, outputs, counts, keep, *sizes[1:])
        numbers = (np.int32(layout.rows), np.int32(layout.mean))
        task = Task(layout, sizes, crowds, outputs.tables, numbers)
        super().__init__(card, task, counts, keep, most_tokens, frozen)


def open_model(
    card: Card,
    architecture: str,
    sizes: Sizes,
    counts: Counts,
    keep: Keep,
    outputs: Outputs,
    most_tokens: int,
    mean: bool = True,
    exclude_window: bool = False,
    frozen: Frozen = None,
) -> DeviceModel:
    """A model of zeros for any architecture and loss but full softmax.

    Raises:
        ParamError: the loss is softmax.
        DeviceError: the card lacks something.
    """
    if outputs.loss == "softmax":
        raise ParamError(NO_SOFTMAX)
    if (architecture, outputs.loss) == ("skip_gram", "negative_sampling"):
        noise = AliasTable(*outputs.tables)
        return TileModel(card, sizes, counts, keep, noise, most_tokens, None, exclude_window, frozen)
    options = (mean, exclude_window, frozen)
    return CentreModel(card, architecture, sizes, counts, keep, outputs, most_tokens, *options)

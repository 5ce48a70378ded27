"""What the output layer of each loss needs to know of the vocabulary, on CPUs and GPUs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from w2v_spark.corpus.huffman import huffman_tree
from w2v_spark.corpus.noise import alias_table, noise_distribution
from w2v_spark.kernels.checks import check_softmax
from w2v_spark.kernels.sizes import LANES


@dataclass(frozen=True)
class Outputs:
    """What a loss needs to know of the vocabulary: made once, shared by all calls and threads."""

    loss: str
    words: int
    # negative_sampling: the slots of the noise distribution's alias table, uint64[V] (`corpus.noise.AliasTable`);
    # hierarchical_softmax: the ways of the words (`corpus.huffman.HuffmanTree`), int64[V + 1], int32[bits] and
    # float32[bits + 16], 1.0 where the code is 0; softmax: nothing
    tables: tuple[npt.NDArray[Any], ...]
    # what CPU kernels take behind the tables; hierarchical_softmax: the nodes of the longest way
    numbers: tuple[int, ...] = ()

    @classmethod
    def of_counts(cls, loss: str, counts: npt.NDArray[np.int64], noise_exponent: float = 0.75) -> Outputs:
        """The tables of a vocabulary; `noise_exponent` matters to negative sampling only.

        Raises:
            ParamError: the vocabulary is too large for a full softmax.
        """
        if loss == "negative_sampling":
            return cls(loss, len(counts), (alias_table(noise_distribution(counts, noise_exponent)).slots,))
        if loss == "hierarchical_softmax":
            tree = huffman_tree(counts)
            labels = np.zeros(len(tree.codes) + LANES, np.float32)
            labels[: len(tree.codes)] = 1 - tree.codes
            points = np.pad(tree.points, (0, LANES))
            longest = int(np.diff(tree.starts).max(initial=0))
            return cls(loss, len(counts), (tree.starts, points, labels), (longest,))
        check_softmax(len(counts))
        return cls(loss, len(counts), ())

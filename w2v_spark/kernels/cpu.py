"""The CPU kernels under one roof: architecture and loss by name, one way to call them all.

How a replica uses them:

    kernel = compile_kernel(architecture, loss, vector_size, window_size, negative, mean, exclude_window, freezing)
    outputs = Outputs.of_counts(loss, counts, noise_exponent)
    syn1 = zeros [kernel.output_rows(V), whole_vectors(vector_size)]
    kernel(ids, offsets, syn0, syn1, keep, outputs, step_from, step_to, key)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from w2v_spark.array_types import Floats, Ids
from w2v_spark.errors import ParamError
from w2v_spark.kernels.checks import check_sentences, check_sizes
from w2v_spark.kernels.cpu_cbow import compile_cbow
from w2v_spark.kernels.cpu_hs import compile_hierarchical
from w2v_spark.kernels.cpu_sgns import compile_sgns
from w2v_spark.kernels.cpu_sgns_bf16 import compile_sgns_bf16
from w2v_spark.kernels.cpu_softmax import compile_softmax
from w2v_spark.kernels.outputs import Outputs
from w2v_spark.kernels.processor import cpu_name, multiplies_bf16
from w2v_spark.kernels.sizes import whole_vectors
from w2v_spark.params import specs

_SPECS = specs()
ARCHITECTURES, LOSSES = _SPECS["architecture"].choices, _SPECS["loss"].choices


@dataclass(frozen=True)
class Kernel:
    """Trains sentences, for one architecture, loss, vector size and window size; see `__call__`."""

    loss: str
    vector_size: int
    freezing: bool
    # what the compiled code takes between the tables and the learning rates
    _arguments: tuple[Any, ...]
    _train: Any
    bf16: bool = False  # whether it rounds what it multiplies to bf16

    @property
    def processor(self) -> str:
        """What the kernel is compiled for, as LLVM calls it, and whether it multiplies bf16."""
        return cpu_name() + " in bf16" * self.bf16

    def output_rows(self, words: int) -> int:
        """How many rows of syn1 are used: one for each word, or for each inner node of the Huffman tree."""
        return words - 1 if self.loss == "hierarchical_softmax" else words

    def __call__(
        self,
        ids: Ids,
        offsets: npt.NDArray[np.int64],
        syn0: Floats,
        syn1: Floats,
        keep: npt.NDArray[np.uint32],
        outputs: Outputs,
        step_from: float,
        step_to: float,
        key: int | np.uint64,
        frozen: npt.NDArray[np.bool_] | None = None,
    ) -> tuple[int, int, float, int]:
        """Train every sample of the sentences once, in place and without Python's lock.

        A sample is a pair of context and centre for skip-gram, a centre with the words around it for CBOW. Subsampling
        takes words out of a sentence before its windows are formed; a centre's window shrinks to 1..window_size words,
        uniformly: both as in word2vec.c.

        Args:
            ids: words of consecutive sentences, int32.
            offsets: where in `ids` each sentence starts, and where the last ends, int64[sentences + 1].
            syn0: vectors of words as contexts, float32[V, whole_vectors(vector_size)], zero in the padding.
            syn1: vectors of what is predicted, of at least `output_rows(V)` rows like those of syn0: of words, or of
                the inner nodes of the Huffman tree, the root last.
            keep: probability that a word stays in its sentence, uint32[V], scaled so that 2**32 - 1 is one.
            outputs: the tables of the loss.
            step_from: learning rate at the first word.
            step_to: learning rate at the last word, linear in between.
            key: all random numbers follow from it.
            frozen: words whose rows of syn0 do not change, bool[V], for a kernel that is `freezing`, else None.

        Returns:
            Words kept; samples trained; the loss summed over about one sample in 64 (negative sampling) or in 1,024
            (hierarchical softmax), or over all (softmax); the number of those.
        """
        self._check(ids, offsets, syn0, syn1, keep, outputs, frozen)
        steps = float(step_from), float(step_to), np.uint64(key)
        arguments = (*outputs.tables, *outputs.numbers, *self._arguments, *steps)
        result = self._train(ids, offsets, syn0, syn1, keep, frozen, *arguments)
        words_kept, samples, loss_sum, loss_samples = result
        return int(words_kept), int(samples), float(loss_sum), int(loss_samples)

    def _check(
        self,
        ids: Ids,
        offsets: npt.NDArray[np.int64],
        syn0: Floats,
        syn1: Floats,
        keep: npt.NDArray[np.uint32],
        outputs: Outputs,
        frozen: npt.NDArray[np.bool_] | None,
    ) -> None:
        """Refuse arrays that do not fit each other or the kernel."""
        words, width = len(keep), whole_vectors(self.vector_size)
        if words == 0:
            raise ValueError("the vocabulary must have at least one word")
        if outputs.loss != self.loss or outputs.words != words:
            raise ValueError(f"outputs of {outputs.words} words for {outputs.loss} must be of {words} for {self.loss}")
        if outputs.loss == "negative_sampling" and {len(table) for table in outputs.tables} != {words}:
            raise ValueError("each table of the negatives must be as long as the vocabulary")
        if (frozen is not None) != self.freezing or (frozen is not None and frozen.shape != (words,)):
            raise ValueError(
                f"frozen must be one truth value for each of {words} words, if and only if words are frozen"
            )
        rows = self.output_rows(words)
        if syn0.shape != (words, width) or syn1.ndim != 2 or len(syn1) < rows or syn1.shape[1] != width:
            raise ValueError(
                f"syn0 {syn0.shape} must be {(words, width)}, and syn1 {syn1.shape} of {rows} such rows or more"
            )
        check_sentences(ids, offsets, words)


def compile_kernel(
    architecture: str,
    loss: str,
    vector_size: int,
    window_size: int,
    negative: int = 5,
    mean: bool = True,
    exclude_window: bool = False,
    freezing: bool = False,
    bf16: bool = True,
) -> Kernel:
    """The kernel for these, compiled at the first call and from then on loaded from disk if possible.

    Args:
        architecture: one of ARCHITECTURES.
        loss: one of LOSSES.
        vector_size: floats of a vector.
        window_size: the most words on either side of a centre.
        negative: negatives of a sample; matters to negative sampling only.
        mean: whether CBOW takes the mean of its contexts' vectors, else their sum; matters to CBOW only.
        exclude_window: whether words that a word is seen with are none of its negatives; matters to negative sampling
            only. Skip-gram: no centre whose window has the context is a negative of that context. CBOW: no word of a
            centre's window is its negative. Those of the shared negatives that are left count as much as all of them.
        freezing: whether some words' rows of syn0 do not change.
        bf16: whether to round what is multiplied to bf16 where the processor is faster at it and a kernel makes use of
            that: the one of skip-gram with negative sampling.
    """
    for name, given, allowed in (("architecture", architecture, ARCHITECTURES), ("loss", loss, LOSSES)):
        if given not in allowed:
            raise ParamError(f"the CPU has no kernel for {name} {given!r}: it must be one of {', '.join(allowed)}")
    check_sizes("CPU", vector_size, window_size, negative if loss == "negative_sampling" else 1)
    width, bags = whole_vectors(vector_size), architecture == "cbow"
    arguments: tuple[Any, ...] = (window_size, mean)
    bf16 = bf16 and not bags and loss == "negative_sampling" and multiplies_bf16()
    if loss == "hierarchical_softmax":
        train = compile_hierarchical(width, bags, freezing)
    elif loss == "softmax":
        train = compile_softmax(width, bags, freezing)
    elif bags:
        train, arguments = compile_cbow(vector_size, exclude_window, freezing), (window_size, negative, mean)
    else:
        compiler = compile_sgns_bf16 if bf16 else compile_sgns
        train, arguments = compiler(vector_size, window_size, exclude_window, freezing), (negative,)
    return Kernel(loss, vector_size, freezing, arguments, train, bf16)

"""Full softmax on CPU, for skip-gram and for CBOW: each step touches every word of the vocabulary.

Consecutive words of the strip are trained together, about 32 samples at a time: as contexts, each of which predicts all
the words around it with one distribution over the vocabulary (skip-gram), or as centres, each of which is predicted by
the words around it (CBOW). Rows of syn1 are read in blocks that stay in the first cache. The loss is -log
softmax(syn1 . hidden) at the predicted word (Mikolov et al. 2013b, equation 2). The mathematics in plain words is in
`reference_models.py`.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from numba import types

from w2v_spark.array_types import Floats
from w2v_spark.kernels.aligned import aligned_zeros, rounded_up
from w2v_spark.kernels.cache import compile_now, inner
from w2v_spark.kernels.cpu_bag import ROWS, Bag, fill_bag, make_bag, spread_steps
from w2v_spark.kernels.cpu_strip import (
    Strip,
    is_frozen,
    lay_sentences,
    learning_rate,
    make_strip,
    random_number,
    training_signature,
)
from w2v_spark.kernels.cpu_tile import slowing
from w2v_spark.kernels.simd import add_combination, add_dots, copy
from w2v_spark.kernels.simd_exp import exponentials
from w2v_spark.kernels.sizes import LANES

_BLOCK = 32  # rows of syn1 at a time
_NOTHING = np.float32(-1e30)  # a score that no softmax notices


class Softmax(NamedTuple):
    """What is computed for up to 32 hidden vectors."""

    scores: Floats  # dot products, later gradients times the learning rate, [ROWS, columns]
    columns: int  # the vocabulary's size rounded up to whole vectors
    predicted: Any  # how many words each hidden vector predicts, int32[ROWS]


@inner
def make_softmax(words: Any) -> Softmax:
    """Scores of zero for so many words."""
    columns = rounded_up(words)
    return Softmax(aligned_zeros(ROWS * columns + LANES), columns, np.zeros(ROWS, np.int32))


@inner
def meets(strip: Strip, context: Any, centre: Any) -> Any:
    """Whether the context is within the centre's window."""
    if context < centre:
        return strip.left[centre] >= centre - context
    return centre < context and strip.right[centre] >= context - centre


@inner
def count_predicted(softmax: Softmax, strip: Strip, at: Any, rows: Any, window: Any, bags: Any, filled: Any) -> Any:
    """Note how many words each hidden vector predicts; how many all of them do."""
    found = 0
    for i in range(rows):
        own, count = at + window + i, 0
        if bags:
            count = int(strip.left[own] + strip.right[own] > 0)
        else:
            for j in range(max(window, own - window), min(filled + window, own + window + 1)):
                count += meets(strip, own, j)
        softmax.predicted[i] = count
        found += count
    return found


@inner
def copy_contexts(bag: Bag, words: Any, first: Any, rows: Any, syn0: Any, width: Any) -> None:
    """Skip-gram: the hidden vectors are the rows of syn0 of words[first : first + rows]."""
    bag.steps[:] = 0
    for i in range(rows):
        copy(bag.hidden, i * width, syn0, np.int64(words[first + i]) * width, width)


@inner
def add_steps(bag: Bag, words: Any, first: Any, rows: Any, syn0: Any, frozen: Any, width: Any) -> None:
    """Skip-gram: add the steps to the rows of syn0 of words[first : first + rows], but for words that are frozen."""
    for i in range(rows):
        if is_frozen(frozen, words[first + i]):
            continue
        row = np.int64(words[first + i]) * width
        add_combination(syn0, row, bag.ones, 0, 0, bag.steps, i * width, width, 1, width)


@inner
def score(softmax: Softmax, hidden: Any, rows: Any, syn1: Any, words: Any, width: Any) -> None:
    """Dot products of each hidden vector with the vector of each word."""
    scores, columns = softmax.scores, softmax.columns
    scores[: rows * columns] = 0
    whole = words // LANES * LANES
    for k in range(0, whole, LANES):
        for i in range(rows):
            add_dots(scores, i * columns + k, hidden, i * width, syn1, k * width, width, LANES, width)
    for k in range(whole, words):
        for i in range(rows):
            # it also adds zeros to the lanes behind, the first of the next row among them
            add_dots(scores, i * columns + k, hidden, i * width, syn1, k * width, width, 1, width)
    for i in range(rows):
        scores[i * columns + words : (i + 1) * columns] = _NOTHING


@inner
def normalise(softmax: Softmax, i: Any, words: Any) -> Any:
    """Turn a row's scores into exponentials; their largest score, their sum."""
    scores, start = softmax.scores, i * softmax.columns
    top = scores[start]
    for k in range(start, start + words):
        top = max(top, scores[k])
    return top, exponentials(scores, start, softmax.columns // LANES, top)


@inner
def update_outputs(softmax: Softmax, hidden: Any, steps: Any, rows: Any, syn1: Any, words: Any, width: Any) -> None:
    """Form the steps of the hidden vectors, and make those of syn1, block by block."""
    scores, columns = softmax.scores, softmax.columns
    for k in range(0, words, _BLOCK):
        end = min(words, k + _BLOCK)
        for i in range(rows):
            at = i * columns + k
            add_combination(steps, i * width, scores, at, 1, syn1, k * width, width, end - k, width)
        for v in range(k, end):
            add_combination(syn1, v * width, scores, v, columns, hidden, 0, width, rows, width)


@inner
def differentiate(
    softmax: Softmax, strip: Strip, at: Any, i: Any, step: Any, window: Any, words: Any, bags: Any, filled: Any
) -> Any:
    """Turn row i of scores into steps: step * (times the word is predicted - times predictions * its probability).

    Returns the loss of its predictions.
    """
    own, start = at + window + i, i * softmax.columns
    scores, total = softmax.scores, 0.0
    first, last = (own, own + 1) if bags else (max(window, own - window), min(filled + window, own + window + 1))
    for j in range(first, last):
        if bags or meets(strip, own, j):
            total -= np.float64(scores[start + strip.words[j]])
    top, summed = normalise(softmax, i, words)
    count = softmax.predicted[i]
    total += count * (np.float64(top) + math.log(summed))
    factor = np.float32(-step * count / summed)
    for k in range(start, start + words):
        scores[k] *= factor
    for j in range(first, last):
        if bags or meets(strip, own, j):
            scores[start + strip.words[j]] += np.float32(step)
    return total


@functools.cache
def compile_softmax(width: int, bags: bool, freezing: bool) -> Any:
    """The compiled kernel for rows of `width` floats, CBOW's if `bags`, with frozen words or without; its arguments are
    made by `cpu.Kernel`.
    """

    @compile_now(training_signature(freezing, types.int64, types.boolean))
    def train(
        ids: Any,
        offsets: Any,
        syn0: Any,
        syn1: Any,
        keep: Any,
        frozen: Any,
        window: Any,
        mean: Any,
        step_from: Any,
        step_to: Any,
        key: Any,
    ) -> Any:
        size = len(keep)
        # a context predicts window + 1 words on average; 32 of them at once diverge where few words share a sentence
        together = ROWS if bags else max(1, ROWS // (window + 1))
        inputs, outputs = syn0.reshape(-1), syn1.reshape(-1)
        strip, bag, softmax = make_strip(offsets, window), make_bag(window, width), make_softmax(size)
        words, sentence = strip.words, 0
        slope = (step_to - step_from) / max(1, offsets[-1] - offsets[0] - 1)
        words_kept, samples, loss_sum = 0, 0, 0.0
        while sentence < len(offsets) - 1:
            sentence, filled = lay_sentences(strip, ids, offsets, sentence, keep, window, random_number(key))
            words_kept += filled
            for at in range(0, filled, together):
                rows = min(together, filled - at)
                found = count_predicted(softmax, strip, at, rows, window, bags, filled)
                if found == 0:
                    continue
                samples += found
                if bags:
                    fill_bag(bag, strip, at, rows, filled, inputs, mean, window, width)
                else:
                    copy_contexts(bag, words, at + window, rows, inputs, width)
                score(softmax, bag.hidden, rows, outputs, size, width)
                first = at + window
                step = learning_rate(step_from, slope, strip.places[first])
                updates = step * (window + 1)
                for i in range(rows):
                    if softmax.predicted[i] == 0:
                        softmax.scores[i * softmax.columns : (i + 1) * softmax.columns] = 0
                        continue
                    scaled = step if bags else step * slowing(strip, first, first + rows, first + i, updates)
                    loss_sum += differentiate(softmax, strip, at, i, scaled, window, size, bags, filled)
                update_outputs(softmax, bag.hidden, bag.steps, rows, outputs, size, width)
                if bags:
                    spread_steps(bag, strip, at, rows, filled, inputs, frozen, updates, window, width)
                else:
                    add_steps(bag, words, first, rows, inputs, frozen, width)
        return words_kept, samples, loss_sum, samples

    return train

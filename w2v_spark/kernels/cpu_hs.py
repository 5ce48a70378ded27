"""Hierarchical softmax on CPU, for skip-gram and for CBOW.

A word's way down the Huffman tree is a row of decisions, each between the branches of an inner node, whose vector is a
row of syn1 (Morin and Bengio 2005; Mikolov et al. 2013a, with the numbering of word2vec.c). Each centre trains with the
nodes as the one before left them, all its inputs together: the rows of syn0 of the words around it (skip-gram), or
their mean or sum (CBOW, whose contexts are read and written for 32 centres at once). The mathematics in plain words is
in `reference_models.py`.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import types

from w2v_spark.kernels.cache import compile_now, read_only
from w2v_spark.kernels.cpu_bag import ROWS, count_samples, fill_bag, make_bag, spread_steps
from w2v_spark.kernels.cpu_strip import lay_sentences, learning_rate, make_strip, random_number, training_signature
from w2v_spark.kernels.cpu_way import Tree, make_way, prefetch_way, train_contexts, train_hidden

MEASURED = 1024  # the loss is measured on one centre in so many


@functools.cache
def compile_hierarchical(width: int, bags: bool, freezing: bool) -> Any:
    """The compiled kernel for rows of `width` floats, CBOW's if `bags`, with frozen words or without; its arguments are
    made by `cpu.Kernel`.
    """
    tables = read_only(types.int64), read_only(types.int32), read_only(types.float32)

    @compile_now(training_signature(freezing, *tables, types.int64, types.int64, types.boolean))
    def train(
        ids: Any,
        offsets: Any,
        syn0: Any,
        syn1: Any,
        keep: Any,
        frozen: Any,
        starts: Any,
        points: Any,
        labels: Any,
        nodes: Any,
        window: Any,
        mean: Any,
        step_from: Any,
        step_to: Any,
        key: Any,
    ) -> Any:
        inputs, outputs = syn0.reshape(-1), syn1.reshape(-1)
        tree = Tree(starts, points, labels)
        strip, way, bag = make_strip(offsets, window), make_way(nodes, window, width), make_bag(window, width)
        words, sentence = strip.words, 0
        slope = (step_to - step_from) / max(1, offsets[-1] - offsets[0] - 1)
        words_kept, loss_sum, unmeasured = 0, 0.0, MEASURED
        samples, loss_samples = np.int64(0), np.int64(0)
        while sentence < len(offsets) - 1:
            sentence, filled = lay_sentences(strip, ids, offsets, sentence, keep, window, random_number(key))
            words_kept += filled
            for at in range(0, filled, ROWS):
                rows, decisions = min(ROWS, filled - at), np.int64(0)
                found = count_samples(strip, at, rows, window)
                if bags and found > 0:
                    fill_bag(bag, strip, at, rows, filled, inputs, mean, window, width)
                for i in range(rows):
                    centre = at + window + i
                    around = np.int64(strip.left[centre] + strip.right[centre])
                    prefetch_way(tree, words[centre + 1], outputs, width)
                    if around == 0:
                        continue
                    trained = np.int64(1) if bags else around
                    samples += trained
                    unmeasured += 1
                    measure = unmeasured > MEASURED
                    if measure:
                        unmeasured = 1
                        loss_samples += trained
                    step = learning_rate(step_from, slope, strip.places[centre])
                    if bags:
                        word, x = words[centre], i * width
                        decisions += starts[word + 1] - starts[word]
                        loss_sum += train_hidden(
                            way, tree, word, bag.hidden, bag.steps, x, step, measure, outputs, width
                        )
                    else:
                        loss_sum += train_contexts(
                            way, tree, strip, centre, step, measure, inputs, frozen, outputs, width
                        )
                if bags and found > 0:
                    step = learning_rate(step_from, slope, strip.places[at + window])
                    updates = step * (window + 1) * decisions / found
                    spread_steps(bag, strip, at, rows, filled, inputs, frozen, updates, window, width)
        return words_kept, samples, loss_sum, loss_samples

    return train

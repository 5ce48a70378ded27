"""CBOW with negative sampling on CPU, by bags of 32 centres that share 64 negatives, each centre half of them.

Each centre's hidden vector, the mean or the sum of the rows of syn0 around it, is scored with the centre's row of syn1
and with its share of the negatives, each weighted negative / 32: the expected gradient is that of `negative` negatives
of one's own (Mikolov et al. 2013a, section 3.1, for CBOW; 2013b, equation 4, for the loss). The changes are added back
for the whole bag at once. The mathematics in plain words is in `reference_models.py`.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numba import types

from w2v_spark.kernels.cache import compile_now, inlined, inner
from w2v_spark.kernels.cpu_bag import ROWS, Bag, count_samples, fill_bag, make_bag, spread_steps
from w2v_spark.kernels.cpu_exclude import spread
from w2v_spark.kernels.cpu_rows import Floats, add_rows, aligned_zeros, copy_row, slabs
from w2v_spark.kernels.cpu_strip import (
    Ids,
    Strip,
    draw_negatives,
    lay_sentences,
    learning_rate,
    make_strip,
    random_number,
    read_only,
    training_signature,
)
from w2v_spark.kernels.cpu_tile import prefetch_rows, softplus
from w2v_spark.kernels.emitter import LANES
from w2v_spark.kernels.simd import add_dots, find, logistic_gradient, lowest_bit

NEGATIVES = 64  # of a bag; with 32 half a point of analogies is lost
SHARE = 32  # of them, for one centre: with all 64 a bag takes 1.5 times as long, for the same analogies
SHARES = NEGATIVES // SHARE
MEASURED = 64  # the loss is measured on one bag in so many

_ONE = np.uint64(1)


class Scores(NamedTuple):
    """The output layer of a bag: scores are dot products first, later gradients times the learning rate."""

    negatives: Ids  # of this bag and, drawn ahead so that memory has time, of the next, [2 * NEGATIVES]
    rows: Floats  # their rows of syn1, [NEGATIVES, width]
    negative: Floats  # scores of each hidden vector with each negative of its share, [ROWS, SHARE]
    used: Floats  # how much the score counts: not without contexts, nor where the negative is the centre
    positive: Floats  # scores of each hidden vector with its centre, [ROWS], and room for what a micro-kernel writes
    seen: Floats  # 1.0 where the centre has contexts, like positive


@inner
def make_scores(width: Any) -> Scores:
    """Scores of zero."""
    return Scores(
        np.zeros(2 * NEGATIVES, np.int32),
        aligned_zeros(NEGATIVES * width),
        aligned_zeros(ROWS * SHARE),
        aligned_zeros(ROWS * SHARE),
        aligned_zeros(ROWS + LANES),
        aligned_zeros(ROWS + LANES),
    )


@inlined
def share_of(row: Any) -> Any:
    """Where the share of negatives of a bag's centre starts."""
    return row % SHARES * SHARE


@inner
def choose_negatives(scores: Scores, now: Any, strip: Strip, at: Any, rows: Any, window: Any, exclude: Any) -> None:
    """Note which scores count, and how much: with `exclude`, those left of a centre's as much as all of them."""
    scores.seen[:] = 0
    for i in range(rows):
        centre = at + window + i
        seen = np.float32(strip.left[centre] + strip.right[centre] > 0)
        scores.seen[i] = seen
        own = now + share_of(i)
        for k in range(i * SHARE, (i + 1) * SHARE):
            scores.used[k] = seen
        clashes = find(scores.negatives, own, strip.words[centre], SHARE)
        if exclude:
            for j in range(centre - strip.left[centre], centre + strip.right[centre] + 1):
                clashes |= find(scores.negatives, own, strip.words[j], SHARE)
            spread(scores.used, i * SHARE, 1, clashes, SHARE)
            continue
        while clashes != 0:
            scores.used[i * SHARE + lowest_bit(clashes)] = 0
            clashes &= clashes - _ONE


@inner
def score(
    scores: Scores,
    bag: Bag,
    now: Any,
    words: Any,
    first: Any,
    rows: Any,
    syn1: Any,
    width: Any,
    wide: Any,
    vectors: Any,
    narrow: Any,
    fewer: Any,
) -> None:
    """Dot products of each hidden vector with its centre, words[first + i], and with the negatives."""
    for j in range(NEGATIVES):
        row = np.int64(scores.negatives[now + j]) * width
        copy_row(scores.rows, j * width, syn1, row, wide, vectors, narrow, fewer)
    scores.negative[:] = 0
    scores.positive[:] = 0
    for i in range(rows):
        x, row = i * width, np.int64(words[first + i]) * width
        add_dots(scores.positive, i, bag.hidden, x, syn1, row, width, 1, width // LANES)
        for k in range(0, SHARE, LANES):
            at, own = i * SHARE + k, (share_of(i) + k) * width
            add_dots(scores.negative, at, bag.hidden, x, scores.rows, own, width, LANES, width // LANES)


@inner
def loss(scores: Scores, rows: Any, negative: Any) -> Any:
    """The loss of the bag's samples, from their scores."""
    positives, negatives = 0.0, 0.0
    for i in range(rows):
        x = np.float64(scores.positive[i])
        positives += scores.seen[i] * softplus(-x)
        for k in range(i * SHARE, (i + 1) * SHARE):
            x = np.float64(scores.negative[k])
            negatives += scores.used[k] * softplus(x)
    return positives + negatives * negative / SHARE


@inner
def update_outputs(
    scores: Scores,
    bag: Bag,
    now: Any,
    words: Any,
    first: Any,
    rows: Any,
    syn1: Any,
    step: Any,
    negative: Any,
    width: Any,
    wide: Any,
    vectors: Any,
    narrow: Any,
    fewer: Any,
) -> None:
    """Turn scores into steps; form those of the hidden vectors, then make those of the rows of syn1."""
    own, shared = np.float32(step), np.float32(step * negative / SHARE)
    for k in range(0, ROWS, LANES):
        logistic_gradient(scores.positive, k, scores.seen, k, 1, own)
    for k in range(0, rows * SHARE, LANES):
        logistic_gradient(scores.negative, k, scores.used, k, 0, shared)
    for i in range(rows):
        to, at, row = i * width, i * SHARE, np.int64(words[first + i]) * width
        drawn = share_of(i) * width
        add_rows(bag.steps, to, scores.positive, i, 0, syn1, row, width, 1, wide, vectors, narrow, fewer)
        add_rows(bag.steps, to, scores.negative, at, 1, scores.rows, drawn, width, SHARE, wide, vectors, narrow, fewer)
    for i in range(rows):
        row = np.int64(words[first + i]) * width
        add_rows(syn1, row, scores.positive, i, 0, bag.hidden, i * width, width, 1, wide, vectors, narrow, fewer)
    far, apart = SHARES * SHARE, SHARES * width
    for j in range(NEGATIVES):
        # the centres that share negative j: the first, and from there every SHARES-th
        i, row = j // SHARE, np.int64(scores.negatives[now + j]) * width
        at, x, count = i * SHARE + j % SHARE, i * width, (rows - i + SHARES - 1) // SHARES
        add_rows(syn1, row, scores.negative, at, far, bag.hidden, x, apart, count, wide, vectors, narrow, fewer)


@functools.cache
def compile_cbow(width: int, window: int, exclude: bool, freezing: bool) -> Any:
    """The compiled kernel for rows of `width` floats, with `exclude_window` and frozen words or without; its arguments
    are made by `cpu.Kernel`.
    """
    wide, vectors, narrow, fewer = slabs(width)
    band = -(-(2 * window + 1) // LANES) * LANES

    tables = read_only(types.uint32), read_only(types.int32)

    @compile_now(training_signature(freezing, *tables, types.int64, types.boolean))
    def train(
        ids: Any,
        offsets: Any,
        syn0: Any,
        syn1: Any,
        keep: Any,
        frozen: Any,
        probability: Any,
        alias: Any,
        negative: Any,
        mean: Any,
        step_from: Any,
        step_to: Any,
        key: Any,
    ) -> Any:
        inputs, outputs = syn0.reshape(-1), syn1.reshape(-1)
        strip, bag, scores = make_strip(offsets, window, band), make_bag(window, width), make_scores(width)
        words, sentence, bags = strip.words, 0, 0
        noise_key = random_number(~key)
        slope = (step_to - step_from) / max(1, offsets[-1] - offsets[0] - 1)
        words_kept, samples, loss_sum, loss_samples, unmeasured = 0, 0, 0.0, 0, MEASURED
        draw_negatives(scores.negatives, 0, NEGATIVES, 0, probability, alias, noise_key)
        while sentence < len(offsets) - 1:
            sentence, filled = lay_sentences(strip, ids, offsets, sentence, keep, window, band, random_number(key))
            words_kept += filled
            for at in range(0, filled, ROWS):
                rows, first = min(ROWS, filled - at), at + window
                now = (bags & 1) * NEGATIVES
                following = NEGATIVES - now
                bags += 1
                draw_negatives(scores.negatives, following, NEGATIVES, bags, probability, alias, noise_key)
                prefetch_rows(outputs, scores.negatives, following, following + NEGATIVES, width)
                soon, end = first + rows, filled + window
                prefetch_rows(outputs, words, soon, min(end, soon + ROWS), width)
                prefetch_rows(inputs, words, soon + window, min(end, soon + window + ROWS), width)
                found = count_samples(strip, at, rows, window)
                if found == 0:
                    continue
                samples += found
                fill_bag(bag, strip, at, rows, filled, inputs, mean, window, width, wide, vectors, narrow, fewer)
                choose_negatives(scores, now, strip, at, rows, window, exclude)
                score(scores, bag, now, words, first, rows, outputs, width, wide, vectors, narrow, fewer)
                unmeasured += 1
                if unmeasured > MEASURED:
                    unmeasured = 1
                    loss_sum += loss(scores, rows, negative)
                    loss_samples += found
                step = learning_rate(step_from, slope, strip.places[first])
                update_outputs(
                    scores, bag, now, words, first, rows, outputs, step, negative, width, wide, vectors, narrow, fewer
                )
                updates = step * (window + 1) * (negative + 1)
                spread_steps(
                    bag, strip, at, rows, filled, inputs, frozen, updates, window, width, wide, vectors, narrow, fewer
                )
        return words_kept, samples, loss_sum, loss_samples

    return train

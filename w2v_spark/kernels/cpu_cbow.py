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

from w2v_spark.array_types import Floats, Ids
from w2v_spark.kernels.aligned import aligned_zeros
from w2v_spark.kernels.cache import compile_now, inlined, inner, read_only
from w2v_spark.kernels.cpu_bag import ROWS, Bag, count_samples, fill_bag, make_bag, spread_steps
from w2v_spark.kernels.cpu_exclude import spread
from w2v_spark.kernels.cpu_strip import (
    Strip,
    draw_negatives,
    lay_sentences,
    learning_rate,
    make_strip,
    random_number,
    training_signature,
)
from w2v_spark.kernels.cpu_tile import Model
from w2v_spark.kernels.simd import add_combination, copy, find, logistic_gradient, lowest_bit
from w2v_spark.kernels.simd_exp import weighted_loss
from w2v_spark.kernels.simd_tile import ROWS_AT_ONCE, TOGETHER, ListedRows, add_combinations, multiply, turn
from w2v_spark.kernels.simd_ways import dots_of_pairs
from w2v_spark.kernels.sizes import LANES, MEASURED, TILE_ROWS, slabs, whole_vectors

NEGATIVES = 64  # of a bag; with 32 half a point of analogies is lost
SHARE = TILE_ROWS  # of them, for one centre: with all 64 a bag takes 1.5 times as long, for the same analogies
SHARES = NEGATIVES // SHARE
# of the next bag's negatives, while the steps of a few centres are formed
_ASKED = SHARE * TOGETHER // (ROWS // SHARES)

_ONE = np.uint64(1)


class Scores(NamedTuple):
    """The output layer of a bag: scores are dot products first, later gradients times the learning rate."""

    negatives: Ids  # of this bag and, drawn ahead so that memory has time, of the next, [2 * NEGATIVES]
    order: Ids  # the centres, those of a share one after another, [ROWS]
    rows: Floats  # the negatives' rows of syn1, [NEGATIVES, width]
    turned: Floats  # those of one share, side by side, [width, SHARE]
    negative: Floats  # scores of each hidden vector, in that order, with each negative of its share, [ROWS, SHARE]
    used: Floats  # how much the score counts: not without contexts, nor where the negative is the centre
    positive: Floats  # scores of each hidden vector with its centre, [ROWS]
    seen: Floats  # 1.0 where the centre has contexts, like positive


@inner
def make_scores(width: Any) -> Scores:
    """Scores of zero."""
    return Scores(
        np.zeros(2 * NEGATIVES, np.int32),
        np.arange(ROWS).astype(np.int32).reshape(-1, SHARES).T.copy().reshape(-1),
        aligned_zeros(NEGATIVES * width),
        aligned_zeros(width * SHARE),
        aligned_zeros(ROWS * SHARE),
        aligned_zeros(ROWS * SHARE),
        aligned_zeros(ROWS),
        aligned_zeros(ROWS),
    )


@inlined
def place_of(row: Any) -> Any:
    """Where the scores of a bag's centre with its negatives start: see `Scores.order`."""
    return (row % SHARES * (ROWS // SHARES) + row // SHARES) * SHARE


@inner
def choose_negatives(scores: Scores, now: Any, strip: Strip, at: Any, rows: Any, window: Any, exclude: Any) -> None:
    """Note which scores count, and how much: with `exclude`, those left of a centre's as much as all of them."""
    scores.seen[:] = 0
    scores.used[:] = 0
    for i in range(rows):
        centre = at + window + i
        seen = np.float32(strip.left[centre] + strip.right[centre] > 0)
        scores.seen[i] = seen
        own, place = now + i % SHARES * SHARE, place_of(i)
        scores.used[place : place + SHARE] = seen
        clashes = find(scores.negatives, own, strip.words[centre], SHARE)
        if exclude:
            for j in range(centre - strip.left[centre], centre + strip.right[centre] + 1):
                clashes |= find(scores.negatives, own, strip.words[j], SHARE)
            spread(scores.used, place, 1, clashes, SHARE)
            continue
        while clashes != 0:
            scores.used[place + lowest_bit(clashes)] = 0
            clashes &= clashes - _ONE


@inner
def score(
    scores: Scores, bag: Bag, now: Any, words: Any, first: Any, syn1: Any, size: Any, width: Any, apart: Any
) -> None:
    """Dot products of each hidden vector with its centre, words[first + i], and with the negatives of its share.

    Vectors have `size` floats, their rows `width`; the hidden vectors of a share are `apart` floats from each other.
    """
    for j in range(NEGATIVES):
        row = np.int64(scores.negatives[now + j]) * width
        copy(scores.rows, j * width, syn1, row, width)
    scores.negative[:] = 0
    for i in range(0, ROWS, LANES):
        dots_of_pairs(scores.positive, i, bag.hidden, i * width, syn1, 0, words, first + i, width)
    for share in range(SHARES):
        for k in range(0, SHARE, LANES):
            for column in range(0, width, LANES):
                own = (share * SHARE + k) * width + column
                turn(scores.turned, column * SHARE + k, SHARE, scores.rows, own, width)
        for i in range(0, ROWS // SHARES, ROWS_AT_ONCE):
            at, x = (share * (ROWS // SHARES) + i) * SHARE, share * width + i * apart
            multiply(scores.negative, at, bag.hidden, x, apart, scores.turned, 0, size)


@inner
def loss(scores: Scores, rows: Any, negative: Any) -> Any:
    """The loss of the bag's samples, from their scores."""
    positives = weighted_loss(scores.positive, scores.seen, 0, ROWS, 1)
    negatives = weighted_loss(scores.negative, scores.used, 0, ROWS * SHARE, 0)
    return positives + negatives * negative / SHARE


@inner
def differentiate(scores: Scores, step: Any, negative: Any) -> None:
    """Turn scores into what the learning rate `step` makes of the gradients by them."""
    for k in range(0, ROWS, LANES):
        logistic_gradient(scores.positive, k, scores.seen, k, 1, np.float32(step))
    shared = np.float32(step * negative / SHARE)
    for k in range(0, ROWS * SHARE, LANES):
        logistic_gradient(scores.negative, k, scores.used, k, 0, shared)


@inner
def update_centres(scores: Scores, bag: Bag, words: Any, first: Any, rows: Any, syn1: Any, width: Any) -> None:
    """Form the steps of the hidden vectors by their centres, words[first + i], and change the centres' rows of syn1."""
    for i in range(rows):
        x, row = i * width, np.int64(words[first + i]) * width
        add_combination(bag.steps, x, scores.positive, i, 0, syn1, row, width, 1, width)
    for i in range(rows):
        x, row = i * width, np.int64(words[first + i]) * width
        add_combination(syn1, row, scores.positive, i, 0, bag.hidden, x, width, 1, width)


@inner
def update_negatives(
    scores: Scores,
    bag: Bag,
    now: Any,
    words: Any,
    next_centres: Any,
    window: Any,
    rows: Any,
    model: Model,
    column: Any,
    width: Any,
    columns: Any,
) -> None:
    """Add to the steps of the hidden vectors what the negatives make of them, and change the negatives' rows of syn1;
    for the columns of one slab.

    Meanwhile the rows of the next bag are asked for: its negatives, the contexts, the centres.
    """
    syn1, weights, apart = model.syn1, scores.negative, SHARES * width
    for share in range(SHARES):
        count, drawn = (rows - share + SHARES - 1) // SHARES, share * SHARE
        own, x, placed = drawn * width + column, share * width + column, share * (ROWS // SHARES)
        for k in range(0, count - count % TOGETHER, TOGETHER):
            sums = ListedRows(bag.steps, column, scores.order, placed + k, width)
            soon = ListedRows(syn1, column, scores.negatives, NEGATIVES - now + drawn + k * _ASKED // TOGETHER, width)
            at = (placed + k) * SHARE
            add_combinations(sums, weights, at, SHARE, 1, scores.rows, own, width, SHARE, columns, soon, _ASKED)
        for k in range(count - count % TOGETHER, count):
            to, at = (share + k * SHARES) * width + column, (placed + k) * SHARE
            add_combination(bag.steps, to, weights, at, 1, scores.rows, own, width, SHARE, columns)
        soon_matrix, later = (syn1, next_centres) if share else (model.syn0, next_centres + window)
        for j in range(0, SHARE, TOGETHER):
            sums = ListedRows(syn1, column, scores.negatives, now + drawn + j, width)
            soon, at = ListedRows(soon_matrix, column, words, later + j, width), placed * SHARE + j
            add_combinations(sums, weights, at, 1, SHARE, bag.hidden, x, apart, count, columns, soon, TOGETHER)


@functools.cache
def compile_cbow(size: int, exclude: bool, freezing: bool) -> Any:
    """The compiled kernel for vectors of `size` floats, with `exclude_window` and frozen words or without; its
    arguments are made by `cpu.Kernel`.
    """
    width = whole_vectors(size)
    wide, pitch, narrow, fewer = slabs(width)
    columns = min(size, pitch)  # the padding of a row that is one slab costs nothing
    has_narrow = narrow > 0  # else the code for them is not even compiled
    apart = SHARES * width  # a literal for the compiled code

    @compile_now(training_signature(freezing, read_only(types.uint64), types.int64, types.int64, types.boolean))
    def train(
        ids: Any,
        offsets: Any,
        syn0: Any,
        syn1: Any,
        keep: Any,
        frozen: Any,
        slots: Any,
        window: Any,
        negative: Any,
        mean: Any,
        step_from: Any,
        step_to: Any,
        key: Any,
    ) -> Any:
        model = Model(syn0.reshape(-1), syn1.reshape(-1))
        inputs, outputs = model.syn0, model.syn1
        strip, bag, scores = make_strip(offsets, window), make_bag(window, width), make_scores(width)
        words, sentence, bags = strip.words, 0, 0
        noise_key = random_number(~key)
        slope = (step_to - step_from) / max(1, offsets[-1] - offsets[0] - 1)
        words_kept, samples, loss_sum, loss_samples, unmeasured = 0, 0, 0.0, 0, MEASURED
        draw_negatives(scores.negatives, 0, NEGATIVES, 0, slots, noise_key)
        while sentence < len(offsets) - 1:
            sentence, filled = lay_sentences(strip, ids, offsets, sentence, keep, window, random_number(key))
            words_kept += filled
            for at in range(0, filled, ROWS):
                rows, first = min(ROWS, filled - at), at + window
                now = (bags & 1) * NEGATIVES
                following = NEGATIVES - now
                bags += 1
                draw_negatives(scores.negatives, following, NEGATIVES, bags, slots, noise_key)
                found = count_samples(strip, at, rows, window)
                if found == 0:
                    continue
                samples += found
                fill_bag(bag, strip, at, rows, filled, inputs, mean, window, width)
                choose_negatives(scores, now, strip, at, rows, window, exclude)
                score(scores, bag, now, words, first, outputs, size, width, apart)
                unmeasured += 1
                if unmeasured > MEASURED:
                    unmeasured = 1
                    loss_sum += loss(scores, rows, negative)
                    loss_samples += found
                step = learning_rate(step_from, slope, strip.places[first])
                differentiate(scores, step, negative)
                update_centres(scores, bag, words, first, rows, outputs, width)
                column = 0
                for _ in range(wide):
                    update_negatives(scores, bag, now, words, first + rows, window, rows, model, column, width, columns)
                    column += pitch
                if has_narrow:
                    for _ in range(narrow):
                        update_negatives(
                            scores, bag, now, words, first + rows, window, rows, model, column, width, fewer
                        )
                        column += fewer
                updates = step * (window + 1) * (negative + 1)
                spread_steps(bag, strip, at, rows, filled, inputs, frozen, updates, window, width)
        return words_kept, samples, loss_sum, loss_samples

    return train

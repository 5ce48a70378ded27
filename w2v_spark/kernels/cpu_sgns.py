"""Skip-gram with negative sampling on CPU, by tiles: the kernel that trains a replica.

The words that subsampling keeps are laid end to end in a strip, sentence after sentence. A tile is 32 consecutive words
of the strip as contexts (rows of syn0), the words around them as centres (rows of syn1), and 64 negatives that all its
pairs share, each weighted pairs * negative / 64: the expected gradient is that of `negative` negatives of one's own,
with less noise. A negative that equals a pair's centre is not used for that pair. With `exclude_window` a negative that
a context is seen with is used for none of its pairs, and the n others weigh pairs * negative / n: the expected gradient
is then that of negatives drawn from the noise distribution without these words. All rows are copied in, all scores and
gradients computed, and the changes added back: a small batch, whose rows are written seldom and briefly, so that
several threads can train the same matrices (Hogwild, Niu et al. 2011). The loss of a pair is -log s(x.c) - sum over
negatives of log s(-x.n) (Mikolov et al. 2013b, equation 4). The mathematics in plain words is in `reference.py`; the
vector code is in `simd.py` and `simd_tile.py`.
"""

from __future__ import annotations

import functools
from typing import Any

from numba import types

from w2v_spark.kernels.cache import compile_now, read_only
from w2v_spark.kernels.cpu_exclude import drop_clashes, drop_seen
from w2v_spark.kernels.cpu_scatter import scatter_contexts, scatter_outputs
from w2v_spark.kernels.cpu_strip import (
    draw_negatives,
    lay_sentences,
    learning_rate,
    make_strip,
    random_number,
    training_signature,
)
from w2v_spark.kernels.cpu_tile import Model, Slab, count_pairs, cut_tile, differentiate, gather, loss, make_tile, score
from w2v_spark.kernels.sizes import LANES, MEASURED, TILE_NEGATIVES, TILE_ROWS, slabs, whole_vectors


@functools.cache
def compile_sgns(size: int, window: int, exclude: bool, freezing: bool) -> Any:
    """The compiled kernel for vectors of `size` floats, with `exclude_window` and frozen words or without; its
    arguments are made by `cpu.Kernel`.
    """
    width = whole_vectors(size)
    wide, pitch, narrow, fewer = slabs(width)
    columns = min(size, pitch)  # the padding of a row that is one slab costs nothing
    has_narrow = narrow > 0  # else the code for them is not even compiled
    band = whole_vectors(2 * window + 1)
    rest = (2 * window + 1) % LANES

    @compile_now(training_signature(freezing, read_only(types.uint64), types.int64))
    def train(
        ids: Any,
        offsets: Any,
        syn0: Any,
        syn1: Any,
        keep: Any,
        frozen: Any,
        slots: Any,
        negative: Any,
        step_from: Any,
        step_to: Any,
        key: Any,
    ) -> Any:
        model = Model(syn0.reshape(-1), syn1.reshape(-1))
        strip, tile = make_strip(offsets, window), make_tile(window, band, wide + narrow, pitch)
        words, sentence, tiles = strip.words, 0, 0
        noise_key = random_number(~key)
        slope = (step_to - step_from) / max(1, offsets[-1] - offsets[0] - 1)
        words_kept, pairs, loss_sum, loss_pairs, unmeasured = 0, 0, 0.0, 0, MEASURED
        draw_negatives(tile.negatives, 0, TILE_NEGATIVES, 0, slots, noise_key)
        while sentence < len(offsets) - 1:
            sentence, filled = lay_sentences(strip, ids, offsets, sentence, keep, window, random_number(key))
            words_kept += filled
            for at in range(0, filled, TILE_ROWS):
                cut = cut_tile(at, filled, tiles, window)
                tiles += 1
                following = TILE_NEGATIVES - cut.negatives
                draw_negatives(tile.negatives, following, TILE_NEGATIVES, tiles, slots, noise_key)
                found = count_pairs(tile, strip, cut, band)
                if found == 0:
                    continue
                pairs += found
                if exclude:
                    drop_seen(tile, words, cut, window, band)
                else:
                    drop_clashes(tile, words, cut, window, band)
                tile.scores[:] = 0
                tile.negative_scores[:] = 0
                for s in range(wide):
                    slab = Slab(s, s * pitch)
                    gather(tile, cut, words, model, slab, window, width, pitch, columns)
                    score(tile, cut, slab, window, band, rest, pitch, columns)
                if has_narrow:
                    for s in range(narrow):
                        slab = Slab(wide + s, wide * pitch + s * fewer)
                        gather(tile, cut, words, model, slab, window, width, pitch, fewer)
                        score(tile, cut, slab, window, band, rest, pitch, fewer)
                unmeasured += 1
                if unmeasured > MEASURED:
                    unmeasured = 1
                    loss_sum += loss(tile, cut, negative, band)
                    loss_pairs += found
                differentiate(
                    tile, cut, words, learning_rate(step_from, slope, strip.places[at + window]), negative, window, band
                )
                for s in range(wide):
                    slab = Slab(s, s * pitch)
                    scatter_outputs(tile, cut, words, model, slab, window, band, width, pitch, columns)
                    scatter_contexts(tile, cut, words, model, frozen, slab, window, band, width, pitch, columns)
                if has_narrow:
                    for s in range(narrow):
                        slab = Slab(wide + s, wide * pitch + s * fewer)
                        scatter_outputs(tile, cut, words, model, slab, window, band, width, pitch, fewer)
                        scatter_contexts(tile, cut, words, model, frozen, slab, window, band, width, pitch, fewer)
        return words_kept, pairs, loss_sum, loss_pairs

    return train

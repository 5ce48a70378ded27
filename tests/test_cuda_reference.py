"""The numpy model of the CUDA kernels against the reference and the CPU kernel, and how many tiles may run at once."""

from dataclasses import replace

import numpy as np
import pytest
from cuda_corpus import KEY, assert_close, make_corpus
from replay_sgns import sgns_kernel, slowed, strip_of, tile_pairs

from w2v_spark.kernels import cuda_reference, reference
from w2v_spark.kernels.cuda_plan import BEARABLE, LEAST_TURNS, MOST_SCALED, most_in_flight, row_scale
from w2v_spark.kernels.cuda_reference import tile_order
from w2v_spark.kernels.outputs import Outputs
from w2v_spark.kernels.sizes import MEASURED, TILE_NEGATIVES, TILE_ROWS, whole_vectors

# --- the model against the reference, with the same random numbers ---


def replay(corpus, key, step_from=0.05, step_to=0.02, exclude=False):
    """Train as the model should, by the reference in float64, tile after tile."""
    syn0, syn1 = corpus.syn0.astype(np.float64), corpus.syn1.astype(np.float64)
    words, _, reach, _ = strip_of(corpus, corpus.window, key)
    total, loss_sum, loss_pairs = 0, 0.0, 0
    order = tile_order(-(-len(words) // TILE_ROWS))
    assert sorted(order) == list(range(len(order)))
    for turn, number in enumerate(order):
        rows = np.arange(number * TILE_ROWS, min(len(words), (number + 1) * TILE_ROWS))
        pairs, found = tile_pairs(corpus, words, reach, rows, number, corpus.window, corpus.negative, key, exclude)
        total += found
        if turn % MEASURED == 0:
            loss_sum += reference.loss(syn0, syn1, pairs)
            loss_pairs += found
        step = step_from + (step_to - step_from) * turn / max(1, len(order) - 1)
        pairs = slowed(pairs, words[rows], step, corpus.window, corpus.negative)
        by_syn0, by_syn1 = reference.gradients(syn0, syn1, pairs)
        scale0, scale1 = (row_scale(crowd, TILE_ROWS, step)[:, None] for crowd in corpus.crowding)
        syn0 -= step * scale0 * by_syn0
        syn1 -= step * scale1 * by_syn1
    return syn0, syn1, (len(words), total, loss_sum, loss_pairs)


@pytest.mark.parametrize(("window", "negative"), [(1, 1), (5, 5), (20, 32)])
@pytest.mark.parametrize("vocabulary", [1, 3, 1000])
def test_model_is_the_reference_in_float64(window, negative, vocabulary):
    corpus = make_corpus([5, 1, 40, 0, 2, 70, 1, 1, 3, 200], vocabulary, 24, window, negative, keep=0.8)
    exact0, exact1, expected = replay(corpus, KEY)
    syn0, syn1, found = corpus.train(corpus.model())
    assert found == pytest.approx(expected, rel=1e-6)
    assert_close(corpus.syn0, syn0, exact0, 1e-6)
    assert_close(corpus.syn1, syn1, exact1, 1e-6)


@pytest.mark.parametrize("vocabulary", [1, 3, 60])
def test_model_is_the_reference_where_words_of_the_window_are_no_negatives(vocabulary):
    corpus = make_corpus([5, 1, 40, 0, 2, 70, 1, 1, 3, 200], vocabulary, 24, keep=0.8)
    exact0, exact1, expected = replay(corpus, KEY, exclude=True)
    syn0, syn1, found = corpus.train(corpus.model(exclude_window=True))
    assert found == pytest.approx(expected, rel=1e-6)
    assert_close(corpus.syn0, syn0, exact0, 1e-6)
    assert_close(corpus.syn1, syn1, exact1, 1e-6)


@pytest.mark.parametrize("keep", [1.0, 0.3])
def test_model_is_the_cpu_kernel_where_one_tile_runs_at_a_time_in_the_order_of_the_text(monkeypatch, keep):
    monkeypatch.setattr(cuda_reference, "tile_order", range)
    corpus = make_corpus([30, 1, 200, 10, 0, 3] * 5, 200, 100, keep=keep)
    none = tuple(np.zeros_like(crowd) for crowd in corpus.crowding)
    syn0, syn1, found = corpus.train(corpus.model(crowding=none), step_to=0.05)
    trained = [np.zeros((200, whole_vectors(100)), np.float32) for _matrix in "01"]
    trained[0][:, :100], trained[1][:, :100] = corpus.syn0, corpus.syn1
    outputs = Outputs("negative_sampling", 200, (corpus.noise.slots,))
    tables = (corpus.keep, outputs)
    expected = sgns_kernel(100, 5, 5, bf16=False)(corpus.ids, corpus.offsets, *trained, *tables, 0.05, 0.05, KEY)
    assert found == pytest.approx(expected, rel=1e-5)
    assert_close(corpus.syn0, syn0, trained[0][:, :100], 3e-5)
    assert_close(corpus.syn1, syn1, trained[1][:, :100], 3e-5)


def test_tiles_that_run_together_are_far_apart_and_each_runs_once():
    for tiles in (0, 1, 2, 3, 100, 618, 1000, 4097):
        assert sorted(tile_order(tiles)) == list(range(tiles))
    order = tile_order(10_000)
    together = np.sort(order[5000:5500])
    assert np.diff(together).min() >= 5


def test_bf16_rounds_to_the_nearest_and_ties_to_even():
    values = np.array([1.0, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, -1.75, 0.0, 3e38])
    rounded = np.array([1.0, 1.0, 1 + 2**-6, 1 + 2**-7, -1.75, 0.0, 3e38])
    assert np.allclose(cuda_reference.round_bf16(values), rounded, rtol=1e-2, atol=0)
    assert cuda_reference.round_bf16(values)[:6].tolist() == rounded[:6].tolist()


# --- how many tiles may run at one time ---


def test_crowding_is_the_expected_number_of_updates_of_a_row():
    corpus = make_corpus([20_000], 20, 8, window=3, negative=4, keep=0.7, counts=2 ** np.arange(20, 0, -1))
    corpus.ids = np.random.default_rng(1).choice(20, 20_000, p=corpus.counts / corpus.counts.sum()).astype(np.int32)
    model = corpus.model()
    strip = cuda_reference.lay_strip(corpus.ids, corpus.offsets, corpus.keep, 3, np.uint64(5))
    updates = np.zeros((2, 20))
    for number in range(len(strip.words) // TILE_ROWS):
        tile = model.cut_tile(strip, number, np.uint64(9))
        counts = tile.seen.sum(axis=1)
        np.add.at(updates[0], tile.contexts, counts * (1 + 4))
        np.add.at(updates[1], tile.centres, tile.seen.sum(axis=0))
        np.add.at(updates[1], tile.negatives, counts.sum() * 4 / TILE_NEGATIVES)
    expected = np.array(corpus.crowding) * BEARABLE * (len(strip.words) // TILE_ROWS * TILE_ROWS)
    assert np.allclose(updates[:, :5], expected[:, :5], rtol=0.1)
    assert updates.sum() == pytest.approx(expected.sum(), rel=0.02)


def test_words_in_flight_are_limited_by_the_corpus_and_its_most_frequent_word():
    assert most_in_flight(1e9, 0.1, 0.05) == pytest.approx(MOST_SCALED / (0.05**2 * 0.1), abs=1)
    assert most_in_flight(1e9, 0.1, 0.1) < most_in_flight(1e9, 0.1, 0.05) < most_in_flight(1e9, 0.1, 0.025)
    assert most_in_flight(64_000, 0.01, 0.05) == 64_000 // LEAST_TURNS
    assert most_in_flight(3, 1.0, 0.0) == 1
    scale = row_scale(np.array([0.1], np.float32), most_in_flight(1e9, 0.1, 0.05), 0.05)
    assert scale == pytest.approx(1 / MOST_SCALED, rel=1e-3)


def test_training_many_tiles_at_once_does_not_diverge_on_few_words():
    # two words make up most of the text: unscaled, hundreds of their updates from one start add up to nonsense
    random = np.random.default_rng(2)
    share = np.array([0.4, 0.3, *[0.3 / 48] * 48])
    corpus = make_corpus([20] * 400, 50, 16, counts=(share * 8000).astype(int))
    corpus.ids = random.choice(50, 8000, p=share).astype(np.int32)
    losses = {}
    for name, crowds in (("scaled", corpus.crowding), ("unscaled", tuple(0 * c for c in corpus.crowding))):
        model, trained = corpus.model(crowding=crowds, blocks=64), replace(corpus)
        for _epoch in range(5):
            trained.syn0, trained.syn1, (_, _, loss, pairs) = trained.train(model, step_from=0.05, step_to=0.05)
        losses[name] = loss / pairs
    assert losses["scaled"] < 6 * np.log(2) < losses["unscaled"]

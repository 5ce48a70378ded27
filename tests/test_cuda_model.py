"""The CUDA kernels without a GPU: their numpy model against the reference and the CPU kernel, and the kernels, compiled
by g++ and run thread by thread, against the model.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from cuda_emulator import BLOCKS_TOGETHER, CARD, COMPILER, EmulatedCupy, emulate

from w2v_spark.corpus.noise import AliasTable, alias_table, noise_distribution
from w2v_spark.errors import DeviceError, ParamError
from w2v_spark.kernels import cuda, cuda_compile, cuda_model, reference
from w2v_spark.kernels.cpu_sgns import MEASURED, compile_sgns, padded_size
from w2v_spark.kernels.cpu_tile import MOST_UPDATES, TILE_NEGATIVES, TILE_ROWS
from w2v_spark.kernels.cuda import CudaReplica
from w2v_spark.kernels.cuda_model import CudaModel, tile_order
from w2v_spark.kernels.cuda_plan import (
    BEARABLE,
    LEAST_TURNS,
    MOST_SCALED,
    STRIP_TOKENS,
    crowding,
    most_in_flight,
    plan_layout,
    row_scale,
)

FULL = 2**32 - 1
MASK = 2**64 - 1
KEY = 77


@dataclass
class Corpus:
    """Sentences, a model to train on them, and how to."""

    ids: np.ndarray
    offsets: np.ndarray
    counts: np.ndarray
    keep: np.ndarray
    noise: AliasTable
    syn0: np.ndarray
    syn1: np.ndarray
    window: int
    negative: int

    @property
    def crowding(self):
        return crowding(self.counts, self.keep, self.noise, self.window, self.negative)

    def model(self, **settings):
        tables = (self.keep, self.noise.probability, self.noise.alias)
        return CudaModel(self.window, self.negative, *tables, **({"crowding": self.crowding} | settings))

    def train(self, model, precision=np.float64, step_from=0.05, step_to=0.02):
        syn0, syn1 = self.syn0.astype(precision), self.syn1.astype(precision)
        return syn0, syn1, model.train(self.ids, self.offsets, syn0, syn1, step_from, step_to, KEY)


def make_corpus(lengths, vocabulary, size, window=5, negative=5, keep=1.0, counts=None):
    random = np.random.default_rng(3)
    counts = np.arange(vocabulary, 0, -1) * 100 if counts is None else counts
    return Corpus(
        random.integers(0, vocabulary, sum(lengths)).astype(np.int32),
        np.cumsum([0, *lengths]).astype(np.int64),
        counts,
        np.full(vocabulary, int(FULL * keep), np.uint32),
        alias_table(noise_distribution(counts, 0.75)),
        *(random.normal(0, size**-0.5, (vocabulary, size)).astype(np.float32) for _matrix in "01"),
        window,
        negative,
    )


def assert_close(before, found, exact, tolerance):
    change = np.linalg.norm(exact - before)
    assert np.linalg.norm(found - exact) < tolerance * change + 3e-7 * np.linalg.norm(before)


# --- the model against the reference, with the same random numbers ---


def random_number(key: int, index: int) -> int:
    z = (key + index * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def strip_of(corpus, key):
    """What subsampling keeps: words, and the first and the last word that each reaches as a centre."""
    words, reach = [], []
    for start, stop in zip(corpus.offsets, corpus.offsets[1:], strict=False):
        first = len(words)
        for t in range(int(start), int(stop)):
            number = random_number(random_number(key, 0), t)
            if number >> 32 <= corpus.keep[corpus.ids[t]]:
                words.append(corpus.ids[t])
                reach.append(1 + ((number & FULL) * corpus.window >> 32))
        for i in range(first, len(words)):
            reach[i] = (max(first, i - reach[i]), min(len(words) - 1, i + reach[i]))
    return np.array(words, int), reach


def replay(corpus, key, step_from=0.05, step_to=0.02):
    """Train as the model should, by the reference in float64, tile after tile."""
    syn0, syn1 = corpus.syn0.astype(np.float64), corpus.syn1.astype(np.float64)
    words, reach = strip_of(corpus, key)
    total, loss_sum, loss_pairs = 0, 0.0, 0
    noise_key = random_number(key ^ MASK, 0)
    order = tile_order(-(-len(words) // TILE_ROWS))
    assert sorted(order) == list(range(len(order)))
    for turn, number in enumerate(order):
        rows = np.arange(number * TILE_ROWS, min(len(words), (number + 1) * TILE_ROWS))
        around = np.arange(max(0, rows[0] - corpus.window), min(len(words), rows[-1] + corpus.window + 1))
        low, high = np.array([reach[j] for j in around]).T
        seen = (low <= rows[:, None]) & (rows[:, None] <= high) & (rows[:, None] != around)
        negatives = []
        for j in range(TILE_NEGATIVES):
            drawn = random_number(noise_key, number * TILE_NEGATIVES + j)
            slot = (drawn >> 32) * len(corpus.keep) >> 32
            negatives.append(slot if drawn & FULL <= corpus.noise.probability[slot] else corpus.noise.alias[slot])
        pairs = reference.tile_pairs(words[rows], words[around], seen, np.array(negatives), corpus.negative)
        total += int(seen.sum())
        if turn % MEASURED == 0:
            loss_sum += reference.loss(syn0, syn1, pairs)
            loss_pairs += int(seen.sum())
        step = step_from + (step_to - step_from) * turn / max(1, len(order) - 1)
        most = MOST_UPDATES / ((corpus.window + 1) * (corpus.negative + 1) * step)
        times = (pairs.context[:, None] == words[rows]).sum(1)
        slowed = replace(pairs, weight=pairs.weight * np.minimum(1, most / times))
        by_syn0, by_syn1 = reference.gradients(syn0, syn1, slowed)
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


@pytest.mark.parametrize("keep", [1.0, 0.3])
def test_model_is_the_cpu_kernel_where_one_tile_runs_at_a_time_in_the_order_of_the_text(monkeypatch, keep):
    monkeypatch.setattr(cuda_model, "tile_order", range)
    corpus = make_corpus([30, 1, 200, 10, 0, 3] * 5, 200, 100, keep=keep)
    none = tuple(np.zeros_like(crowd) for crowd in corpus.crowding)
    syn0, syn1, found = corpus.train(corpus.model(crowding=none), step_to=0.05)
    trained = [np.zeros((200, padded_size(100)), np.float32) for _matrix in "01"]
    trained[0][:, :100], trained[1][:, :100] = corpus.syn0, corpus.syn1
    tables = (corpus.keep, corpus.noise.probability, corpus.noise.alias)
    expected = compile_sgns(100, 5, 5)(corpus.ids, corpus.offsets, *trained, *tables, 0.05, 0.05, KEY)
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
    assert np.allclose(cuda_model.round_bf16(values), rounded, rtol=1e-2, atol=0)
    assert cuda_model.round_bf16(values)[:6].tolist() == rounded[:6].tolist()


# --- how many tiles may run at one time ---


def test_crowding_is_the_expected_number_of_updates_of_a_row():
    corpus = make_corpus([20_000], 20, 8, window=3, negative=4, keep=0.7, counts=2 ** np.arange(20, 0, -1))
    corpus.ids = np.random.default_rng(1).choice(20, 20_000, p=corpus.counts / corpus.counts.sum()).astype(np.int32)
    model = corpus.model()
    strip = cuda_model.lay_strip(corpus.ids, corpus.offsets, corpus.keep, 3, np.uint64(5))
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


# --- the kernels themselves, emulated, against the model ---

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs g++ to emulate the kernels")


def replica_of(corpus, layout, most_tokens=100_000):
    size = corpus.syn0.shape[1]
    sizes = (size, corpus.window, corpus.negative)
    replica = CudaReplica(CARD, sizes, corpus.counts, corpus.keep, corpus.noise, most_tokens, layout)
    for matrix, values in (("syn0", corpus.syn0), ("syn1", corpus.syn1)):
        replica.write_rows(matrix, 0, values)
    return replica


def check_emulation(monkeypatch, corpus, tensor, order=0, slab=None, rows=TILE_ROWS, negatives=TILE_NEGATIVES):
    """One block of the kernel computes what the model does; for bf16, what the model does with rounded operands."""
    emulate(monkeypatch, order)
    monkeypatch.setattr(CudaReplica, "blocks_for", lambda *arguments: 1)
    size = corpus.syn0.shape[1]
    layout = plan_layout(size, corpus.window, CARD.shared, tensor, rows, negatives)
    replica = replica_of(corpus, replace(layout, slab=slab or layout.slab))
    exact0, exact1, expected = corpus.train(corpus.model(rounded=tensor, rows=rows, negatives=negatives))
    found = replica.train(corpus.ids, corpus.offsets, 0.05, 0.02, KEY)
    assert found == pytest.approx(expected, rel=1e-4)
    # here and there a sum lies so near the middle of two bf16 numbers that it rounds to the other
    tolerance = 2e-4 if tensor else 1e-5
    assert_close(corpus.syn0, replica.read_rows("syn0", 0, len(corpus.counts)), exact0, tolerance)
    assert_close(corpus.syn1, replica.read_rows("syn1", 0, len(corpus.counts)), exact1, tolerance)
    for matrix in ("syn0", "syn1"):
        assert not replica._matrices[matrix].content[:, size:].any()
    assert replica.progress()[0] == (1.0 if expected[0] else 0.0)


PRODUCTS = pytest.mark.parametrize("tensor", [False, True], ids=["float", "bf16"])
MIXED = [5, 1, 40, 0, 2, 70, 1, 1, 3]


@needs_compiler
@PRODUCTS
@pytest.mark.parametrize("size", [1, 16, 50, 100, 300, 1024])
def test_emulated_kernels_equal_the_model_for_every_vector_size(monkeypatch, tensor, size):
    check_emulation(monkeypatch, make_corpus(MIXED, 40, size), tensor)


@needs_compiler
@PRODUCTS
@pytest.mark.parametrize(("window", "negative"), [(1, 1), (8, 32), (20, 5)])
def test_emulated_kernels_equal_the_model_for_windows_and_negatives(monkeypatch, tensor, window, negative):
    check_emulation(monkeypatch, make_corpus([*MIXED, 130], 40, 32, window, negative), tensor)


@needs_compiler
@PRODUCTS
@pytest.mark.parametrize("order", [1, 2, 3], ids=["falling", "random", "random again"])
def test_the_order_of_threads_between_barriers_does_not_matter(monkeypatch, tensor, order):
    # three slabs, the last one narrower
    check_emulation(monkeypatch, make_corpus([*MIXED, 130], 40, 80), tensor, order, slab=32)


@needs_compiler
@PRODUCTS
@pytest.mark.parametrize("lengths", [[0], [1], [1, 1, 1], [2], [TILE_ROWS], [TILE_ROWS + 1], [0, 0, 33, 0]])
def test_emulated_kernels_equal_the_model_on_partial_tiles(monkeypatch, tensor, lengths):
    check_emulation(monkeypatch, make_corpus(lengths, 40, 32), tensor)


@needs_compiler
@PRODUCTS
@pytest.mark.parametrize("vocabulary", [1, 2])
def test_emulated_kernels_equal_the_model_where_negatives_often_are_the_centre(monkeypatch, tensor, vocabulary):
    check_emulation(monkeypatch, make_corpus(MIXED, vocabulary, 32), tensor)


@needs_compiler
@pytest.mark.parametrize(("rows", "negatives"), [(16, 64), (32, 32), (32, 128)])
def test_emulated_kernels_equal_the_model_for_other_tiles(monkeypatch, rows, negatives):
    check_emulation(monkeypatch, make_corpus(MIXED, 40, 48), True, rows=rows, negatives=negatives)


@needs_compiler
@pytest.mark.parametrize("keep", [0.0, 0.02, 0.5])
@pytest.mark.parametrize("lengths", [[3 * STRIP_TOKENS + 5], [1] * (STRIP_TOKENS + 1), [100] * 200])
def test_emulated_subsampling_over_many_blocks(monkeypatch, keep, lengths):
    emulate(monkeypatch, order=2)
    for module in (cuda, cuda_compile):
        monkeypatch.setattr(module, "SCAN_THREADS", 4)  # less than there are blocks
    corpus = make_corpus(lengths, 40, 16, keep=keep)
    replica = replica_of(corpus, plan_layout(16, 5, CARD.shared, False))
    chunk = replica.upload(corpus.ids, corpus.offsets)
    kept = replica.train_chunk(chunk, 0.0, 0.0, KEY)[0]
    strip = cuda_model.lay_strip(corpus.ids, corpus.offsets, corpus.keep, 5, cuda_model.random_number(np.uint64(KEY)))
    assert kept == len(strip.words)
    assert (chunk.words.content[:kept] == strip.words).all()
    where = chunk.where.content[:kept]
    assert (where & 31 == strip.reach).all()
    # sentences are told apart, whatever their numbers
    assert ((np.diff(where >> 5) != 0) == (np.diff(strip.sentence) != 0)).all()


# --- the replica ---


@needs_compiler
def test_an_uploaded_chunk_is_trained_again_with_other_random_numbers(monkeypatch):
    emulate(monkeypatch)
    corpus = make_corpus([50] * 4, 40, 16, keep=0.7)
    replica, again = (replica_of(corpus, None) for _ in "ab")
    chunk = replica.upload(corpus.ids, corpus.offsets)
    results = [replica.train_chunk(chunk, 0.05, 0.05, key) for key in (1, 2)]
    assert results == [again.train(corpus.ids, corpus.offsets, 0.05, 0.05, key) for key in (1, 2)]
    assert results[0][0] != results[1][0]


@needs_compiler
def test_sentences_in_the_middle_of_a_larger_array(monkeypatch):
    emulate(monkeypatch)
    corpus = make_corpus([40, 60, 50], 30, 16)
    part = replica_of(corpus, None).train(corpus.ids[40:100].copy(), np.array([0, 60]), 0.05, 0.05, 3)
    assert replica_of(corpus, None).train(corpus.ids, corpus.offsets[1:3], 0.05, 0.05, 3) == part
    assert replica_of(corpus, None).train(corpus.ids, corpus.offsets[:1], 0.05, 0.05, 3) == (0, 0, 0.0, 0)


@needs_compiler
def test_rows_are_written_and_read_block_by_block(monkeypatch):
    emulate(monkeypatch)
    corpus = make_corpus([10], 40, 20)
    replica = replica_of(corpus, None)
    replica.write_rows("syn1", 38, np.ones((2, 32), np.float32))
    assert (replica.read_rows("syn0", 3, 11) == corpus.syn0[3:11]).all()
    assert (replica.read_rows("syn1", 36, 40) == np.vstack([corpus.syn1[36:38], np.ones((2, 20))])).all()
    assert replica.read_rows("syn1", 5, 5).shape == (0, 20)
    assert not replica._matrices["syn1"].content[:, 20:].any()
    for first, rows in ((39, np.ones((2, 20))), (-1, np.ones((1, 20))), (0, np.ones((1, 19)))):
        with pytest.raises(ValueError, match="are not among 40 of 20"):
            replica.write_rows("syn0", first, rows.astype(np.float32))


@needs_compiler
def test_blocks_are_as_many_as_the_card_and_the_corpus_bear(monkeypatch):
    emulate(monkeypatch)
    replica = replica_of(make_corpus([10], 5000, 16), None)
    assert replica.blocks_for(1_000_000_000, 0.01) == BLOCKS_TOGETHER * CARD.multiprocessors
    assert replica.blocks_for(10 * TILE_ROWS * LEAST_TURNS, 0.01) == 10
    assert replica.blocks_for(1, 0.05) == 1
    assert replica_of(make_corpus([10], 2, 16), None).blocks_for(1_000_000_000, 0.5) == 1


@needs_compiler
def test_what_would_break_memory_or_does_not_fit_is_refused(monkeypatch):
    emulate(monkeypatch)
    corpus = make_corpus([20], 10, 16)
    replica = replica_of(corpus, None)
    for ids, offsets in (
        (np.full(20, 10), [0, 20]),
        (np.full(20, -1), [0, 20]),
        (corpus.ids, [0, 21]),
        (corpus.ids, [0, 9, 8]),
        (corpus.ids, []),
    ):
        with pytest.raises(ValueError, match="must"):
            replica.train(ids.astype(np.int32), np.array(offsets, np.int64), 0.05, 0.05, 1)
    with pytest.raises(ValueError, match="at least one word"):
        replica_of(replace(corpus, counts=corpus.counts[1:]), None)
    with pytest.raises(ParamError, match="the GPU kernel cannot train with window_size 21: it must be from 1 to 20"):
        replica_of(replace(corpus, window=21), None)


def test_a_model_that_does_not_fit_is_refused_before_anything_is_allocated(monkeypatch):
    cupy = emulate(monkeypatch, free_bytes=10_000_000)
    for allocate in ("zeros", "empty"):
        monkeypatch.setattr(EmulatedCupy, allocate, lambda *arguments: pytest.fail("allocated"))
    corpus = make_corpus([20], 100_000, 16)
    with pytest.raises(DeviceError, match=r"takes \d\.\d GB of GPU memory, and of the 34\.4 GB of GPU 0 .* are free"):
        replica_of(corpus, None)
    assert cupy.free_bytes == 10_000_000

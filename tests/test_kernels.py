"""The CPU kernel of skip-gram with negative sampling against the reference."""

import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from replay_sgns import Corpus, close, replay, sgns_kernel

from w2v_spark.corpus.noise import AliasTable, alias_table, noise_distribution
from w2v_spark.kernels import processor
from w2v_spark.kernels.aligned import aligned_matrix
from w2v_spark.kernels.cpu import compile_kernel
from w2v_spark.kernels.cuda_reference import round_bf16
from w2v_spark.kernels.outputs import Outputs
from w2v_spark.kernels.processor import cpu_name, has_fast_pairs, has_matrix_unit, multiplies_bf16
from w2v_spark.kernels.sizes import MEASURED, TILE_ROWS

needs_bf16 = pytest.mark.skipif(
    not multiplies_bf16(), reason="this processor is not faster at bf16, or we may not use it"
)
products = pytest.mark.parametrize("rounded", [False, pytest.param(True, marks=needs_bf16)], ids=["float32", "bf16"])


# --- the CPU kernel against the reference, with the same random numbers ---


def check_replay(
    lengths, vocabulary, size, window, negative, keep=1.0, key=77, exclude=False, frozen=(), rounded=False
):
    corpus = Corpus(lengths, vocabulary, size, keep)
    corpus.frozen = np.isin(np.arange(vocabulary), frozen) if len(frozen) else None
    corpus.syn0[list(frozen), 0] = -0.0  # adding nothing to it would give another zero
    if rounded:  # so that the first tile's scores, and with them its loss, are exact
        corpus.syn0, corpus.syn1 = round_bf16(corpus.syn0), round_bf16(corpus.syn1)
    before0, before1 = corpus.syn0.copy(), corpus.syn1.copy()
    exact0, exact1, expected = replay(corpus, window, negative, key, exclude=exclude)
    freezing = len(frozen) > 0
    kernel = sgns_kernel(size, window, negative, exclude_window=exclude, freezing=freezing, bf16=rounded)
    words, pairs, loss_sum, loss_pairs = corpus.train(kernel, key)
    assert kernel.bf16 == rounded
    assert (words, pairs, loss_pairs) == (expected[0], expected[1], expected[3])
    first_tile_alone = words <= MEASURED * TILE_ROWS
    assert loss_sum == pytest.approx(expected[2], rel=1e-5 if first_tile_alone or not rounded else 2e-3)
    # bf16 has 8 bits, and a few words that train each other over and over hand errors on
    rounding = 3e-5 if not rounded else 4e-3 if vocabulary > 3 else 1.2e-2
    assert not corpus.syn0[:, size:].any() and not corpus.syn1[:, size:].any()
    if pairs == 0:
        assert (corpus.syn0 == before0).all() and (corpus.syn1 == before1).all()
    else:
        assert close(before0, corpus.syn0, exact0, rounding)
        assert close(before1, corpus.syn1, exact1, rounding)
    assert corpus.syn0[list(frozen)].tobytes() == before0[list(frozen)].tobytes()


SIZES = [(1, 1, 32), (16, 5, 1), (100, 5, 5), pytest.param(300, 20, 5, marks=pytest.mark.slow)]


@products
@pytest.mark.parametrize(("size", "window", "negative"), SIZES)
@pytest.mark.parametrize("length", [1, 2, 7, TILE_ROWS - 1, TILE_ROWS, TILE_ROWS + 1, 5 * TILE_ROWS + 3])
def test_kernel_equals_the_reference_on_one_sentence(size, window, negative, length, rounded):
    check_replay([length], 50, size, window, negative, rounded=rounded)


@products
@pytest.mark.parametrize(("size", "window", "negative"), SIZES)
@pytest.mark.parametrize("vocabulary", [1, 2, 3, 1000])
def test_kernel_equals_the_reference_where_negatives_often_are_the_centre(size, window, negative, vocabulary, rounded):
    check_replay([5, 1, 40, 0, 2, 70, 1, 1, 3], vocabulary, size, window, negative, rounded=rounded)


@products
@pytest.mark.parametrize("keep", [0.0, 0.05, 0.5])
def test_kernel_equals_the_reference_with_subsampling(keep, rounded):
    check_replay([30, 1, 200, 10, 0, 3] * 5, 200, 100, 5, 5, keep, rounded=rounded)


@products
def test_kernel_equals_the_reference_over_more_than_a_strip(rounded):
    check_replay([20] * 300 + [7000] + [3] * 900, 3000, 16, 5, 1, rounded=rounded)


@products
def test_kernel_equals_the_reference_for_other_negatives_and_the_largest_vectors(rounded):
    check_replay([3, 100], 40, 100, 5, 32, rounded=rounded)
    check_replay([3, 100], 40, 1024, 5, 5, rounded=rounded)


@needs_bf16
@pytest.mark.parametrize("window", [10, 20])
def test_kernel_of_bf16_equals_the_reference_for_wide_windows(window):
    # 128 and 144 outputs, where windows of up to 8 have 112
    check_replay([5, 1, 200, 0, 2, 70], 40, 16, window, 5, rounded=True)


@products
@pytest.mark.parametrize("vocabulary", [1, 2, 40, 1000])
def test_kernel_equals_the_reference_where_words_of_the_window_are_no_negatives(vocabulary, rounded):
    check_replay([5, 1, 40, 0, 2, 70, 1, 1, 3], vocabulary, 100, 5, 5, 0.9, exclude=True, rounded=rounded)


@products
def test_kernel_equals_the_reference_where_words_are_frozen(rounded):
    check_replay([5, 1, 40, 0, 2, 70, 1, 1, 3], 30, 100, 5, 5, frozen=range(0, 30, 2), rounded=rounded)


def test_kernel_without_bf16_where_nothing_is_faster_at_it_or_linux_forbids_it(monkeypatch):
    assert sgns_kernel(16, 5, 5).processor == cpu_name() + (" in bf16" if multiplies_bf16() else "")
    assert sgns_kernel(16, 5, 5, bf16=False).processor == cpu_name()
    monkeypatch.setattr(processor, "_permitted", lambda: False)
    monkeypatch.setattr(processor, "has_matrix_unit", has_matrix_unit.__wrapped__)
    assert sgns_kernel(16, 5, 5).bf16 == has_fast_pairs()
    monkeypatch.setattr(processor, "has_fast_pairs", lambda: False)
    assert sgns_kernel(16, 5, 5).processor == cpu_name()
    # none of the other kernels uses it
    monkeypatch.setattr(processor, "has_fast_pairs", lambda: True)
    assert not compile_kernel("cbow", "negative_sampling", 16, 5).bf16
    assert not compile_kernel("skip_gram", "hierarchical_softmax", 16, 5).bf16


@pytest.mark.parametrize(
    ("name", "features", "expected"),
    [
        ("znver4", "+avx512bf16,+avx512bw,+avx512vl", True),
        ("znver5", "+avx512bf16,+avx512bw,+avx512vl", True),
        ("znver4", "-avx512bf16,+avx512bw,+avx512vl", False),
        ("cooperlake", "+avx512bf16,+avx512bw,+avx512vl", False),
        ("znver3", "+avx2", False),
    ],
)
def test_pairs_of_bf16_are_fast_on_amd_since_zen_4(name, features, expected, monkeypatch):
    monkeypatch.setattr(processor, "_compiled_for", lambda: (name, set(features.split(","))))
    assert has_fast_pairs.__wrapped__() == expected


_COMPILE = """
from w2v_spark.kernels import processor
from w2v_spark.kernels.cpu import compile_kernel

processor._permitted = lambda: True
kernel = compile_kernel("skip_gram", "negative_sampling", 100, 5)
(code,) = kernel._train.inspect_asm().values()
print(kernel.processor, *sorted({word for word in ("tdpbf16ps", "vdpbf16ps") if word in code.split()}))
"""


@pytest.mark.parametrize(
    ("name", "features", "expected"),
    [
        ("sapphirerapids", "+amx-tile,+amx-bf16", "sapphirerapids in bf16 tdpbf16ps"),
        ("znver4", "", "znver4 in bf16 vdpbf16ps"),
    ],
)
def test_kernels_compile_for_processors_that_multiply_bf16_on_those_that_do_not(name, features, expected, tmp_path):
    avx512 = ",".join(f"+{feature}" for feature in ("avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512bf16", "fma"))
    compile_for = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": f"{avx512},{features}".rstrip(",")}
    environment = {**os.environ, **compile_for, "NUMBA_CACHE_DIR": str(tmp_path)}  # what is loaded tells no code
    ran = subprocess.run([sys.executable, "-c", _COMPILE], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == expected


@products
def test_no_sentences_and_empty_sentences(rounded):
    kernel = sgns_kernel(16, 5, 5, bf16=rounded)
    for lengths in ([], [0], [0, 0, 1, 0]):
        assert Corpus(lengths, 10, 16).train(kernel, 1) == (sum(lengths), 0, 0.0, 0)


# --- what users of the kernel rely on ---


@products
def test_same_key_same_bytes_other_key_other_bytes(rounded):
    kernel = sgns_kernel(100, 5, 5, bf16=rounded)
    models = []
    for key in (5, 5, 6, 2**64 - 1):
        corpus = Corpus([50] * 20, 100, 100, keep=0.7)
        corpus.train(kernel, key)
        models.append(corpus.syn0.tobytes() + corpus.syn1.tobytes())
    assert models[0] == models[1] and len(set(models)) == 3


@products
def test_sentences_in_the_middle_of_a_larger_array_and_read_only_input(rounded):
    kernel = sgns_kernel(16, 5, 1, bf16=rounded)
    whole, part = Corpus([40, 60, 50], 30, 16), Corpus([40, 60, 50], 30, 16)
    part.ids, part.offsets = part.ids[40:100].copy(), np.array([0, 60])
    whole.offsets = whole.offsets[1:3]
    for array in (whole.ids, whole.offsets, whole.keep, whole.noise.slots):
        array.flags.writeable = False
    assert whole.train(kernel, 3) == part.train(kernel, 3)
    assert (whole.syn0 == part.syn0).all() and (whole.syn1 == part.syn1).all()


@products
def test_learning_rate_reaches_step_to_at_the_last_word(rounded):
    kernel = sgns_kernel(16, 5, 1, bf16=rounded)
    frozen, trained = Corpus([TILE_ROWS + 1], 50, 16), Corpus([TILE_ROWS + 1], 50, 16)
    exact = replay(frozen, 5, 1, 9, 0.0, 1e-3)
    before = trained.syn0.copy()
    trained.train(kernel, 9, 0.0, 1e-3)
    # the first tile has rate 0, the second consists of the last word alone, at the last rate
    changed = np.flatnonzero((trained.syn0 != before).any(axis=1))
    assert changed.tolist() == [trained.ids[-1]]
    change = exact[0] - before
    assert np.allclose(trained.syn0 - before, change, rtol=1e-2, atol=5e-3 * np.abs(change).max() if rounded else 1e-8)


def planted(sentences=800, seed=0):
    """Words of 10 topics of 8 words; a sentence keeps to its topic."""
    random = np.random.default_rng(seed)
    corpus = Corpus([20] * sentences, 80, 16, seed=seed)
    corpus.ids = (np.repeat(random.integers(0, 10, sentences), 20) * 8 + random.integers(0, 8, 20 * sentences)).astype(
        np.int32
    )
    corpus.noise = alias_table(np.full(80, 1 / 80))
    corpus.syn0 = np.where(corpus.syn0 == 0, 0, random.uniform(-0.5 / 16, 0.5 / 16, corpus.syn0.shape)).astype(
        np.float32
    )
    corpus.syn1[:] = 0
    return corpus


def separation(corpus):
    """Mean cosine within a topic minus that between topics."""
    unit = corpus.syn0 / np.linalg.norm(corpus.syn0, axis=1, keepdims=True)
    cosine, same = unit @ unit.T, np.arange(80)[:, None] // 8 == np.arange(80) // 8
    return cosine[same].mean() - cosine[~same].mean()


@products
def test_loss_starts_at_six_ln_two_and_falls_while_topics_separate(rounded):
    kernel, corpus = sgns_kernel(16, 5, 5, bf16=rounded), planted()
    first = Corpus([TILE_ROWS], 1000, 16)
    first.ids, first.syn1 = np.arange(TILE_ROWS, dtype=np.int32), np.zeros_like(first.syn1)
    _, pairs, loss_sum, loss_pairs = first.train(kernel, 1)
    assert loss_pairs == pairs and loss_sum / loss_pairs == pytest.approx(6 * math.log(2), rel=0.02)
    losses = []
    for epoch in range(5):
        _, _, loss_sum, loss_pairs = corpus.train(kernel, epoch, 0.05, 0.05)
        losses.append(loss_sum / loss_pairs)
    assert losses[-1] < 0.8 * 6 * math.log(2) and losses[-1] < losses[0]
    assert separation(corpus) > 0.3


@products
def test_threads_train_the_same_model_together(rounded):
    kernel, corpus = sgns_kernel(16, 5, 5, bf16=rounded), planted()
    tables = (corpus.keep, corpus.negatives())

    def train(part):
        offsets = corpus.offsets[part * 50 : part * 50 + 51]
        return kernel(corpus.ids, offsets, corpus.syn0, corpus.syn1, *tables, 0.05, 0.05, part)

    with ThreadPoolExecutor(4) as pool:
        results = [r for epoch in range(5) for r in pool.map(train, range(16))]
    assert sum(r[0] for r in results) == 5 * len(corpus.ids)
    assert np.isfinite(corpus.syn0).all() and separation(corpus) > 0.3


def test_kernel_draws_negatives_as_the_table_says():
    # one pair a tile, its vectors zero but for the context: only rows drawn as negatives or seen as centres change
    kernel, drawn = sgns_kernel(16, 5, 1), np.zeros(40)
    corpus = Corpus([2], 40, 16)
    corpus.ids[:] = 39
    expected = noise_distribution(np.arange(40, 0, -1), 0.75)
    corpus.noise = alias_table(expected)
    for key in range(400):
        corpus.syn0[:], corpus.syn1[:] = 0, 0
        corpus.syn0[:, 0] = 1
        corpus.train(kernel, key, 1.0, 1.0)
        drawn += corpus.syn1[:, 0] / corpus.syn1[:39, 0].sum()
    share = expected[:39] / expected[:39].sum()
    assert np.abs(drawn[:39] / drawn[:39].sum() - share).max() < 0.004


def test_arrays_that_would_break_memory_are_refused():
    kernel = sgns_kernel(16, 5, 1)
    for break_it in (
        lambda c: c.ids.__setitem__(3, 10),
        lambda c: c.ids.__setitem__(3, -1),
        lambda c: setattr(c, "offsets", np.array([0, 21])),
        lambda c: setattr(c, "offsets", np.array([0, 9, 8])),
        lambda c: setattr(c, "syn1", c.syn1[:-1]),
        lambda c: setattr(c, "noise", AliasTable(c.noise.slots[1:])),
        lambda c: setattr(c, "frozen", np.zeros(10, bool)),
    ):
        corpus = Corpus([20], 10, 16)
        break_it(corpus)
        with pytest.raises(ValueError, match="must"):
            corpus.train(kernel, 1)


@pytest.mark.parametrize("rows", [1, 7, 100_000])
def test_matrices_start_on_cache_lines(rows):
    matrix = aligned_matrix(rows, 48)
    assert matrix.shape == (rows, 48) and matrix.flags.c_contiguous and not matrix.any()
    assert matrix.ctypes.data % 64 == 0


def test_no_vocabulary_is_refused():
    kernel, none = sgns_kernel(16, 5, 1), np.zeros(0, np.uint32)
    model = np.zeros((0, 16), np.float32)
    outputs = Outputs("negative_sampling", 0, (none.astype(np.uint64),))
    with pytest.raises(ValueError, match="at least one word"):
        kernel(none.astype(np.int32), np.zeros(1, np.int64), model, model, none, outputs, 0.1, 0.1, 1)
    with pytest.raises(ValueError, match="at least one word"):
        alias_table(np.zeros(0))

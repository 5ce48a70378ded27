"""The CUDA kernels without a GPU: compiled by g++ and run thread by thread, against their numpy model."""

from dataclasses import replace

import numpy as np
import pytest
from cuda_corpus import KEY, assert_close, make_corpus
from cuda_emulator import BLOCKS_TOGETHER, CARD, COMPILER, EmulatedCupy, emulate

from w2v_spark.corpus.random import mix64
from w2v_spark.errors import DeviceError, ParamError
from w2v_spark.kernels import cuda_compile, cuda_model, cuda_reference
from w2v_spark.kernels.cuda import TileModel
from w2v_spark.kernels.cuda_model import TOTALS
from w2v_spark.kernels.cuda_plan import LEAST_TURNS, STRIP_TOKENS, frozen_crowd, plan_layout
from w2v_spark.kernels.sizes import TILE_NEGATIVES, TILE_ROWS

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs g++ to emulate the kernels")


def replica_of(corpus, layout, most_tokens=100_000, frozen=None):
    size = corpus.syn0.shape[1]
    sizes = (size, corpus.window, corpus.negative)
    tables = (corpus.counts, corpus.keep, corpus.noise)
    replica = TileModel(CARD, sizes, *tables, most_tokens, layout, frozen=frozen)
    for matrix, values in (("syn0", corpus.syn0), ("syn1", corpus.syn1)):
        replica.write_rows(matrix, 0, values)
    return replica


def check_emulation(
    monkeypatch,
    corpus,
    tensor,
    order=0,
    slab=None,
    rows=TILE_ROWS,
    negatives=TILE_NEGATIVES,
    exclude=False,
    frozen=None,
):
    """One block of the kernel computes what the model does; for bf16, what the model does with rounded operands."""
    emulate(monkeypatch, order)
    monkeypatch.setattr(TileModel, "blocks_for", lambda *arguments: 1)
    size = corpus.syn0.shape[1]
    layout = plan_layout(size, corpus.window, CARD.shared, tensor, rows, negatives, exclude)
    replica = replica_of(corpus, replace(layout, slab=slab or layout.slab), frozen=frozen)
    options = {"rounded": tensor, "rows": rows, "negatives": negatives, "exclude_window": exclude}
    crowds = (frozen_crowd(corpus.crowding[0], frozen), corpus.crowding[1])
    exact0, exact1, expected = corpus.train(corpus.model(**options, crowding=crowds))
    found = replica.train(corpus.ids, corpus.offsets, 0.05, 0.02, KEY)
    assert found == pytest.approx(expected, rel=1e-4)
    # here and there a sum lies so near the middle of two bf16 numbers that it rounds to the other
    tolerance = 2e-4 if tensor else 1e-5
    assert_close(corpus.syn0, replica.read_rows("syn0", 0, len(corpus.counts)), exact0, tolerance)
    assert_close(corpus.syn1, replica.read_rows("syn1", 0, len(corpus.counts)), exact1, tolerance)
    for matrix in ("syn0", "syn1"):
        assert not replica._matrices[matrix].content[:, size:].any()
    totals = replica._totals.get().view(TOTALS)[0]
    assert totals["turns"] >= totals["tiles"] == -(-expected[0] // rows)


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
@PRODUCTS
@pytest.mark.parametrize("vocabulary", [1, 40])
def test_emulated_kernels_equal_the_model_where_words_of_the_window_are_no_negatives(monkeypatch, tensor, vocabulary):
    check_emulation(monkeypatch, make_corpus(MIXED, vocabulary, 32), tensor, order=2, exclude=True)


@needs_compiler
@PRODUCTS
def test_emulated_kernels_leave_frozen_words_as_they_are(monkeypatch, tensor):
    corpus, frozen = make_corpus(MIXED, 40, 32), np.arange(40) % 2 == 0
    check_emulation(monkeypatch, corpus, tensor, frozen=frozen)
    replica = replica_of(corpus, None, frozen=frozen)
    replica.train(corpus.ids, corpus.offsets, 0.05, 0.0, KEY)
    moved = (replica.read_rows("syn0", 0, 40) != corpus.syn0).any(axis=1)
    assert not moved[frozen].any() and moved[~frozen].sum() >= 15
    assert (replica.read_rows("syn1", 0, 40) != corpus.syn1)[frozen].any(axis=1).all()


@needs_compiler
@pytest.mark.parametrize(("rows", "negatives"), [(16, 64), (32, 32), (32, 128)])
def test_emulated_kernels_equal_the_model_for_other_tiles(monkeypatch, rows, negatives):
    check_emulation(monkeypatch, make_corpus(MIXED, 40, 48), True, rows=rows, negatives=negatives)


@needs_compiler
@pytest.mark.parametrize("keep", [0.0, 0.02, 0.5])
@pytest.mark.parametrize("lengths", [[3 * STRIP_TOKENS + 5], [1] * (STRIP_TOKENS + 1), [100] * 200])
def test_emulated_subsampling_over_many_blocks(monkeypatch, keep, lengths):
    emulate(monkeypatch, order=2)
    for module in (cuda_model, cuda_compile):
        monkeypatch.setattr(module, "SCAN_THREADS", 4)  # less than there are blocks
    corpus = make_corpus(lengths, 40, 16, keep=keep)
    replica = replica_of(corpus, plan_layout(16, 5, CARD.shared, False))
    chunk = replica.upload(corpus.ids, corpus.offsets)
    kept = replica.train_chunk(chunk, 0.0, 0.0, KEY)[0]
    strip = cuda_reference.lay_strip(corpus.ids, corpus.offsets, corpus.keep, 5, mix64(np.uint64(KEY)))
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
    refused = "the GPU kernel cannot train with window_size 21: it must be an integer from 1 to 20"
    with pytest.raises(ParamError, match=refused):
        replica_of(replace(corpus, window=21), None)


def test_a_model_that_does_not_fit_is_refused_before_anything_is_allocated(monkeypatch):
    cupy = emulate(monkeypatch, free_bytes=10_000_000)
    for allocate in ("zeros", "empty"):
        monkeypatch.setattr(EmulatedCupy, allocate, lambda *arguments: pytest.fail("allocated"))
    corpus = make_corpus([20], 100_000, 16)
    with pytest.raises(DeviceError, match=r"takes \d\.\d GB of GPU memory, and of the 34\.4 GB of GPU 0 .* are free"):
        replica_of(corpus, None)
    assert cupy.free_bytes == 10_000_000

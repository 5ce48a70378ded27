"""The CUDA kernels of CBOW and of hierarchical softmax without a GPU: their numpy model against the reference and the
CPU kernel, the kernels run thread by thread against their model.
"""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from cuda_corpus import KEY, Centres, assert_close
from cuda_emulator import BLOCKS_TOGETHER, CARD, COMPILER, emulate

from w2v_spark.corpus.huffman import huffman_tree
from w2v_spark.corpus.random import mix64
from w2v_spark.errors import ParamError
from w2v_spark.kernels import cuda_centre_reference, cuda_device
from w2v_spark.kernels import reference_models as models
from w2v_spark.kernels.cpu import compile_kernel
from w2v_spark.kernels.cuda import CentreModel, TileModel, open_model
from w2v_spark.kernels.cuda_centre_plan import CentreLayout
from w2v_spark.kernels.cuda_model import MATRICES, TOTALS, DeviceModel
from w2v_spark.kernels.cuda_plan import BEARABLE, LEAST_TURNS, frozen_crowd
from w2v_spark.kernels.cuda_reference import lay_strip
from w2v_spark.kernels.outputs import Outputs
from w2v_spark.kernels.sizes import MOST_UPDATES, TILE_ROWS, whole_vectors
from w2v_spark.params import Params
from w2v_spark.training.replica import Sampling, open_replica
from w2v_spark.training.sentences import Piece

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs g++ to emulate the kernels")

PAIRS = [
    ("cbow", "negative_sampling"),
    ("cbow", "hierarchical_softmax"),
    ("skip_gram", "hierarchical_softmax"),
]
pairs = pytest.mark.parametrize(("architecture", "loss"), PAIRS)
MIXED = [5, 1, 40, 0, 2, 70, 1, 1, 3]


def replica_of(task, slab=None, frozen=None):
    corpus = task.corpus
    sizes = (corpus.syn0.shape[1], corpus.window, corpus.negative)
    tables = (corpus.counts, corpus.keep, task.outputs)
    options = (task.mean, task.exclude, frozen)
    replica = CentreModel(CARD, task.architecture, sizes, *tables, 100_000, *options, slab=slab)
    for matrix, values in (("syn0", corpus.syn0), ("syn1", corpus.syn1)):
        replica.write_rows(matrix, 0, values)
    return replica


# --- the model against the CPU kernel and against the reference ---


@pytest.mark.parametrize("keep", [1.0, 0.3])
def test_model_is_the_cpu_kernel_in_the_order_of_the_text(monkeypatch, keep):
    monkeypatch.setattr(cuda_centre_reference, "tile_order", range)
    task = Centres.of("skip_gram", "hierarchical_softmax", [30, 1, 200, 10, 0, 3] * 3, 200, 100, keep=keep)
    corpus = task.corpus
    syn0, syn1, found = corpus.train(task.uncrowded(), step_to=0.05)
    trained = [np.zeros((200, whole_vectors(100)), np.float32) for _matrix in "01"]
    trained[0][:, :100], trained[1][:, :100] = corpus.syn0, corpus.syn1
    kernel = compile_kernel("skip_gram", "hierarchical_softmax", 100, 5)
    expected = kernel(corpus.ids, corpus.offsets, *trained, corpus.keep, task.outputs, 0.05, 0.05, KEY)
    assert found[:2] == expected[:2]
    assert_close(corpus.syn0, syn0, trained[0][:, :100], 3e-5)
    assert_close(corpus.syn1, syn1, trained[1][:, :100], 3e-5)


def replay(task, step):
    """Train as the model should, by the reference in float64, centre after centre in the order of the text."""
    corpus, cbow = task.corpus, task.architecture == "cbow"
    strip = lay_strip(corpus.ids, corpus.offsets, corpus.keep, corpus.window, mix64(np.uint64(KEY)))
    noise_key, tree = mix64(~np.uint64(KEY)), huffman_tree(corpus.counts)
    syn0, syn1 = corpus.syn0.astype(np.float64), corpus.syn1.astype(np.float64)
    make, trained = models.cbow_samples if cbow else models.skip_gram_samples, 0
    for at, word in enumerate(strip.words):
        same = np.flatnonzero(strip.sentence == strip.sentence[at])
        left, right = min(strip.reach[at], at - same[0]), min(strip.reach[at], same[-1] - at)
        if left + right == 0:
            continue
        reaches = np.zeros((2, left + right + 1), int)
        reaches[:, left] = left, right
        samples = make(strip.words[at - left : at + right + 1], *reaches)
        trained += len(samples.target)
        if task.outputs.loss == "negative_sampling":
            drawn = task.model().decisions(strip, at, np.zeros(0, int), noise_key).rows[None, 1:]
            clashes = models.cbow_clashes(samples, drawn) if task.exclude else None
            decisions = models.negative_sampling(samples.target, drawn, clashes)
            length = 1 + corpus.negative
        else:
            decisions = models.hierarchical_softmax(samples.target, tree)
            length = tree.lengths()[word]
        times = (samples.context[:, None] == strip.words[at - left : at + right + 1]).sum(1)
        slowed = np.minimum(1, MOST_UPDATES / (times * length * step))
        if not cbow:
            decisions.weight[:] *= slowed[decisions.sample]
        _, by_hidden, by_syn1 = models.decision_loss(models.hidden_vectors(syn0, samples, task.mean), syn1, decisions)
        models.step(syn0, syn1, samples, by_hidden, by_syn1, step, task.mean, slowed if cbow else 1.0)
    return syn0, syn1, (len(strip.words), trained)


@pairs
@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("vocabulary", [2, 60])
def test_model_is_the_reference_in_float64(monkeypatch, architecture, loss, mean, vocabulary):
    monkeypatch.setattr(cuda_centre_reference, "tile_order", range)
    options = {"mean": mean, "exclude": loss == "negative_sampling" and mean}
    task = Centres.of(architecture, loss, [*MIXED, 100], vocabulary, 12, window=20, keep=0.9, **options)
    # a step at which words that a window repeats are damped
    syn0, syn1, found = task.corpus.train(task.uncrowded(), step_from=0.1, step_to=0.1)
    exact0, exact1, expected = replay(task, float(np.float32(0.1)))
    assert found[:2] == expected
    assert_close(task.corpus.syn0, syn0, exact0, 1e-6)
    assert_close(task.corpus.syn1, syn1, exact1, 1e-6)


@pairs
def test_crowding_is_the_expected_number_of_updates_of_a_row(architecture, loss):
    counts = 2 ** np.arange(16, 0, -1)
    task = Centres.of(architecture, loss, [20_000], 16, 4, window=3, negative=4, keep=0.7, counts=counts)
    corpus = task.corpus
    corpus.ids = np.random.default_rng(1).choice(16, 20_000, p=counts / counts.sum()).astype(np.int32)
    model, updates = task.model(), np.zeros((2, 16))
    strip = lay_strip(corpus.ids, corpus.offsets, corpus.keep, 3, np.uint64(5))
    for at in range(len(strip.words)):
        around = model.window(strip, at)
        rows = model.decisions(strip, at, around, np.uint64(9)).rows
        np.add.at(updates[0], strip.words[around], len(rows))
        np.add.at(updates[1], rows, 1 if architecture == "cbow" else len(around))
    expected = np.array(task.crowding) * BEARABLE * len(strip.words)
    often = expected > 2000
    assert often.sum() >= 8 and np.allclose(updates[often], expected[often], rtol=0.12)
    assert updates.sum() == pytest.approx(expected.sum(), rel=0.02)


@pairs
def test_training_many_centres_at_once_does_not_diverge_on_few_words(architecture, loss):
    # two words make up most of the text, and their nodes nearly all of it
    share, losses = np.array([0.4, 0.3, *[0.3 / 48] * 48]), {}
    for name, blocks, scaled in (("one by one", 1, True), ("scaled", 256, True), ("unscaled", 256, False)):
        task = Centres.of(architecture, loss, [20] * 400, 50, 16, counts=(share * 8000).astype(int))
        task.corpus.ids = np.random.default_rng(2).choice(50, 8000, p=share).astype(np.int32)
        task.corpus.syn1[:] = 0
        model = task.model(blocks=blocks) if scaled else task.uncrowded(blocks=blocks)
        with np.errstate(over="ignore", invalid="ignore"):
            _, _, (_, _, loss_sum, samples) = task.corpus.train(model, step_from=0.05, step_to=0.05)
        losses[name] = loss_sum / samples
    assert losses["scaled"] < 1.02 * losses["one by one"]
    assert not losses["unscaled"] < 10 * losses["one by one"]


# --- the kernels against the model ---


def check_emulation(monkeypatch, task, order=0, slab=None, frozen=None):
    """One block of the kernel computes what the model does."""
    emulate(monkeypatch, order)
    monkeypatch.setattr(DeviceModel, "blocks_for", lambda *arguments: 1)
    corpus, size = task.corpus, task.corpus.syn0.shape[1]
    crowds = (frozen_crowd(task.crowding[0], frozen), task.crowding[1])
    exact0, exact1, expected = corpus.train(task.model(crowding=crowds))
    replica = replica_of(task, slab, frozen)
    found = replica.train(corpus.ids, corpus.offsets, 0.05, 0.02, KEY)
    assert found == pytest.approx(expected, rel=1e-4)
    assert_close(corpus.syn0, replica.read_rows("syn0", 0, len(corpus.counts)), exact0, 1e-5)
    assert_close(corpus.syn1, replica.read_rows("syn1", 0, len(corpus.counts)), exact1, 1e-5)
    for matrix in ("syn0", "syn1"):
        assert not replica._matrices[matrix].content[:, size:].any()
    totals = replica._totals.get().view(TOTALS)[0]
    assert totals["turns"] >= totals["tiles"] == -(-expected[0] // TILE_ROWS)
    return replica


@needs_compiler
@pairs
@pytest.mark.parametrize("size", [1, 50, 100, 300, 1024])
def test_emulated_kernels_equal_the_model_for_every_vector_size(monkeypatch, architecture, loss, size):
    check_emulation(monkeypatch, Centres.of(architecture, loss, MIXED, 40, size))


@needs_compiler
@pairs
@pytest.mark.parametrize(("window", "negative"), [(1, 1), (8, 32), (20, 5)])
def test_emulated_kernels_equal_the_model_for_windows_and_negatives(monkeypatch, architecture, loss, window, negative):
    check_emulation(monkeypatch, Centres.of(architecture, loss, [*MIXED, 130], 40, 32, window, negative, keep=0.8))


@needs_compiler
@pairs
@pytest.mark.parametrize("order", [1, 2, 3], ids=["falling", "random", "random again"])
def test_the_order_of_threads_between_barriers_does_not_matter(monkeypatch, architecture, loss, order):
    # three slabs, the last one narrower
    check_emulation(monkeypatch, Centres.of(architecture, loss, MIXED, 40, 80), order, slab=32)


@needs_compiler
@pairs
@pytest.mark.parametrize("lengths", [[0], [1], [1, 1, 1], [2], [TILE_ROWS + 1], [0, 0, 33, 0]])
def test_emulated_kernels_equal_the_model_on_partial_tiles(monkeypatch, architecture, loss, lengths):
    check_emulation(monkeypatch, Centres.of(architecture, loss, lengths, 40, 32))


@needs_compiler
@pairs
@pytest.mark.parametrize("vocabulary", [1, 2, 3])
def test_emulated_kernels_equal_the_model_on_few_words(monkeypatch, architecture, loss, vocabulary):
    check_emulation(monkeypatch, Centres.of(architecture, loss, MIXED, vocabulary, 32))


@needs_compiler
@pairs
def test_emulated_kernels_equal_the_model_with_sums(monkeypatch, architecture, loss):
    check_emulation(monkeypatch, Centres.of(architecture, loss, MIXED, 40, 32, mean=False))


@needs_compiler
@pytest.mark.parametrize("vocabulary", [1, 40])
def test_emulated_kernels_equal_the_model_where_words_of_the_window_are_no_negatives(monkeypatch, vocabulary):
    task = Centres.of("cbow", "negative_sampling", MIXED, vocabulary, 32, exclude=True)
    check_emulation(monkeypatch, task, order=2)


@needs_compiler
@pairs
def test_emulated_kernels_leave_frozen_words_as_they_are(monkeypatch, architecture, loss):
    task, frozen = Centres.of(architecture, loss, MIXED, 40, 32), np.arange(40) % 2 == 0
    replica = check_emulation(monkeypatch, task, frozen=frozen)
    moved = (replica.read_rows("syn0", 0, 40) != task.corpus.syn0).any(axis=1)
    assert not moved[frozen].any() and moved[~frozen].sum() >= 15


# --- the replica ---


@needs_compiler
def test_blocks_are_as_many_as_the_card_and_the_corpus_bear(monkeypatch):
    emulate(monkeypatch)
    replica = replica_of(Centres.of("cbow", "negative_sampling", [10], 5000, 16))
    assert replica.blocks_for(1_000_000_000, 0.001) == BLOCKS_TOGETHER * CARD.multiprocessors
    assert replica.blocks_for(10 * LEAST_TURNS, 0.001) == 10
    assert replica.blocks_for(1, 0.05) == 1


@needs_compiler
@pytest.mark.parametrize("architecture", ["skip_gram", "cbow"])
@pytest.mark.parametrize("loss", ["negative_sampling", "hierarchical_softmax"])
def test_every_pair_has_its_kernel(monkeypatch, architecture, loss):
    emulate(monkeypatch)
    task = Centres.of(architecture, loss, [10], 40, 16)
    tables = (task.corpus.counts, task.corpus.keep, task.outputs)
    model = open_model(CARD, architecture, (16, 5, 5), *tables, 1000)
    tiles = (architecture, loss) == ("skip_gram", "negative_sampling")
    assert isinstance(model, TileModel if tiles else CentreModel)
    assert model.train(task.corpus.ids, task.corpus.offsets, 0.05, 0.05, 1)[0] == 10


@needs_compiler
@pairs
def test_replicas_on_gpu_and_cpu_move_the_same_rows_and_no_frozen_ones(monkeypatch, architecture, loss):
    emulate(monkeypatch)
    monkeypatch.setattr(cuda_device, "open_card", lambda number: CARD)
    params = Params(architecture=architecture, loss=loss, vector_size=16, window_size=2, sample=0.0, num_replicas=1)
    frozen = np.arange(50) % 3 == 0
    sampling = Sampling.of_vocabulary(pa.table({"count": np.full(50, 20), "frozen": frozen}), params)
    draw = np.random.default_rng(1)
    model = {matrix: draw.normal(scale=0.1, size=(50, 16)).astype(np.float32) for matrix in MATRICES}
    piece = Piece(draw.integers(0, 50, 90, dtype=np.int32), np.array([0, 40, 90]), 0.0, 0.5, 7)
    moved = []
    for device in (None, 0):
        replica = open_replica(params, sampling, lambda matrix: [[(0, model[matrix])]], device)
        assert replica.train(piece)[0] == 90
        moved.append((replica.rows("syn0", 0, 50)[:, :16] != model["syn0"]).any(axis=1))
    assert np.array_equal(*moved) and not moved[0][frozen].any() and moved[0].sum() > 20


def test_a_vocabulary_without_frozen_words_freezes_nothing():
    for columns in ({}, {"frozen": [False, False]}):
        assert Sampling.of_vocabulary(pa.table({"count": [3, 2]} | columns), Params()).frozen is None
    frozen = Sampling.of_vocabulary(pa.table({"count": [3, 2], "frozen": [False, True]}), Params()).frozen
    assert frozen.tolist() == [False, True]


def test_what_no_gpu_trains_and_what_does_not_fit_is_refused(monkeypatch):
    emulate(monkeypatch)
    task = Centres.of("cbow", "softmax", [10], 40, 16)
    tables = (task.corpus.counts, task.corpus.keep)
    with pytest.raises(ParamError, match=r"^device=cuda does not train loss softmax, .*: use device=cpu, or loss "):
        open_model(CARD, "cbow", (16, 5, 5), *tables, task.outputs, 1000)
    task = Centres.of("cbow", "negative_sampling", [10], 40, 16)
    with pytest.raises(ValueError, match="must be as long as the vocabulary"):
        replica_of(replace(task, outputs=Outputs.of_counts("negative_sampling", np.ones(39, np.int64))))
    with pytest.raises(ValueError, match="counts, keep and frozen must be as long as the vocabulary"):
        replica_of(task, frozen=np.zeros(39, bool))
    task.corpus.window = 21
    refused = "the GPU kernel cannot train with window_size 21: it must be an integer from 1 to 20"
    with pytest.raises(ParamError, match=refused):
        replica_of(task)


def test_layouts_hold_what_the_centre_needs():
    layout = CentreLayout(False, True, False, True, contexts=10, decisions=20, slab=112)
    assert layout.rows == 30 and layout.shared_bytes == 4 * (30 * 116 + 200)
    assert replace(layout, cbow=True).rows == 21

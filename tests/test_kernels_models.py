"""The CPU kernels of all architectures and losses against the reference, with the same random numbers."""

import os
import platform
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from replay import NEGATIVE, Model, Replay
from replay_sgns import close
from test_kernels import separation

import w2v_spark
from w2v_spark.errors import ParamError
from w2v_spark.kernels.checks import MAX_VOCABULARY
from w2v_spark.kernels.cpu import ARCHITECTURES, LOSSES, compile_kernel
from w2v_spark.kernels.cpu_strip import STRIP
from w2v_spark.kernels.outputs import Outputs
from w2v_spark.kernels.sizes import TILE_ROWS, whole_vectors

# skip-gram with negative sampling has its own tests
NEW = [(a, loss) for loss in LOSSES for a in ARCHITECTURES if (a, loss) != ("skip_gram", "negative_sampling")]
new_models = pytest.mark.parametrize(("architecture", "loss"), NEW)


def check(
    architecture, loss, lengths, vocabulary, size, window, keep=1.0, mean=True, key=77, steps=(0.05, 0.02),
    exclude=False, frozen=(),
):  # fmt: skip
    model = Model(loss, lengths, vocabulary, size, keep)
    model.frozen = np.isin(np.arange(vocabulary), frozen) if len(frozen) else None
    before0, before1 = model.syn0.copy(), model.syn1.copy()
    replay = Replay(architecture, model, window, key, mean, steps, exclude)
    expected = replay.train(loss)
    words, samples, loss_sum, loss_samples = model.run(
        compile_kernel(architecture, loss, size, window, NEGATIVE, mean, exclude, len(frozen) > 0), key, *steps
    )
    assert (words, samples, loss_samples) == (expected[0], expected[1], expected[3])
    assert loss_sum == pytest.approx(expected[2], rel=3e-5)
    assert not model.syn0[:, size:].any() and not model.syn1[:, size:].any()
    if samples == 0:
        assert (model.syn0 == before0).all() and (model.syn1 == before1).all()
    else:
        assert close(before0, model.syn0, replay.syn0)
        assert close(before1, model.syn1, replay.syn1)
    assert model.syn0[list(frozen)].tobytes() == before0[list(frozen)].tobytes()


# many tests train with (16, 5), which is then compiled once for all
SIZES = [(1, 1), (16, 5), (100, 5), pytest.param(300, 20, marks=pytest.mark.slow)]


@new_models
@pytest.mark.parametrize(("size", "window"), SIZES)
@pytest.mark.parametrize("length", [1, 2, 7, TILE_ROWS, TILE_ROWS + 1, 3 * TILE_ROWS + 3])
def test_kernel_equals_the_reference_on_one_sentence(architecture, loss, size, window, length):
    check(architecture, loss, [length], 50, size, window)


@new_models
@pytest.mark.parametrize(("size", "window"), SIZES[:3])
@pytest.mark.parametrize("vocabulary", [1, 2, 3, 15, 16, 17, 600])
def test_kernel_equals_the_reference_for_small_and_larger_vocabularies(architecture, loss, size, window, vocabulary):
    check(architecture, loss, [5, 1, 40, 0, 2, 70, 1, 1, 3], vocabulary, size, window)


@new_models
@pytest.mark.parametrize("keep", [0.0, 0.05, 0.5])
def test_kernel_equals_the_reference_with_subsampling(architecture, loss, keep):
    check(architecture, loss, [30, 1, 200, 10, 0, 3] * 3, 200, 100, 5, keep)


@new_models
def test_kernel_equals_the_reference_with_sums(architecture, loss):
    check(architecture, loss, [40, 3, 1, 17], 200, 100, 5, mean=False)


@pytest.mark.parametrize("vocabulary", [1, 2, 40, 600])
def test_kernel_equals_the_reference_where_words_of_the_window_are_no_negatives(vocabulary):
    check("cbow", "negative_sampling", [5, 1, 40, 0, 2, 70, 1, 1, 3], vocabulary, 16, 5, 0.9, exclude=True)


@new_models
def test_kernel_equals_the_reference_where_words_are_frozen(architecture, loss):
    check(architecture, loss, [5, 1, 40, 0, 2, 70, 1, 1, 3], 30, 16, 5, frozen=range(0, 30, 2))


# the others share what reads and writes rows
@pytest.mark.parametrize(
    ("architecture", "loss"), [*NEW[:2], *(pytest.param(*pair, marks=pytest.mark.slow) for pair in NEW[2:])]
)
def test_kernel_equals_the_reference_for_the_largest_vectors(architecture, loss):
    check(architecture, loss, [3, 60], 40, 1024, 5)


@pytest.mark.parametrize(("architecture", "loss"), NEW[:3])
def test_kernel_equals_the_reference_over_more_than_a_strip(architecture, loss):
    lengths = [20] * 410 + [33] * 5
    assert sum(lengths) > STRIP
    check(architecture, loss, lengths, 3000, 4, 2)


# --- what users of the kernels rely on ---


@new_models
def test_no_sentences_and_empty_sentences(architecture, loss):
    kernel = compile_kernel(architecture, loss, 16, 5)
    for lengths in ([], [0], [0, 0, 1, 0]):
        assert Model(loss, lengths, 10, 16).run(kernel, 1) == (sum(lengths), 0, 0.0, 0)


@new_models
def test_same_key_same_bytes_other_key_other_bytes(architecture, loss):
    kernel, trained = compile_kernel(architecture, loss, 100, 5), []
    for key in (5, 5, 6, 2**64 - 1):
        model = Model(loss, [50] * 20, 100, 100, keep=0.7)
        model.run(kernel, key)
        trained.append(model.syn0.tobytes() + model.syn1.tobytes())
    assert trained[0] == trained[1] and len(set(trained)) == 3


def planted(loss, sentences=800):
    """Words of 10 topics of 8 words; a sentence keeps to its topic."""
    random = np.random.default_rng(0)
    model = Model(loss, [20] * sentences, 80, 16)
    topics = np.repeat(random.integers(0, 10, sentences), 20)
    model.ids = (topics * 8 + random.integers(0, 8, 20 * sentences)).astype(np.int32)
    model.outputs = Outputs.of_counts(loss, np.ones(80, np.int64))
    model.syn0 = random.uniform(-0.5 / 16, 0.5 / 16, model.syn0.shape).astype(np.float32)
    model.syn1[:] = 0
    return model


@new_models
@pytest.mark.parametrize("threads", [1, 4])
def test_topics_separate_on_one_thread_and_on_many(architecture, loss, threads):
    kernel, model = compile_kernel(architecture, loss, 16, 5), planted(loss)

    def train(part):
        offsets = model.offsets[part * 50 : part * 50 + 51]
        return kernel(model.ids, offsets, model.syn0, model.syn1, model.keep, model.outputs, 0.05, 0.05, part)

    losses = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(10):
            results = np.array(list(pool.map(train, range(16))))
            losses.append(results[:, 2].sum() / results[:, 3].sum())
    assert results[:, 0].sum() == len(model.ids)
    assert np.isfinite(model.syn0).all() and separation(model) > 0.3
    assert losses[-1] < losses[0]


def test_softmax_reaches_the_perplexity_of_the_exact_model():
    """Words of a topic are alike: no model's perplexity is below 8 words, and that of a word at random is 80."""
    for architecture in ARCHITECTURES:
        kernel, model = compile_kernel(architecture, "softmax", 16, 5), planted("softmax")
        for epoch in range(12):
            _, _, loss_sum, samples = model.run(kernel, epoch, 0.05, 0.05)
        assert np.exp(loss_sum / samples) < 8.8


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="about x86")
def test_same_bytes_on_processors_with_and_without_avx512():
    code = """
import hashlib
from itertools import product
from test_kernels_models import ARCHITECTURES, LOSSES, Model, compile_kernel
wide = [(architecture, "negative_sampling", 300, True) for architecture in ARCHITECTURES]
for architecture, loss, size, exclude in [*product(ARCHITECTURES, LOSSES, [100], [False]), *wide]:
    model = Model(loss, [30, 1, 200, 10, 0, 300] * 5, 200, size, 0.6)
    result = model.run(compile_kernel(architecture, loss, size, 5, exclude_window=exclude, bf16=False), 5)
    print(result, hashlib.sha256(model.syn0.tobytes() + model.syn1.tobytes()).hexdigest())
"""
    answers = []
    for forced in ({}, {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": ""}):
        path = os.pathsep.join([str(Path(__file__).parent), str(Path(w2v_spark.__file__).parents[1])])
        env = os.environ | {"PYTHONPATH": path} | forced
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
        if forced and done.returncode == -signal.SIGILL:
            pytest.skip("this machine has no AVX2")
        assert done.returncode == 0, done.stderr
        answers.append(done.stdout)
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (("glove", "softmax", 9, 5, 5), "architecture 'glove'"),
        (("cbow", "hinge", 9, 5, 5), "loss 'hinge'"),
    ],
)
def test_what_no_kernel_does_is_refused_in_a_sentence(given, named):
    with pytest.raises(ParamError, match=f"the CPU has no kernel for {named}: it must be one of "):
        compile_kernel(*given)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    ("loss", "sizes", "named"),
    [
        ("softmax", (0, 5, 5), "vector_size 0"),
        ("softmax", (9, 21, 5), "window_size 21"),
        ("negative_sampling", (0, 5, 5), "vector_size 0"),
        ("negative_sampling", (1025, 5, 5), "vector_size 1025"),
        ("negative_sampling", (9, 21, 5), "window_size 21"),
        ("negative_sampling", (9, 5, 33), "negative 33"),
    ],
)
def test_sizes_the_kernels_cannot_do_are_refused_in_a_sentence(architecture, loss, sizes, named):
    with pytest.raises(ParamError, match=f"the CPU kernel cannot train with {named}: it must be an integer from 1 to "):
        compile_kernel(architecture, loss, *sizes)


def test_softmax_over_a_large_vocabulary_is_refused_in_a_sentence():
    limit = MAX_VOCABULARY
    assert Outputs.of_counts("softmax", np.ones(limit, np.int64)).words == limit
    with pytest.raises(ParamError, match="32,769 words make too slow: at most 32,768 are allowed; use loss"):
        Outputs.of_counts("softmax", np.ones(limit + 1, np.int64))


@new_models
def test_arrays_that_would_break_memory_are_refused(architecture, loss):
    kernel = compile_kernel(architecture, loss, 16, 5)
    for break_it in (
        lambda m: m.ids.__setitem__(3, 10),
        lambda m: m.ids.__setitem__(3, -1),
        lambda m: setattr(m, "offsets", np.array([0, 21])),
        lambda m: setattr(m, "offsets", np.array([0, 9, 8])),
        lambda m: setattr(m, "syn0", m.syn0[:-1]),
        lambda m: setattr(m, "syn1", m.syn1[:-1]),
        lambda m: setattr(m, "syn1", np.zeros((10, whole_vectors(17)), np.float32)),
        lambda m: setattr(m, "outputs", Outputs.of_counts(loss, np.ones(9, np.int64))),
        lambda m: setattr(m, "outputs", Outputs.of_counts(LOSSES[LOSSES.index(loss) - 1], m.counts)),
    ):
        model = Model(loss, [20], 10, 16)
        break_it(model)
        with pytest.raises(ValueError, match="must"):
            model.run(kernel, 1)

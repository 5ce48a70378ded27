"""The rule `sequential`: axes and weights against numpy, the limits it stands between, and counts of gradient terms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from w2v_spark.array_types import Floats
from w2v_spark.corpus.huffman import huffman_tree
from w2v_spark.kernels.axes import add_second_moment, principal_axes, weigh_along
from w2v_spark.params import Params
from w2v_spark.training import sequential
from w2v_spark.training.merge import RULES, Change, fold, weighs
from w2v_spark.training.replica import Sampling
from w2v_spark.training.schedule import Round
from w2v_spark.training.sequential import Terms
from w2v_spark.workdir.blocks import MATRICES, SYN0, SYN1, rows_per_block


def moment_of(rows: Floats, weights: np.ndarray) -> np.ndarray:
    total = np.zeros((rows.shape[1], rows.shape[1]))
    add_second_moment(rows, weights, total)
    return total


@settings(deadline=None)
@given(st.sampled_from([1, 2, 15, 16, 17, 150]), st.integers(0, 200), st.integers(0, 5))
def test_principal_axes_are_numpys(size: int, rows: int, seed: int) -> None:
    """Also where rows are fewer than axes, so that some eigenvalues are zero."""
    random = np.random.default_rng(seed)
    matrix, weights = random.normal(size=(rows, size)).astype(np.float32), random.random(rows)
    moment = moment_of(matrix, weights)
    wide = matrix.astype(np.float64)
    expected = (wide * weights[:, None]).T @ wide
    np.testing.assert_allclose(moment, expected, atol=1e-6 * (1 + np.abs(expected).max()))
    values, axes = principal_axes(moment)
    np.testing.assert_allclose(np.sort(values), np.linalg.eigvalsh(expected), atol=1e-6 * (1 + values.max()))
    np.testing.assert_allclose(axes @ axes.T, np.eye(size), atol=2e-6)
    np.testing.assert_allclose((axes.T * values) @ axes, expected, atol=1e-5 * (1 + values.max()))


def test_a_second_moment_is_added_up_block_by_block_and_knows_padded_rows() -> None:
    random = np.random.default_rng(1)
    rows, weights = random.normal(size=(50, 8)).astype(np.float32), random.random(50)
    total = np.zeros((5, 5))
    for part in (slice(0, 20), slice(20, 50)):
        add_second_moment(rows[part], weights[part], total)
    np.testing.assert_allclose(total, moment_of(rows[:, :5], weights), rtol=1e-5)


def test_axes_of_what_is_not_finite_are_found_in_finite_time() -> None:
    """Training that diverges is noticed by its rows, which must get so far."""
    for broken in (np.nan, np.inf):
        moment = np.eye(20)
        moment[7, 3] = broken
        values, _ = principal_axes(moment)
        assert not np.isfinite(values).all()


def test_what_is_weighed_lies_between_once_and_as_often_as_there_are_replicas() -> None:
    """Eight replicas: a row that nothing pulls counts eight times; one that has arrived counts once; in between, each
    axis by itself.
    """
    axes = np.array([[0.6, 0.8], [-0.8, 0.6]])
    values = np.array([[0.6, 0.8], [-0.8, 0.6], [1, 0]], np.float32)
    nothing, arrived = np.zeros(3), np.full(3, 1e9)
    np.testing.assert_allclose(weigh_along(values, axes, nothing, np.ones(2), 8), 8 * values, atol=1e-6)
    np.testing.assert_allclose(weigh_along(values, axes, arrived, np.ones(2), 8), values, atol=1e-6)
    one_axis = weigh_along(values, axes, arrived, np.array([1.0, 0.0]), 8)
    np.testing.assert_allclose(one_axis, [values[0], 8 * values[1], values[2] @ axes.T * [1, 8] @ axes], atol=1e-6)
    half_way = weigh_along(values, axes, np.full(3, 0.5), np.ones(2), 8)
    np.testing.assert_allclose(half_way, values * 8 * 1.5 / 5, atol=1e-6)


def test_a_merge_comes_nearer_to_shares_trained_in_turn_than_any_other_rule() -> None:
    """Rows that descend to points of their own along a long and a short axis, some seldom and some often, with noise:
    as one model with eight shares in turn, and as eight replicas that are merged.
    """
    random, replicas, steps = np.random.default_rng(4), 8, 20
    rates, frequency = np.array([0.3, 0.003]), np.array([0.05, 1.0])[:, None, None]
    target = random.normal(size=(2, 40, 2))

    def share(rows: np.ndarray, noise: np.ndarray) -> np.ndarray:
        for each in noise:
            rows = rows + frequency * rates * (target - rows) + 0.03 * frequency * rates * each
        return rows

    noise = random.normal(size=(replicas, steps, 2, 40, 2))
    start = np.zeros_like(target)
    in_turn = start
    for each in noise:
        in_turn = share(in_turn, each)
    changed = [share(start, each).reshape(80, 2).astype(np.float32) for each in noise]
    exposure, rows = np.repeat(steps * frequency.ravel(), 40), np.arange(80, dtype=np.int32)

    def missed(rule: str) -> float:
        sent = [weigh_along(c, np.eye(2), exposure, rates, replicas) if rule == "sequential" else c for c in changed]
        changes = [Change(rows, s.astype(np.float16), np.ones(80, np.int64)) for s in sent]
        merged = fold(rule, np.zeros((80, 2), np.float32), changes, replicas)
        return float(np.square(merged - in_turn.reshape(80, 2)).sum())

    missed_by = {rule: missed(rule) for rule in RULES}
    assert min(missed_by, key=missed_by.__getitem__) == "sequential"
    assert missed_by["sequential"] < 0.1 * min(m for rule, m in missed_by.items() if rule != "sequential")


COUNTS = np.array([40, 30, 20, 5, 5], np.int64)


def terms(words: int = 100, sentences: int = 1, **options: object) -> Terms:
    params = Params(sample=0.0, num_replicas=4, vector_size=4, **options)
    return Terms.of_sampling(Sampling.of_counts(COUNTS, params), params, words, sentences)


def test_gradient_terms_of_skip_gram_and_cbow_with_negatives() -> None:
    found = terms(window_size=5, negative=5)
    shares = COUNTS / 100
    noise = COUNTS**0.75 / (COUNTS**0.75).sum()
    np.testing.assert_allclose(found.of_rows[SYN0], shares * 6 * 6, rtol=1e-6)  # 6 pairs, of 1 + 5 targets each
    np.testing.assert_allclose(found.of_rows[SYN1], 6 * (shares + 5 * noise), rtol=1e-6)
    bags = terms(window_size=5, negative=5, architecture="cbow")
    np.testing.assert_allclose(bags.of_rows[SYN0], shares * 6 * 6, rtol=1e-6)  # each word is in 6 bags
    np.testing.assert_allclose(bags.of_rows[SYN1], shares + 5 * noise, rtol=1e-6)  # one sample a centre
    assert found.words_of_a_replica == 25
    assert set(bags.longer.values()) == {1.0}
    assert terms(window_size=5, architecture="cbow", cbow_mean=False).longer == {SYN0: 6.0, SYN1: 36.0}


def test_gradient_terms_along_the_huffman_tree_and_of_all_outputs() -> None:
    tree, shares = huffman_tree(COUNTS), COUNTS / 100
    found = terms(loss="hierarchical_softmax", window_size=1)
    assert found.of_rows[SYN1][len(COUNTS) - 2] == pytest.approx(2.0)  # the root, at every pair
    assert found.of_rows[SYN1][len(COUNTS) - 1] == 0  # no such node
    np.testing.assert_allclose(found.of_rows[SYN0], 2 * shares * (shares @ tree.lengths()), rtol=1e-6)
    np.testing.assert_allclose(terms(loss="softmax", window_size=1).of_rows[SYN1], 4 * shares, rtol=1e-6)


def test_a_window_reaches_no_further_than_its_sentence() -> None:
    """In a sentence of two every word has one neighbour."""
    np.testing.assert_allclose(terms(sentences=50, window_size=9).of_rows[SYN0], COUNTS / 100 * 6, rtol=1e-6)


def test_subsampling_thins_out_what_is_trained() -> None:
    params = Params(sample=1e-2, num_replicas=1, vector_size=4)
    sampling = Sampling.of_counts(COUNTS, params)
    found = Terms.of_sampling(sampling, params, 10**6, 10**4)
    np.testing.assert_allclose(found.of_rows[SYN0], COUNTS / 100 * (sampling.keep / 2**32) * 36, rtol=1e-6)


def test_the_weights_of_a_stretch() -> None:
    """Rows that train more often count less, by the axes of the other matrix, and later in a run more."""
    random = np.random.default_rng(2)
    model = {matrix: random.normal(size=(5, 4)).astype(np.float32) for matrix in MATRICES}
    found = terms(max_iter=2, step_size=0.1, min_step_size=0.01)
    early, late = (found.weights(Round(1, at, (at + 0.5,)), lambda m, a, b: model[m][a:b]) for at in (0.0, 1.5))
    often = found.of_rows[SYN1] / found.of_rows[SYN1].sum()
    values, axes = principal_axes(moment_of(model[SYN1], often))
    np.testing.assert_array_equal(early.axes[SYN0], axes)
    np.testing.assert_allclose(early.rates[SYN0], 0.16 * values**0.7)
    # the step in the middle of the stretch, times the words that a replica trains in it
    assert early.exposure == pytest.approx((0.1 - 0.09 / 8) * 12.5)
    change, rows = np.ones((5, 4), np.float32), np.arange(5)
    lengths = [np.linalg.norm(weights.weighed(SYN0, rows, change), axis=1) for weights in (early, late)]
    assert (np.diff(lengths[0]) >= 0).all() and (lengths[0] < lengths[1]).all() and (lengths[1] < 8).all()


@pytest.mark.parametrize("loss", ["negative_sampling", "hierarchical_softmax"])
def test_axes_come_from_the_rows_that_train_most(loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Block by block, and no more of them than are needed: the first words, and the nodes next to the root."""
    step = rows_per_block(4)
    monkeypatch.setattr(sequential, "_AXES_ROWS", step + 10)
    words, read = 2 * step + 7, []
    params = Params(num_replicas=2, vector_size=4, loss=loss)
    found = Terms.of_sampling(Sampling.of_counts(np.arange(words, 0, -1), params), params, 10**6, 10**4)

    def rows(matrix: str, first: int, stop: int) -> Floats:
        read.append((matrix, first, stop))
        return np.ones((stop - first, 4), np.float32)

    weights = found.weights(Round(1, 0.0, (0.5,)), rows)
    from_last = words - step - 10 if loss == "hierarchical_softmax" else 0
    assert [(first, stop) for matrix, first, stop in read if matrix == SYN0] == [(0, step), (step, step + 10)]
    assert [first for matrix, first, _ in read if matrix == SYN1] == [from_last, from_last + step]
    # all rows are ones: along them the moment is 4, along all other axes 0
    assert sorted(np.round(weights.rates[SYN0] / 0.16, 6)) == [0, 0, 0, pytest.approx(4**0.7)]


def test_of_rows_that_train_little_some_stand_for_all() -> None:
    """Within a percent, the axes of a model like word2vec's are those of all its rows, of a third of which they are."""
    words, size, random = 20 * rows_per_block(100), 100, np.random.default_rng(3)
    params = Params(num_replicas=2, vector_size=size)
    sampling = Sampling.of_counts(10**8 // np.arange(10, words + 10), params)
    found = Terms.of_sampling(sampling, params, 10**6, 10**4)
    model = random.normal(size=(words, size)).astype(np.float32) @ np.diag(0.99 ** np.arange(size)).astype(np.float32)

    def rows(matrix: str, first: int, stop: int) -> Floats:
        return model[first:stop]

    rates = np.sort(found.weights(Round(1, 0.0, (0.5,)), rows).rates[SYN0])
    often = found.of_rows[SYN1] / found.of_rows[SYN1].sum()
    np.testing.assert_allclose(rates, 0.16 * np.linalg.eigvalsh((model * often[:, None]).T @ model) ** 0.7, rtol=0.01)


def test_a_lone_replica_and_other_rules_weigh_nothing() -> None:
    assert weighs(Params(num_replicas=2))
    assert not weighs(Params(num_replicas=1))
    assert not weighs(Params())
    assert not weighs(Params(num_replicas=2, merge_rule="mean"))

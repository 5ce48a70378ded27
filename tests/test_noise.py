"""Subsampling and the noise distribution: formulas, exact tables, draws."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from w2v_spark.corpus.noise import alias_table, keep_probability, noise_distribution


def test_one_percent_and_a_hundredth_of_it_are_drawn_31_6_times_as_often():
    share = noise_distribution(np.array([9899, 100, 1]), 0.75)
    assert share[1] / share[2] == pytest.approx(100**0.75)
    assert share[1] / share[2] == pytest.approx(31.6, abs=0.03)
    assert share.sum() == pytest.approx(1)


def test_exponents_one_zero_and_below():
    counts = np.array([8, 4, 2, 0])
    assert noise_distribution(counts, 1).tolist() == pytest.approx([8 / 14, 4 / 14, 2 / 14, 0])
    assert noise_distribution(counts, 0).tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])
    assert noise_distribution(counts, -1).tolist() == pytest.approx([1 / 7, 2 / 7, 4 / 7, 0])


def test_keep_probability_is_that_of_word2vec_c():
    counts = np.array([1_000_000, 20_000, 100, 1])
    sample, total = 1e-3, counts.sum()
    # word2vec.c: ran = (sqrt(cn / (sample * train_words)) + 1) * (sample * train_words) / cn
    expected = [min(1, (np.sqrt(c / (sample * total)) + 1) * (sample * total) / c) for c in counts]
    assert keep_probability(counts, sample).tolist() == pytest.approx(expected, rel=1e-12)
    assert 0 < expected[0] < expected[1] < expected[2] == 1


def test_sample_zero_keeps_every_word():
    assert (keep_probability(np.array([10**12, 1]), 0.0) == 1).all()


weights = st.lists(st.floats(0, 1e9, allow_nan=False) | st.integers(1, 5).map(float), min_size=1, max_size=300)


@settings(max_examples=300, deadline=None)
@given(weights)
def test_alias_table_holds_the_probabilities_exactly(values):
    values = np.array(values)
    if values.sum() < 1e-300:
        values[0] = 1.0
    expected = values / values.sum()
    table = alias_table(expected)
    assert table.slots.dtype == np.uint64 and table.probability.dtype == np.uint32 and table.alias.dtype == np.int32
    assert (0 <= table.alias).all() and (table.alias < len(values)).all()
    assert np.abs(table.to_probabilities() - expected).max() < 1e-9


@pytest.mark.parametrize("size", [1, 2, 3, 4096])
def test_alias_table_of_equal_words_draws_the_slot_itself(size):
    table = alias_table(np.full(size, 1 / size))
    assert np.abs(table.to_probabilities() * size - 1).max() < 1e-9


def test_alias_table_of_a_large_vocabulary_is_exact_quick_and_the_same_again():
    counts = np.maximum(5, 1e9 / (np.arange(1_000_000) + 3) ** 1.05).astype(np.int64)
    expected = noise_distribution(counts, 0.75)
    table, again = alias_table(expected), alias_table(expected)
    assert np.abs(table.to_probabilities() / expected - 1).max() < 1e-7
    assert (table.slots == again.slots).all()


def test_a_million_draws_pass_chi_square():
    expected = noise_distribution(np.arange(1, 501)[::-1] ** 2, 0.75)
    table, random = alias_table(expected), np.random.default_rng(5)
    slot = random.integers(0, len(expected), 1_000_000)
    own = random.integers(0, 2**32, len(slot)) <= table.probability[slot]
    drawn = np.bincount(np.where(own, slot, table.alias[slot]), minlength=len(expected))
    assert stats.chisquare(drawn, expected * len(slot)).pvalue > 0.001


def test_noise_needs_no_numba():
    code = "import w2v_spark.corpus.noise, sys; assert not {'numba', 'pyspark', 'cupy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

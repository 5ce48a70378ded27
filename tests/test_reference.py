"""The reference against calculus and by hand."""

import math

import numpy as np
import pytest

from w2v_spark.corpus.huffman import huffman_tree
from w2v_spark.corpus.noise import noise_distribution
from w2v_spark.kernels import reference
from w2v_spark.kernels import reference_models as models

ARCHITECTURES = {"skip_gram": models.skip_gram_samples, "cbow": models.cbow_samples}


# --- layers ---


def test_gather_is_the_one_hot_product_and_its_backward_adds_up_ids_that_occur_twice():
    random = np.random.default_rng(1)
    table, ids, rows = random.normal(size=(7, 3)), np.array([2, 5, 2, 2]), random.normal(size=(4, 3))
    onehot = np.eye(7)[ids]
    assert np.allclose(reference.gather(table, ids), onehot @ table)
    gradient = np.zeros_like(table)
    reference.scatter_add(gradient, ids, rows)
    assert np.allclose(gradient, onehot.T @ rows)
    assert np.allclose(gradient[2], rows[0] + rows[2] + rows[3])


def test_loss_of_a_positive_and_its_negatives_is_their_sum():
    syn0, syn1 = np.array([[0.5, -1.0]]), np.array([[1.0, 1.0], [2.0, 0.0], [-1.0, 3.0]])
    pairs = reference.Pairs(np.zeros(3, int), np.arange(3), np.array([1, 0, 0]), np.ones(3))
    expected = sum(math.log(1 + math.exp(x)) for x in (0.5, 1.0, -3.5))
    assert reference.loss(syn0, syn1, pairs) == pytest.approx(expected)


def test_losses_and_sigmoid_do_not_overflow():
    x = np.array([-1000.0, -20.0, 0.0, 20.0, 1000.0])
    assert np.allclose(reference.sigmoid(x), [0, 2.0611536e-9, 0.5, 1 - 2.0611536e-9, 1])
    assert np.allclose(reference.log_loss(x, np.ones(5)), [1000, 20, math.log(2), 2.0611536e-9, 0], rtol=1e-7)


def test_gradients_are_those_of_central_differences():
    random = np.random.default_rng(2)
    syn0, syn1 = random.normal(size=(6, 5)), random.normal(size=(6, 5))
    seen = random.random((4, 7)) < 0.5
    pairs = reference.tile_pairs(
        random.integers(0, 6, 4), random.integers(0, 6, 7), seen, random.integers(0, 6, 9), negative=5
    )
    for table, gradient in zip((syn0, syn1), reference.gradients(syn0, syn1, pairs), strict=True):
        for at in np.ndindex(table.shape):
            here = table[at]
            losses = []
            for change in (1e-6, -1e-6):
                table[at] = here + change
                losses.append(reference.loss(syn0, syn1, pairs))
            table[at] = here
            assert gradient[at] == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=1e-5, abs=1e-7)


def test_a_negative_that_is_the_centre_is_not_used_for_that_pair():
    seen = np.array([[True, True, False], [True, False, False]])
    pairs = reference.tile_pairs(np.array([9, 8]), np.array([1, 2, 3]), seen, np.array([1, 3]), negative=4)
    assert pairs.weight.tolist() == [1, 1, 1, 2 * 1, 2 * 2, 0, 2 * 1]
    assert pairs.output.tolist() == [1, 2, 1, 1, 3, 1, 3]


def test_softmax_and_its_loss():
    scores = np.array([[0.0, 1.0, 2.0], [1000.0, 0.0, -1000.0]])
    exact = np.exp([0, 1, 2]) / np.exp([0, 1, 2]).sum()
    assert np.allclose(reference.softmax(scores), [exact, [1, 0, 0]])
    assert np.allclose(reference.softmax_loss(scores, np.array([2, 2])), [-math.log(exact[2]), 2000])


# --- models ---


def sentence(architecture, words, window=2):
    """The samples of one sentence whose windows are not shrunk."""
    place = np.arange(len(words))
    return ARCHITECTURES[architecture](np.array(words), np.minimum(place, window), np.minimum(place[::-1], window))


def test_middle_of_a_sentence_of_five_words_is_one_sample_of_cbow_and_four_of_skip_gram():
    words = [7, 8, 9, 10, 11]
    reach = np.array([0, 0, 2, 0, 0])
    cbow = models.cbow_samples(np.array(words), reach, reach)
    assert cbow.target.tolist() == [9] and cbow.context.tolist() == [7, 8, 10, 11] and cbow.contexts().tolist() == [4]
    skip_gram = models.skip_gram_samples(np.array(words), reach, reach)
    assert skip_gram.target.tolist() == [9] * 4 and skip_gram.context.tolist() == [7, 8, 10, 11]
    assert skip_gram.contexts().tolist() == [1] * 4


def test_all_samples_of_a_sentence():
    cbow, skip_gram = sentence("cbow", [3, 4, 5]), sentence("skip_gram", [3, 4, 5])
    assert cbow.target.tolist() == [3, 4, 5] and cbow.context.tolist() == [4, 5, 3, 5, 3, 4]
    assert cbow.sample.tolist() == [0, 0, 1, 1, 2, 2]
    assert skip_gram.target.tolist() == [3, 3, 4, 4, 5, 5] and skip_gram.context.tolist() == cbow.context.tolist()
    assert len(sentence("cbow", [3]).target) == len(sentence("skip_gram", [3]).target) == 0


def test_hidden_vectors_are_mean_or_sum():
    syn0 = np.arange(12.0).reshape(6, 2)
    samples = models.cbow_samples(np.array([0, 1, 5]), np.array([0, 1, 0]), np.array([0, 1, 0]))
    assert models.hidden_vectors(syn0, samples, mean=False).tolist() == [[10, 12]]
    assert models.hidden_vectors(syn0, samples, mean=True).tolist() == [[5, 6]]


def test_loss_of_a_sample_and_k_negatives_is_the_sum_of_their_losses():
    random = np.random.default_rng(3)
    hidden, syn1 = random.normal(size=(1, 4)), random.normal(size=(9, 4))
    whole, *_ = models.decision_loss(hidden, syn1, models.negative_sampling(np.array([2]), np.array([[5, 2, 8, 5]])))
    scores = syn1 @ hidden[0]
    expected = math.log1p(math.exp(-scores[2])) + sum(math.log1p(math.exp(scores[j])) for j in (5, 8, 5))
    assert whole == pytest.approx(expected)  # the negative that is the word itself does not count


def test_probabilities_of_hierarchical_softmax_add_up_to_one():
    random = np.random.default_rng(4)
    counts = random.integers(1, 50, 17)
    hidden, syn1 = random.normal(size=(1, 6)), random.normal(size=(16, 6))
    tree = huffman_tree(counts)
    losses = [
        models.decision_loss(hidden, syn1, models.hierarchical_softmax(np.array([word]), tree))[0] for word in range(17)
    ]
    assert np.exp(-np.array(losses)).sum() == pytest.approx(1)


def test_noise_is_drawn_as_often_as_its_distribution_says():
    noise = noise_distribution(np.array([50, 0, 30, 5]), 0.75)
    uniform = (np.arange(100_000) + 0.5) / 100_000
    drawn = models.draw_noise(uniform.reshape(100, 1000), noise)
    assert drawn.shape == (100, 1000)
    assert np.allclose(np.bincount(drawn.reshape(-1), minlength=4) / 100_000, noise, atol=2e-5)
    assert models.draw_noise(np.array([0.0, np.nextafter(1, 0)]), noise).tolist() == [0, 3]


def model_loss(loss, syn0, syn1, samples, mean, tree, negatives):
    """The loss and its derivatives by syn0 and syn1."""
    hidden = models.hidden_vectors(syn0, samples, mean)
    if loss == "softmax":
        value, by_hidden, by_syn1 = models.class_loss(hidden, syn1, samples.target)
    else:
        decisions = (
            models.negative_sampling(samples.target, negatives)
            if loss == "negative_sampling"
            else models.hierarchical_softmax(samples.target, tree)
        )
        value, by_hidden, by_syn1 = models.decision_loss(hidden, syn1, decisions)
    return value, models.hidden_gradients(syn0, samples, by_hidden, mean), by_syn1


@pytest.mark.parametrize("architecture", ["skip_gram", "cbow"])
@pytest.mark.parametrize("loss", ["negative_sampling", "hierarchical_softmax", "softmax"])
@pytest.mark.parametrize("mean", [True, False])
def test_gradients_of_every_model_are_those_of_central_differences(architecture, loss, mean):
    random = np.random.default_rng(5)
    counts = np.array([9, 7, 5, 3, 2, 1, 1])
    tree = huffman_tree(counts)
    # words occur twice, as contexts and as targets
    samples = sentence(architecture, [0, 5, 1, 0, 6, 2, 0])
    negatives = models.draw_noise(random.random((len(samples.target), 5)), noise_distribution(counts, 0.75))
    syn0, syn1 = random.normal(size=(7, 4)), random.normal(size=(6 if loss == "hierarchical_softmax" else 7, 4))
    arguments = (loss, syn0, syn1, samples, mean, tree, negatives)
    _, *gradients = model_loss(*arguments)
    for table, gradient in zip((syn0, syn1), gradients, strict=True):
        for at in np.ndindex(table.shape):
            here = table[at]
            losses = []
            for change in (1e-6, -1e-6):
                table[at] = here + change
                losses.append(model_loss(*arguments)[0])
            table[at] = here
            assert gradient[at] == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=1e-5, abs=1e-7)


def test_pairs_of_a_tile_are_decisions_of_skip_gram():
    random = np.random.default_rng(6)
    syn0, syn1 = random.normal(size=(8, 3)), random.normal(size=(8, 3))
    samples, negatives = sentence("skip_gram", [1, 2, 3, 1]), random.integers(0, 8, (10, 4))
    decisions = models.negative_sampling(samples.target, negatives)
    hidden = models.hidden_vectors(syn0, samples, mean=False)
    pairs = reference.Pairs(samples.context[decisions.sample], decisions.output, decisions.label, decisions.weight)
    value, by_hidden, by_syn1 = models.decision_loss(hidden, syn1, decisions)
    expected = reference.gradients(syn0, syn1, pairs)
    assert value == pytest.approx(reference.loss(syn0, syn1, pairs))
    assert np.allclose(models.hidden_gradients(syn0, samples, by_hidden, mean=False), expected[0])
    assert np.allclose(by_syn1, expected[1])


def test_words_of_the_window_are_no_negatives():
    words, reach = np.array([1, 2, 3, 4]), np.array([1, 1, 1, 1])
    left, right = np.minimum(reach, range(4)), np.minimum(reach, range(3, -1, -1))
    cbow = models.cbow_samples(words, left, right)
    drawn = np.tile(np.arange(6), (4, 1))
    seen = [{1, 2}, {1, 2, 3}, {2, 3, 4}, {3, 4}]
    assert [set(np.flatnonzero(row)) for row in models.cbow_clashes(cbow, drawn)] == seen
    skip_gram = models.skip_gram_samples(words, left, right)
    clashes = models.skip_gram_clashes(words, left, right, np.tile(np.arange(6), (6, 1)))
    # a context is seen with the centres whose windows have it
    around = {1: {2}, 2: {1, 3}, 3: {2, 4}, 4: {3}}
    assert [set(np.flatnonzero(row)) for row in clashes] == [around[context] for context in skip_gram.context]
    decisions = models.negative_sampling(cbow.target, drawn, models.cbow_clashes(cbow, drawn))
    assert decisions.weight[:7].tolist() == [1, 1.5, 0, 0, 1.5, 1.5, 1.5]


def test_negatives_outside_the_window_are_as_from_the_noise_distribution_without_it():
    random, noise = np.random.default_rng(7), np.array([0.4, 0.3, 0.2, 0.1])
    weights = np.zeros(4)
    for _ in range(4000):
        negatives = models.draw_noise(random.random(8), noise)
        # the row is seen with words 1 and 3, twice with 1
        pairs = reference.tile_pairs(
            np.array([0]), np.array([1, 3, 1, 2]), np.array([[True, True, True, False]]), negatives, 5, True
        )
        np.add.at(weights, pairs.output[3:], pairs.weight[3:])
    assert weights[[1, 3]].tolist() == [0, 0]
    assert weights / 4000 == pytest.approx(3 * 5 * np.array([4, 0, 2, 0]) / 6, rel=0.03, abs=1e-9)


def test_pairs_of_a_tile_without_the_window_are_decisions_of_skip_gram():
    random = np.random.default_rng(8)
    words, negatives = np.array([1, 2, 3, 1, 5]), np.array([2, 0, 4, 3])
    left, right = np.minimum(2, np.arange(5)), np.minimum(2, np.arange(4, -1, -1))
    samples, (centre, around) = models.skip_gram_samples(words, left, right), models.window_pairs(left, right)
    drawn = np.tile(negatives, (len(centre), 1))
    decisions = models.negative_sampling(samples.target, drawn, models.skip_gram_clashes(words, left, right, drawn))
    seen = np.zeros((5, 5), bool)
    seen[around, centre] = True
    pairs = reference.tile_pairs(words, words, seen, negatives, 4, True)
    syn0, syn1 = random.normal(size=(8, 3)), random.normal(size=(8, 3))
    value, by_hidden, by_syn1 = models.decision_loss(syn0[samples.context], syn1, decisions)
    assert value == pytest.approx(reference.loss(syn0, syn1, pairs))
    assert np.allclose(by_syn1, reference.gradients(syn0, syn1, pairs)[1])


def test_step_of_cbow_gives_each_context_what_word2vec_gives_it():
    samples = models.cbow_samples(np.array([0, 1, 2]), np.array([0, 1, 0]), np.array([0, 1, 0]))
    for mean, expected in ((True, -0.1 * 8), (False, -0.1 * 8 / 2)):
        syn0, syn1 = np.zeros((3, 1)), np.zeros((3, 1))
        models.step(syn0, syn1, samples, np.array([[8.0]]), np.ones((3, 1)), 0.1, mean)
        assert syn0[:, 0].tolist() == pytest.approx([expected, 0, expected]) and syn1[:, 0].tolist() == [-0.1] * 3

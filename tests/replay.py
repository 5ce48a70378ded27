"""A model for each loss, and its training by the reference in float64 with the random numbers of the kernels."""

import numpy as np
from replay_sgns import FULL, MASK, Corpus, random_number, strip_of

from w2v_spark.corpus.huffman import huffman_tree
from w2v_spark.corpus.noise import AliasTable
from w2v_spark.kernels import cpu_cbow, cpu_hs
from w2v_spark.kernels import reference_models as models
from w2v_spark.kernels.outputs import Outputs
from w2v_spark.kernels.sizes import MOST_UPDATES, TILE_ROWS

NEGATIVE = 5


class Model(Corpus):
    """A corpus with what any loss needs."""

    def __init__(self, loss, lengths, vocabulary, size, keep=1.0, seed=0):
        super().__init__(lengths, vocabulary, size, keep, seed)
        self.counts = np.arange(vocabulary, 0, -1) ** 2
        self.outputs = Outputs.of_counts(loss, self.counts)
        self.tree = huffman_tree(self.counts)
        if loss == "negative_sampling":
            self.noise = AliasTable(*self.outputs.tables)
        if loss == "hierarchical_softmax":
            self.syn1 = self.syn1[:-1].copy()

    def run(self, kernel, key, step_from=0.05, step_to=0.02):
        steps = (self.keep, self.outputs, step_from, step_to)
        return kernel(self.ids, self.offsets, self.syn0, self.syn1, *steps, key, self.frozen)


class Replay:
    """Trains as a kernel should, by the reference in float64."""

    def __init__(self, architecture, model, window, key, mean, steps, exclude=False):
        self.exclude = exclude
        self.cbow, self.model, self.window, self.mean = architecture == "cbow", model, window, mean
        self.syn0, self.syn1 = model.syn0.astype(np.float64), model.syn1.astype(np.float64)
        self.words, places, self.reach, self.tiles = strip_of(model, window, key)
        last = max(1, len(model.ids) - 1)
        self.steps = [steps[0] + (steps[1] - steps[0]) * place / last for place in places]
        self.noise_key = random_number(key ^ MASK, 0)
        self.samples_trained, self.loss_sum, self.loss_samples, self.measured = 0, 0.0, 0, 0

    def train(self, loss):
        parts = {
            ("negative_sampling", True): self.cbow_negatives,
            ("hierarchical_softmax", True): self.cbow_ways,
            ("hierarchical_softmax", False): self.skip_gram_ways,
            ("softmax", True): self.cbow_softmax,
            ("softmax", False): self.skip_gram_softmax,
        }
        tiles = self.tiles
        if (loss, self.cbow) == ("softmax", False):
            size = max(1, TILE_ROWS // (self.window + 1))
            tiles = [(i, min(i + size, end)) for at, end in self.strips() for i in range(at, end, size)]
        for number, (at, end) in enumerate(tiles):
            parts[loss, self.cbow](number, at, end)
        return len(self.words), self.samples_trained, self.loss_sum, self.loss_samples

    def strips(self):
        """Where the strips start and end: only a strip's last tile is short."""
        ends = [end for at, end in self.tiles if end - at < TILE_ROWS or end == len(self.words)]
        return list(zip([0, *ends[:-1]], ends, strict=True)) if ends else []

    def samples(self, at, end):
        """Samples of the centres from `at` to `end`, and the centres of those that have any."""
        low, high = max(0, at - self.window), min(len(self.words), end + self.window)
        left, right = np.zeros((2, high - low), int)
        for centre in range(at, end):
            first, last = self.reach[centre]
            left[centre - low], right[centre - low] = centre - first, last - centre
        make = models.cbow_samples if self.cbow else models.skip_gram_samples
        return make(self.words[low:high], left, right), [low + i for i in np.flatnonzero(left + right)]

    def count(self, found, every):
        """Count samples; whether their loss is measured."""
        self.samples_trained += found
        self.measured += 1
        if (self.measured - 1) % every:
            return 0
        self.loss_samples += found
        return 1

    def slowed(self, context, at, end, updates):
        """The factors of words that the bag repeats."""
        around = self.words[max(0, at - self.window) : end + self.window]
        times = (context[:, None] == around).sum(1)
        return np.minimum(1, MOST_UPDATES / (times * updates)) if updates else 1.0

    def cbow_negatives(self, number, at, end):
        samples, centres = self.samples(at, end)
        negatives = []
        for j in range(cpu_cbow.NEGATIVES):
            drawn = random_number(self.noise_key, number * cpu_cbow.NEGATIVES + j)
            slot, noise = (drawn >> 32) * len(self.model.keep) >> 32, self.model.noise
            negatives.append(slot if drawn & FULL <= noise.probability[slot] else noise.alias[slot])
        if not centres:
            return
        shares = np.reshape(negatives, (-1, cpu_cbow.SHARE))
        negatives = np.array([shares[(centre - at) % len(shares)] for centre in centres])
        clashes = models.cbow_clashes(samples, negatives) if self.exclude else None
        decisions = models.negative_sampling(samples.target, negatives, clashes)
        decisions.weight[decisions.label == 0] *= NEGATIVE / cpu_cbow.SHARE
        hidden = models.hidden_vectors(self.syn0, samples, self.mean)
        value, by_hidden, by_syn1 = models.decision_loss(hidden, self.syn1, decisions)
        self.loss_sum += self.count(len(centres), cpu_cbow.MEASURED) * value
        self.bag_step(samples, by_hidden, by_syn1, at, end, NEGATIVE + 1)

    def cbow_softmax(self, number, at, end):
        samples, centres = self.samples(at, end)
        if not centres:
            return
        hidden = models.hidden_vectors(self.syn0, samples, self.mean)
        value, by_hidden, by_syn1 = models.class_loss(hidden, self.syn1, samples.target)
        self.loss_sum += self.count(len(centres), 1) * value
        self.bag_step(samples, by_hidden, by_syn1, at, end, 1)

    def step(self, *arguments):
        models.step(self.syn0, self.syn1, *arguments)
        if self.model.frozen is not None:
            self.syn0[self.model.frozen] = self.model.syn0[self.model.frozen]

    def bag_step(self, samples, by_hidden, by_syn1, at, end, decisions):
        step = self.steps[at]
        slowed = self.slowed(samples.context, at, end, step * (self.window + 1) * decisions)
        self.step(samples, by_hidden, by_syn1, step, self.mean, slowed)

    def cbow_ways(self, number, at, end):
        samples, centres = self.samples(at, end)
        if not centres:
            return
        hidden = models.hidden_vectors(self.syn0, samples, self.mean)
        steps = np.zeros_like(hidden)
        for i, centre in enumerate(centres):
            decisions = models.hierarchical_softmax(samples.target[i : i + 1], self.model.tree)
            value, by_hidden, by_syn1 = models.decision_loss(hidden[i : i + 1], self.syn1, decisions)
            self.loss_sum += self.count(1, cpu_hs.MEASURED) * value
            steps[i] = self.steps[centre] * by_hidden[0]
            self.syn1 -= self.steps[centre] * by_syn1
        mean_length = self.model.tree.lengths()[samples.target].mean()
        slowed = self.slowed(samples.context, at, end, self.steps[at] * (self.window + 1) * mean_length)
        self.step(samples, steps, np.zeros_like(self.syn1), 1.0, self.mean, slowed)

    def skip_gram_ways(self, number, at, end):
        for centre in range(at, end):
            samples, centres = self.samples(centre, centre + 1)
            if not centres:
                continue
            step, (first, last) = self.steps[centre], self.reach[centre]
            decisions = models.hierarchical_softmax(samples.target, self.model.tree)
            hidden = models.hidden_vectors(self.syn0, samples, self.mean)
            value, *_ = models.decision_loss(hidden, self.syn1, decisions)
            self.loss_sum += self.count(len(samples.target), cpu_hs.MEASURED) * value
            times = (samples.context[:, None] == self.words[first : last + 1]).sum(1)
            slowed = np.minimum(
                1, MOST_UPDATES / (times * step * np.maximum(1, self.model.tree.lengths()[samples.target]))
            )
            decisions.weight[:] *= slowed[decisions.sample]
            _, by_hidden, by_syn1 = models.decision_loss(hidden, self.syn1, decisions)
            self.step(samples, by_hidden, by_syn1, step, self.mean)

    def skip_gram_softmax(self, number, at, end):
        step, syn0, syn1 = self.steps[at], self.syn0.copy(), self.syn1.copy()
        for context in range(at, end):
            around = range(max(0, context - self.window), min(len(self.words), context + self.window + 1))
            centres = [j for j in around if j != context and self.reach[j][0] <= context <= self.reach[j][1]]
            if not centres:
                continue
            times = (self.words[at:end] == self.words[context]).sum()
            slowed = min(1, MOST_UPDATES / (times * step * (self.window + 1)))
            own = np.full(len(centres), self.words[context])
            samples = models.Samples(self.words[centres], own, np.arange(len(own)))
            value, by_hidden, by_syn1 = models.class_loss(syn0[own], syn1, samples.target)
            self.loss_sum += self.count(len(own), 1) * value
            self.step(samples, by_hidden, by_syn1, step * slowed, self.mean)

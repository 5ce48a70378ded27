"""Skip-gram with negative sampling by the reference in float64, with the random numbers of the kernels."""

from dataclasses import replace
from functools import partial

import numpy as np

from w2v_spark.corpus.noise import alias_table, noise_distribution
from w2v_spark.kernels import reference
from w2v_spark.kernels.cpu import compile_kernel
from w2v_spark.kernels.cpu_strip import STRIP
from w2v_spark.kernels.outputs import Outputs
from w2v_spark.kernels.sizes import MEASURED, MOST_UPDATES, TILE_NEGATIVES, TILE_ROWS, whole_vectors

FULL = 2**32 - 1
MASK = 2**64 - 1

sgns_kernel = partial(compile_kernel, "skip_gram", "negative_sampling")


def random_number(key: int, index: int) -> int:
    """Number `index` of the splitmix64 stream `key`."""
    z = (key + index * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


class Corpus:
    """Sentences and a model to train on them."""

    def __init__(self, lengths, vocabulary, size, keep=1.0, seed=0):
        random = np.random.default_rng(seed)
        self.size = size
        self.ids = random.integers(0, vocabulary, sum(lengths)).astype(np.int32)
        self.offsets = np.cumsum([0, *lengths]).astype(np.int64)
        self.keep = np.full(vocabulary, int(FULL * keep), np.uint32)
        self.noise = alias_table(noise_distribution(np.arange(vocabulary, 0, -1), 0.75))
        self.syn0 = self.matrix(random)
        self.syn1 = self.matrix(random)
        self.frozen = None

    def matrix(self, random):
        matrix = np.zeros((len(self.keep), whole_vectors(self.size)), np.float32)
        matrix[:, : self.size] = random.normal(0, self.size**-0.5, (len(matrix), self.size))
        return matrix

    def negatives(self):
        return Outputs("negative_sampling", len(self.keep), (self.noise.slots,))

    def train(self, kernel, key, step_from=0.05, step_to=0.02):
        tables = (self.keep, self.negatives())
        return kernel(self.ids, self.offsets, self.syn0, self.syn1, *tables, step_from, step_to, key, self.frozen)


def strip_of(corpus, window, key):
    """What subsampling keeps: words, their places, the first and last word in reach as a centre, where tiles start."""
    words, places, reach, starts = [], [], [], [0]
    for start, stop in zip(corpus.offsets, corpus.offsets[1:], strict=False):
        first = len(words)
        if first - starts[-1] >= STRIP:
            starts.append(first)
        for t in range(int(start), int(stop)):
            number = random_number(random_number(key, 0), t)
            if number >> 32 <= corpus.keep[corpus.ids[t]]:
                words.append(corpus.ids[t])
                places.append(t)
                reach.append(1 + ((number & FULL) * window >> 32))
        for i in range(first, len(words)):
            reach[i] = (max(first, i - reach[i]), min(len(words) - 1, i + reach[i]))
    ends = [*starts[1:], len(words)]
    tiles = [
        (at, min(at + TILE_ROWS, end))
        for start, end in zip(starts, ends, strict=True)
        for at in range(start, end, TILE_ROWS)
    ]
    return np.array(words, int), places, reach, tiles


def tile_pairs(corpus, words, reach, rows, number, window, negative, key, exclude=False):
    """The pairs of the contexts words[rows], with the negatives of tile `number`; how many pairs there are."""
    around = np.arange(max(0, rows[0] - window), min(len(words), rows[-1] + window + 1))
    low, high = np.array([reach[j] for j in around]).T
    seen = (low <= rows[:, None]) & (rows[:, None] <= high) & (rows[:, None] != around)
    noise_key, negatives = random_number(key ^ MASK, 0), []
    for j in range(TILE_NEGATIVES):
        drawn = random_number(noise_key, number * TILE_NEGATIVES + j)
        slot = (drawn >> 32) * len(corpus.keep) >> 32
        negatives.append(slot if drawn & FULL <= corpus.noise.probability[slot] else corpus.noise.alias[slot])
    pairs = reference.tile_pairs(words[rows], words[around], seen, np.array(negatives), negative, exclude)
    return pairs, int(seen.sum())


def slowed(pairs, contexts, step, window, negative):
    """The pairs of a tile, with less weight where it repeats a context often."""
    most = MOST_UPDATES / ((window + 1) * (negative + 1) * step) if step else np.inf
    times = (pairs.context[:, None] == contexts).sum(1)
    return replace(pairs, weight=pairs.weight * np.minimum(1, most / times))


def replay(corpus, window, negative, key, step_from=0.05, step_to=0.02, exclude=False):
    """Train as the kernel should, by the reference in float64."""
    syn0, syn1 = corpus.syn0.astype(np.float64), corpus.syn1.astype(np.float64)
    words, places, reach, tiles = strip_of(corpus, window, key)
    total, loss_sum, loss_pairs, measured, last = 0, 0.0, 0, 0, max(1, len(corpus.ids) - 1)
    for number, (at, end) in enumerate(tiles):
        rows = np.arange(at, end)
        pairs, found = tile_pairs(corpus, words, reach, rows, number, window, negative, key, exclude)
        if not found:
            continue
        if measured % MEASURED == 0:
            loss_sum += reference.loss(syn0, syn1, pairs)
            loss_pairs += found
        measured += 1
        total += found
        step = step_from + (step_to - step_from) * places[at] / last
        reference.step(syn0, syn1, slowed(pairs, words[rows], step, window, negative), step)
        if corpus.frozen is not None:
            syn0[corpus.frozen] = corpus.syn0[corpus.frozen]
    return syn0, syn1, (len(words), total, loss_sum, loss_pairs)


def close(before, kernel, exact, rounding=3e-5):
    """Whether the kernel's change is the exact one, to the precision of float32 or another one."""
    error, change = np.linalg.norm(kernel - exact), np.linalg.norm(exact - before)
    return error <= rounding * change + 3e-7 * np.linalg.norm(before)

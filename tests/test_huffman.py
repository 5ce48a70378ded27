"""Huffman codes against word2vec.c's own construction, gensim, and what a Huffman code must be."""

import gzip
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from gensim.models.word2vec import _assign_binary_codes
from hypothesis import given
from hypothesis import strategies as st

from w2v_spark.corpus.huffman import estimated_code_length, huffman_tree

ENGLISH = Path(__file__).parents[2] / "shared" / "data" / "english"


def by_word2vec(counts):
    """Lengths of the codes that CreateBinaryTree of word2vec.c makes for counts that fall, in its own variables."""
    size = len(counts)
    count = [*counts, *[10**15] * size]
    parent, binary = [0] * (2 * size), [0] * (2 * size)
    pos1, pos2 = size - 1, size
    for a in range(size - 1):
        smallest = []
        for _ in range(2):
            if pos1 >= 0 and count[pos1] < count[pos2]:
                smallest.append(pos1)
                pos1 -= 1
            else:
                smallest.append(pos2)
                pos2 += 1
        count[size + a] = count[smallest[0]] + count[smallest[1]]
        parent[smallest[0]] = parent[smallest[1]] = size + a
        binary[smallest[1]] = 1
    ways = []
    for word in range(size):
        code, points, node = [], [], word
        while node != 2 * size - 2:
            code.append(binary[node])
            node = parent[node]
            points.append(node - size)
        ways.append((points[::-1], code[::-1]))
    return ways


def ways_of(tree):
    return [
        (tree.points[a:b].tolist(), tree.codes[a:b].tolist())
        for a, b in zip(tree.starts[:-1], tree.starts[1:], strict=True)
    ]


def gensim_bits(counts):
    vectors = KeyedVectors(1)
    vectors.index_to_key = list(range(len(counts)))
    vectors.key_to_index = {w: w for w in vectors.index_to_key}
    vectors.expandos = {"count": np.array(counts)}
    _assign_binary_codes(vectors)
    return sum(len(code) * count for code, count in zip(vectors.expandos["code"], counts, strict=True))


def check(counts):
    """That the tree for counts that fall is word2vec.c's, a prefix code, and no longer than gensim's."""
    tree = huffman_tree(np.array(counts))
    ways = ways_of(tree)
    assert ways == by_word2vec(counts)
    assert (tree.lengths() * counts).sum() == gensim_bits(counts)
    codes = sorted("".join(map(str, code)) for _, code in ways)
    assert all(not longer.startswith(shorter) for shorter, longer in zip(codes, codes[1:], strict=False))
    # Kraft's sum is one: no branch leads nowhere
    assert sum(2.0 ** -len(code) for code in codes) == 1
    assert tree.points.dtype == np.int32 and tree.codes.dtype == np.uint8 and tree.starts.dtype == np.int64


@given(st.lists(st.integers(1, 30) | st.integers(1, 10**9), min_size=2, max_size=60))
def test_any_counts_that_fall(counts):
    check(sorted(counts, reverse=True))


@given(st.lists(st.integers(1, 5), min_size=1, max_size=30))
def test_counts_in_any_order_with_ties(counts):
    tree, again = huffman_tree(np.array(counts)), huffman_tree(np.array(counts))
    assert ways_of(tree) == ways_of(again)
    order = np.argsort(-np.array(counts), kind="stable")
    in_order = huffman_tree(np.array(counts)[order])
    assert [ways_of(tree)[word] for word in order] == ways_of(in_order)


def test_by_hand():
    tree = huffman_tree(np.array([5, 2, 1, 1]))
    # 1 + 1 make node 0; 2 + 2 make node 1, the inner node first; 4 + 5 make the root
    assert ways_of(tree) == [([2], [1]), ([2, 1], [0, 1]), ([2, 1, 0], [0, 0, 1]), ([2, 1, 0], [0, 0, 0])]


def test_small_and_extreme_vocabularies():
    assert huffman_tree(np.array([], np.int64)).starts.tolist() == [0]
    assert huffman_tree(np.array([3])).starts.tolist() == [0, 0]
    assert ways_of(huffman_tree(np.array([3, 2]))) == [([0], [1]), ([0], [0])]
    deep = huffman_tree(np.array([2**k for k in range(60, -1, -1)]))
    assert deep.lengths().max() == 60
    flat = huffman_tree(np.full(1024, 7))
    assert set(flat.lengths()) == {10}


def test_a_large_vocabulary_takes_seconds_at_most():
    counts = (1e9 / np.arange(1, 300_001)).astype(np.int64)
    tree = huffman_tree(counts)
    mean = (tree.lengths() * counts).sum() / counts.sum()
    share = counts / counts.sum()
    entropy = -(share * np.log2(share)).sum()
    assert entropy <= mean < entropy + 1


def test_building_takes_little_more_than_the_tree():
    counts = (1e9 / np.arange(1, 50_001)).astype(np.int64)
    tracemalloc.start()
    tree = huffman_tree(counts)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 3 * (tree.starts.nbytes + tree.points.nbytes + tree.codes.nbytes)


@pytest.mark.parametrize("exponent", [0.7, 1.0, 1.3])
def test_the_estimate_of_code_lengths_is_seldom_too_low(exponent):
    for words in (1000, 10_000, 100_000):
        counts = (1e12 / np.arange(1, words + 1) ** exponent).astype(np.int64)
        mean = huffman_tree(counts).lengths().mean()
        assert mean <= estimated_code_length(words) < 1.5 * mean
    assert estimated_code_length(1) == estimated_code_length(2) == 2


@pytest.mark.skipif(not (ENGLISH / "part-00.txt.gz").is_file(), reason="no shared/data/english beside the repository")
def test_a_real_vocabulary():
    with gzip.open(ENGLISH / "part-00.txt.gz", "rt") as text:
        words = Counter(word for line in text for word in line.lower().split())
    counts = sorted((count for count in words.values() if count >= 5), reverse=True)
    check(counts)
    mean = huffman_tree(np.array(counts)).lengths().mean()
    assert mean <= estimated_code_length(len(counts)) < 1.5 * mean

"""The Huffman tree over the vocabulary, along which hierarchical softmax tells words apart."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from w2v_spark.array_types import Counts

Nodes = npt.NDArray[np.int64]
Branches = npt.NDArray[np.uint8]

# of 70,000 to 230,000 words of English the codes have 1.20 to 1.26 times log2(words) bits on average, where counts fall
# as 1 / rank**1.3 (of up to a million) 1.31 times
_BITS_OF_A_DOUBLING = 1.4


@dataclass(frozen=True)
class HuffmanTree:
    """Each word's way from the root: the inner nodes that it passes, and the branch that it takes at each.

    Word w passes points[starts[w] : starts[w + 1]], the root first. Inner nodes are numbered as they are made, the
    rarest first: 0 to V - 2, the root last.
    """

    starts: npt.NDArray[np.int64]  # [V + 1]
    points: npt.NDArray[np.int32]  # [bits of all codes together]
    codes: npt.NDArray[np.uint8]  # like points, 0 or 1

    def lengths(self) -> npt.NDArray[np.int64]:
        """The bits of each word's code, int64[V]."""
        return np.diff(self.starts)


def huffman_tree(counts: Counts) -> HuffmanTree:
    """The tree in which frequent words have short ways: no prefix code needs fewer bits for the text (Huffman 1952).

    Nodes, the rarer branch (code 0) and what happens to equal counts are as in word2vec.c, CreateBinaryTree: an inner
    node goes before a word, the last word of those with equal counts before the others.

    Args:
        counts: occurrences of each word, [V], in any order; 0 counts as 1.

    Returns:
        The tree; the one word of a vocabulary of one has no code.
    """
    size = len(counts)
    # words that do not occur would make a chain, as deep as they are many
    weights = np.maximum(np.asarray(counts, np.int64), 1)
    rarest_first = np.argsort(-weights, kind="stable")[::-1]
    parent, branch = _join(weights[rarest_first].tolist())
    node = np.empty(size, np.int64)
    node[rarest_first] = np.arange(size)

    lengths = np.zeros(size, np.int64)
    for words, _, _ in _climb(node, parent, branch):
        lengths[words] += 1
    starts = np.concatenate([[0], np.cumsum(lengths)])
    points, codes = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.uint8)
    # once more rather than from memory: all levels together are three times as large as the tree
    for height, (words, inner, taken) in enumerate(_climb(node, parent, branch), start=1):
        at = starts[words + 1] - height
        points[at], codes[at] = inner, taken
    return HuffmanTree(starts, points, codes)


def estimated_code_length(words: int) -> int:
    """An estimate, rather too high, of the bits that a code has on average in a vocabulary of so many words of natural
    text: every word counts alike here, however often it occurs.
    """
    return math.ceil(_BITS_OF_A_DOUBLING * math.log2(max(2, words)))


def _climb(node: Nodes, parent: Nodes, branch: Branches) -> Iterator[tuple[Nodes, Nodes, Branches]]:
    """All words climb from their nodes towards the root together, until the last is there: at each step those still
    below it, the inner nodes that they come to, and by which branch.
    """
    size = len(node)
    climbing = np.arange(size if size > 1 else 0)
    while len(climbing):
        yield climbing, parent[node] - size, branch[node]
        node = parent[node]
        below = node < 2 * size - 2
        climbing, node = climbing[below], node[below]


def _join(counts: list[int]) -> tuple[Nodes, Branches]:
    """Join the two rarest nodes until one is left.

    Words wait in one queue, inner nodes in another; both rise by count, so that each join takes constant time.

    Args:
        counts: of the words, rising; they are nodes 0 to V - 1.

    Returns:
        For each node but the root its parent (V for the first inner node), and whether it is the more frequent child.
    """
    size = len(counts)
    parent, branch = np.zeros(max(1, 2 * size - 1), np.int64), np.zeros(max(1, 2 * size - 1), np.uint8)
    queued = list(counts)
    word, inner = 0, size
    for new in range(size, 2 * size - 1):
        total = 0
        for bit in (0, 1):
            if word < size and (inner == new or queued[word] < queued[inner]):
                child, word = word, word + 1
            else:
                child, inner = inner, inner + 1
            parent[child], branch[child] = new, bit
            total += queued[child]
        queued.append(total)
    return parent, branch

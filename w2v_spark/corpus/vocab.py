"""Words and their ids: counting, cutting into sentences, and the vectors that words start with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from w2v_spark.corpus.random import GOLDEN, mix64
from w2v_spark.workdir.corpus import packed


def count_words(flat: pa.Array) -> pa.RecordBatch:
    """word, count of the words in one array."""
    counts = flat.value_counts()
    return pa.RecordBatch.from_arrays([counts.field("values"), counts.field("counts")], names=["word", "count"])


def added_up(counts: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """The same as one batch, in which each word is there once."""
    total = pa.Table.from_batches(counts).group_by("word", use_threads=False).aggregate([("count", "sum")])
    return pa.RecordBatch.from_arrays([column.combine_chunks() for column in total.columns], names=["word", "count"])


def encode(ids: npt.NDArray[np.int32], lengths: npt.NDArray[np.int64], max_sentence_length: int) -> pa.Array:
    """Sentences of ids, `packed`.

    `ids` are those of the words of all documents in a row, -1 outside the vocabulary, `lengths` the number of each
    document's words. A document longer than `max_sentence_length` words is split into pieces first; then words outside
    the vocabulary are dropped, and empty pieces.
    """
    known = ids >= 0
    before = np.concatenate(([0], np.cumsum(known)))  # known words before each position
    bounds = np.unique(before[_piece_bounds(lengths, max_sentence_length)])
    return packed(ids[known], bounds)


def _piece_bounds(lengths: npt.NDArray[np.int64], longest: int) -> npt.NDArray[np.int64]:
    """Where pieces of at most `longest` words begin, and where the last ends."""
    starts = np.concatenate(([0], np.cumsum(lengths)))
    pieces = -(-lengths // longest)
    first = np.repeat(starts[:-1], pieces)
    index = np.arange(len(first)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    return np.append(first + index * longest, starts[-1])


def initial_vectors(words: Iterable[str], vector_size: int, seed: int) -> npt.NDArray[np.float32]:
    """Start of syn0 (words x vector_size, float32): uniform in ±0.5/vector_size as word2vec.c, from (seed, word)
    alone.
    """
    salt = seed.to_bytes(8, "little")
    keys = np.array(
        [int.from_bytes(hashlib.blake2b(w.encode(), digest_size=8, salt=salt).digest(), "little") for w in words],
        np.uint64,
    )
    with np.errstate(over="ignore"):
        state = keys[:, None] + GOLDEN * np.arange(1, vector_size + 1, dtype=np.uint64)
        bits = mix64(state) >> np.uint64(40)  # 24 bits: what float32 holds exactly
    return ((bits.astype(np.float32) + np.float32(0.5)) / np.float32(2**24) - np.float32(0.5)) / np.float32(vector_size)

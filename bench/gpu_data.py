"""Corpora in memory: that of a run with --keep-work, the same packed for `gpu.py`, and one drawn by Zipf's law."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

CHUNK_TOKENS = 1 << 24


@dataclass(frozen=True)
class Corpus:
    """Sentences as ids, and the vocabulary."""

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    words: Sequence[str]
    counts: npt.NDArray[np.int64]

    @classmethod
    def of_run(cls, output: str, share: float = 1.0) -> Corpus:
        """The first buckets of a run's encoded corpus, which sentences were dealt to at random: so large a share of its
        words.
        """
        from w2v_spark.place import Place
        from w2v_spark.spark.claim import open_encoded
        from w2v_spark.workdir import CorpusIndex, CorpusReader

        found, parent = open_encoded(Place.open(output))
        vocabulary, index = found.read(), CorpusIndex.read(parent)
        counts = vocabulary["count"].to_numpy()
        reader, wanted, ids, lengths = CorpusReader(parent, index), share * counts.sum(), [], []
        for bucket in index.buckets:
            if sum(map(len, ids)) < wanted:
                some, offsets = reader.sentences(bucket)
                ids.append(np.array(some[offsets[0] : offsets[-1]]))
                lengths.append(np.diff(offsets))
        offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
        return cls(np.concatenate(ids), offsets, vocabulary["word"].to_pylist(), counts)

    def chunks(self, tokens: int = CHUNK_TOKENS) -> Iterator[tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]]:
        """Ids and offsets of whole sentences, about so many tokens at a time."""
        first = 0
        while first < len(self.offsets) - 1:
            last = int(np.searchsorted(self.offsets, self.offsets[first] + tokens, side="right")) - 1
            last = min(max(last, first + 1), len(self.offsets) - 1)
            yield self.ids, self.offsets[first : last + 1]
            first = last

    def head(self, tokens: int) -> Corpus:
        """The first sentences of about so many tokens, with all words."""
        last = int(np.searchsorted(self.offsets, tokens, side="right")) - 1
        offsets = self.offsets[: last + 1]
        ids = self.ids[: offsets[-1]]
        return Corpus(ids, offsets, self.words, np.maximum(1, np.bincount(ids, minlength=len(self.words))))


def pack_corpus(model: str, folder: Path) -> None:
    """Write the encoded corpus of a run's output: ids in two planes, which compress to less than 2 bytes a token."""
    corpus = Corpus.of_run(model)
    planes = {"low": (corpus.ids & 0xFF).astype(np.uint8), "high": (corpus.ids >> 8).astype(np.uint16)}
    np.savez_compressed(folder / "corpus.npz", lengths=np.diff(corpus.offsets).astype(np.int32), **planes)
    vocabulary = [list(corpus.words), corpus.counts.tolist()]
    (folder / "vocabulary.json").write_text(json.dumps(vocabulary), encoding="utf-8")


def read_packed(folder: Path) -> Corpus:
    """What `pack_corpus` wrote."""
    if not (folder / "corpus.npz").exists():
        raise SystemExit(f"error: {folder} holds no packed corpus: make one with bench/gpu.py pack")
    with np.load(folder / "corpus.npz") as packed:
        ids = packed["low"] | (packed["high"].astype(np.int32) << 8)
        offsets = np.concatenate([[0], np.cumsum(packed["lengths"], dtype=np.int64)])
    words, counts = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
    return Corpus(ids.astype(np.int32), offsets, words, np.array(counts, np.int64))


def zipf_corpus(tokens: int, vocabulary: int, seed: int = 1) -> Corpus:
    """Sentences of 20 words, each drawn on its own: word r with a probability that goes with 1 / (r + 2.7)."""
    random = np.random.default_rng(seed)
    total = np.cumsum(1.0 / (np.arange(vocabulary) + 2.7))
    ids = np.empty(tokens, np.int32)
    for at in range(0, tokens, CHUNK_TOKENS):
        part = ids[at : at + CHUNK_TOKENS]
        part[:] = np.minimum(np.searchsorted(total, random.random(len(part)) * total[-1]), vocabulary - 1)
    offsets = np.append(np.arange(0, tokens, 20), tokens).astype(np.int64)
    counts = np.maximum(1, np.bincount(ids, minlength=vocabulary))
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(vocabulary, np.int32)
    rank[order] = np.arange(vocabulary, dtype=np.int32)
    return Corpus(rank[ids], offsets, Names(vocabulary), counts[order])


class Names(Sequence[str]):
    """Names of many words, without a list of them."""

    def __init__(self, count: int):
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, at: Any) -> Any:
        if not 0 <= at < self._count:
            raise IndexError(at)
        return f"w{at}"

"""Encoded text: what a run with --keep-work left, on disk or in memory; packed for `gpu.py`; or drawn by Zipf's law."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from corpus import DOCUMENT_WORDS, SHIFT

from w2v_spark.place import Place
from w2v_spark.workdir.corpus import CorpusIndex, CorpusReader

CHUNK_TOKENS = 1 << 24
# as min_count has it
_RAREST = 5


@dataclass(frozen=True)
class EncodedRun:
    """The encoded corpus of a run with --keep-work: the directory that holds it, its index, and the vocabulary."""

    parent: Place
    index: CorpusIndex
    words: list[str]
    counts: npt.NDArray[np.int64]

    @classmethod
    def open(cls, output: str) -> EncodedRun:
        # imports pyspark, which the machine with the card may lack
        from w2v_spark.spark.run import open_encoded

        found, parent = open_encoded(Place.open(output))
        vocabulary = found.read()
        return cls(parent, CorpusIndex.read(parent), vocabulary["word"].to_pylist(), vocabulary["count"].to_numpy())


@dataclass(frozen=True)
class EncodedText:
    """Sentences in memory, and the vocabulary: sentence i is ids[offsets[i] : offsets[i + 1]], and word j occurs
    counts[j] times, in this text or in a larger one of the same kind.
    """

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    words: Sequence[str]
    counts: npt.NDArray[np.int64]

    @classmethod
    def of_run(cls, output: str, share: float = 1.0) -> EncodedText:
        """The first buckets of a run's encoded corpus, which sentences were dealt to at random: so large a share of its
        words.
        """
        run = EncodedRun.open(output)
        reader, wanted, ids, lengths = CorpusReader(run.parent, run.index), share * run.counts.sum(), [], []
        for bucket in run.index.buckets:
            if sum(map(len, ids)) < wanted:
                some, offsets = reader.sentences(bucket)
                ids.append(np.array(some[offsets[0] : offsets[-1]]))
                lengths.append(np.diff(offsets))
        offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
        return cls(np.concatenate(ids), offsets, run.words, run.counts)

    @classmethod
    def of_zipf(cls, tokens: int, vocabulary: int, shift: float = SHIFT, seed: int = 1) -> EncodedText:
        """Sentences of 20 words, each drawn on its own: word r with a probability that goes with 1 / (r + shift). The
        counts are those of a text so long that the rarest word occurs five times.
        """
        counts = np.ceil(_RAREST * (vocabulary - 1 + shift) / (np.arange(vocabulary) + shift)).astype(np.int64)
        total, draw, ids = np.cumsum(counts), np.random.default_rng(seed), np.empty(tokens, np.int32)
        for at in range(0, tokens, CHUNK_TOKENS):
            part = ids[at : at + CHUNK_TOKENS]
            part[:] = np.searchsorted(total, draw.integers(0, total[-1], len(part)), side="right")
        offsets = np.append(np.arange(0, tokens, DOCUMENT_WORDS), tokens).astype(np.int64)
        return cls(ids, offsets, _Names(vocabulary), counts)

    @classmethod
    def unpack(cls, folder: Path) -> EncodedText:
        """What `pack` wrote."""
        if not (folder / "corpus.npz").exists():
            raise SystemExit(f"error: {folder} holds no packed corpus: make one with bench/gpu.py pack")
        with np.load(folder / "corpus.npz") as packed:
            ids = packed["low"] | (packed["high"].astype(np.int32) << 8)
            offsets = np.concatenate([[0], np.cumsum(packed["lengths"], dtype=np.int64)])
        words, counts = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
        return cls(ids.astype(np.int32), offsets, words, np.array(counts, np.int64))

    def pack(self, folder: Path) -> None:
        """Write ids in two planes, which compress to less than 2 bytes a token, and the vocabulary."""
        planes = {"low": (self.ids & 0xFF).astype(np.uint8), "high": (self.ids >> 8).astype(np.uint16)}
        np.savez_compressed(folder / "corpus.npz", lengths=np.diff(self.offsets).astype(np.int32), **planes)
        vocabulary = [list(self.words), self.counts.tolist()]
        (folder / "vocabulary.json").write_text(json.dumps(vocabulary), encoding="utf-8")

    def chunks(self, tokens: int = CHUNK_TOKENS) -> Iterator[tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]]:
        """Ids and offsets of whole sentences, about so many tokens at a time."""
        first = 0
        while first < len(self.offsets) - 1:
            last = int(np.searchsorted(self.offsets, self.offsets[first] + tokens, side="right")) - 1
            last = min(max(last, first + 1), len(self.offsets) - 1)
            yield self.ids, self.offsets[first : last + 1]
            first = last

    def head(self, tokens: int) -> EncodedText:
        """The first sentences of about so many tokens, with all words."""
        last = int(np.searchsorted(self.offsets, tokens, side="right")) - 1
        offsets = self.offsets[: last + 1]
        ids = self.ids[: offsets[-1]]
        return EncodedText(ids, offsets, self.words, np.maximum(1, np.bincount(ids, minlength=len(self.words))))

    def most_frequent(self, words: int) -> EncodedText:
        """The text with its most frequent words alone."""
        known = self.ids < words
        before = np.concatenate([[0], np.cumsum(known)])
        return EncodedText(self.ids[known], before[self.offsets], self.words[:words], self.counts[:words])


class _Names(Sequence[str]):
    """Names of many words, without a list of them."""

    def __init__(self, count: int):
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, at: Any) -> Any:
        found = range(self._count)[at]
        return [f"w{word}" for word in found] if isinstance(found, range) else f"w{found}"

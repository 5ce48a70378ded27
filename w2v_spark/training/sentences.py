"""Which sentences a replica trains in a round, cut into pieces that its threads take one after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from w2v_spark.corpus.random import random_key
from w2v_spark.training.schedule import Round
from w2v_spark.workdir.corpus import Bucket, CorpusIndex, CorpusReader

# small enough that threads finish together, large enough that a call into the kernel costs nothing
PIECE_WORDS = 1 << 16
# where several threads share a short stretch: so many pieces for each, of no fewer words than this
_PIECES_PER_THREAD = 4
_FEWEST_WORDS = 512


@dataclass(frozen=True)
class Piece:
    """Sentences that one call of the kernel trains; start and stop are positions in epochs, key seeds its random
    numbers.
    """

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    start: float
    stop: float
    key: int


def replica_buckets(index: CorpusIndex, shard: int, num_replicas: int) -> list[Bucket]:
    """The buckets that a replica owns."""
    return [b for b in index.buckets if b.bucket % num_replicas == shard]


def replica_pieces(
    reader: CorpusReader, buckets: list[Bucket], round: Round, seed: int, threads: int = 1
) -> Iterator[Piece]:
    """The replica's pieces of a round, in order: in each epoch its buckets follow one another in an order of that
    epoch's own. Pieces are smaller where so many threads would not all have some.
    """
    total = sum(b.words for b in buckets)
    most = PIECE_WORDS
    if threads > 1:
        share = int((round.stop - round.start) * total) // (threads * _PIECES_PER_THREAD)
        most = min(most, max(_FEWEST_WORDS, share))
    for epoch, start, stop in round.parts():
        low, high = int(start * total), total if stop == 1.0 else int(stop * total)
        at = 0
        for i in np.random.default_rng([seed, epoch]).permutation(len(buckets)):
            bucket = buckets[i]
            if at < high and at + bucket.words > low:
                yield from _bucket_pieces(
                    reader, bucket, low - at, high - at, epoch, at, total, (seed, epoch, round.number), most
                )
            at += bucket.words


def _bucket_pieces(
    reader: CorpusReader,
    bucket: Bucket,
    low: int,
    high: int,
    epoch: int,
    at: int,
    total: int,
    seeds: tuple[int, int, int],
    most: int,
) -> Iterator[Piece]:
    """Pieces of the sentences that begin at words [low, high) of a bucket, itself at word `at` of the replica's
    `total`; of at most so many words, if not of one sentence.
    """
    ids, offsets = reader.sentences(bucket)
    first, last = np.searchsorted(offsets[:-1], [low, high])
    number = 0
    while first < last:
        end = min(last, max(first + 1, int(np.searchsorted(offsets, offsets[first] + most, side="right")) - 1))
        begin, finish = int(offsets[first]), int(offsets[end])
        yield Piece(
            ids[begin:finish],
            offsets[first : end + 1] - begin,
            epoch + (at + begin) / total,
            epoch + (at + finish) / total,
            random_key(*seeds, bucket.bucket, number),
        )
        first, number = end, number + 1


def joined(pieces: Iterator[Piece], words: int) -> Iterator[Piece]:
    """The pieces one after another, several as one while that has at most so many words; its key is the first one's."""
    waiting: list[Piece] = []
    for piece in pieces:
        if waiting and sum(len(p.ids) for p in waiting) + len(piece.ids) > words:
            yield _join(waiting)
            waiting = []
        waiting.append(piece)
    if waiting:
        yield _join(waiting)


def _join(pieces: list[Piece]) -> Piece:
    starts = np.cumsum([0] + [len(p.ids) for p in pieces])
    offsets = [piece.offsets[:-1] + start for piece, start in zip(pieces, starts, strict=False)]
    ids = np.concatenate([p.ids for p in pieces])
    return Piece(ids, np.concatenate([*offsets, starts[-1:]]), pieces[0].start, pieces[-1].stop, pieces[0].key)

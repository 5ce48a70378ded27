"""The encoded corpus: sentences as bytes, the index that tells where each bucket lies, and reading them back."""

from __future__ import annotations

import weakref
from contextlib import ExitStack
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from w2v_spark import store
from w2v_spark.errors import FormatError
from w2v_spark.place import FileEntry, Place
from w2v_spark.workdir import CORPUS, CORPUS_INDEX
from w2v_spark.workdir.row_groups import Ends, groups_with, row_ends


def packed(ids: npt.NDArray[np.int32], bounds: npt.NDArray[np.int64]) -> pa.Array:
    """Sentences ids[bounds[i]:bounds[i + 1]] as one binary value each: int32 little-endian, without a copy where `ids`
    are that.
    """
    offsets = pa.py_buffer((bounds * 4).astype(np.int64))
    data = pa.py_buffer(ids.astype("<i4", copy=False))
    return pa.Array.from_buffers(pa.large_binary(), len(bounds) - 1, [None, offsets, data])


def unpacked(sentences: pa.Array) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Ids of all sentences in a row, and their offsets: sentence i is ids[offsets[i]:offsets[i + 1]]. The inverse of
    `packed`.
    """
    if sentences.type != pa.large_binary():
        sentences = sentences.cast(pa.large_binary())
    _, offset_buffer, data = sentences.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)[sentences.offset : sentences.offset + len(sentences) + 1]
    if not len(sentences) or data is None:
        return np.empty(0, np.int32), np.zeros(1, np.int64)
    raw = memoryview(data)[offsets[0] : offsets[-1]]
    return np.frombuffer(raw, "<i4"), (offsets - offsets[0]) // 4


@dataclass(frozen=True)
class Bucket:
    """Where a bucket's sentences lie, and how many sentences and words they are."""

    bucket: int
    file: int
    sentences: int
    words: int


@dataclass(frozen=True)
class CorpusIndex:
    """The encoded corpus: its files and buckets."""

    files: list[FileEntry]
    buckets: list[Bucket]

    def words(self) -> int:
        return sum(b.words for b in self.buckets)

    def sentences(self) -> int:
        return sum(b.sentences for b in self.buckets)

    def first_rows(self) -> dict[Bucket, int]:
        """The row of its file with which each bucket begins: the rows of a file are sorted by bucket."""
        rows, first = [0] * len(self.files), {}
        for bucket in sorted(self.buckets, key=lambda b: b.bucket):
            first[bucket] = rows[bucket.file]
            rows[bucket.file] += bucket.sentences
        return first

    def write(self, parent: Place) -> None:
        """Commit the corpus: the index is written after the files it names."""
        parent.write_json(
            CORPUS_INDEX,
            {"files": store.files_as_json(self.files), "buckets": [list(asdict(b).values()) for b in self.buckets]},
        )

    @classmethod
    def read(cls, parent: Place) -> CorpusIndex:
        data = parent.read_json(CORPUS_INDEX)
        return cls(store.files_from_json(data["files"]), [Bucket(*b) for b in data["buckets"]])


class CorpusReader:
    """Reads sentences of buckets; keeps the files that it has opened until it goes, and what lies where in them."""

    def __init__(self, parent: Place, index: CorpusIndex):
        self._corpus = parent.child(CORPUS)
        self._index = index
        self._first_rows = index.first_rows()
        self._open: dict[int, tuple[pq.ParquetFile, Ends]] = {}
        self._files = ExitStack()
        weakref.finalize(self, self._files.close)

    def sentences(self, bucket: Bucket) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Ids of a bucket's sentences in a row, and their offsets."""
        entry = self._index.files[bucket.file]
        with store.parquet_errors(self._corpus, entry):
            file, ends = self._file(bucket.file, entry)
            first = self._first_rows[bucket]
            groups = groups_with(ends, range(first, first + bucket.sentences))
            table = file.read_row_groups(list(groups), columns=["bucket", "ids"], use_threads=False)
        rows_before = ends[groups.start - 1] if groups.start else 0
        part = table.slice(first - rows_before, bucket.sentences)
        found = np.count_nonzero(part["bucket"].to_numpy() == bucket.bucket)
        if found != bucket.sentences:
            raise FormatError(
                f"bucket {bucket.bucket} of {self._corpus.uri} has {found} sentences, its index says "
                f"{bucket.sentences}: --overwrite encodes it again"
            )
        return unpacked(part["ids"].combine_chunks())

    def _file(self, number: int, entry: FileEntry) -> tuple[pq.ParquetFile, Ends]:
        if number not in self._open:
            # row groups are small, and read at once
            file = self._files.enter_context(store.opened(self._corpus, entry, buffer_size=0))
            self._open[number] = file, row_ends(file)
        return self._open[number]

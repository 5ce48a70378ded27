"""What lies in OUT/work while a run goes on: the encoded corpus and its index, the model of each round as row blocks,
and the pointer.

work/run.json          the run that has the output, which stages are done and by which run, what the rounds train with
work/lease.json        the run's sign of life
work/TAG/counts/       word, count of every word of the input. TAG is the run that wrote all below it
work/TAG/phrases/PASS/ the pairs that are joined
work/TAG/tokens/       token, count, joined: every word and, joined, every two neighbours, how often each is there, and
                       how often of that as two; while a pass looks for pairs
work/TAG/vocab/        id, word, count and, where words are frozen, frozen: whether a word's row of syn0 stays as it is
work/TAG/corpus/       bucket, words, ids: a row for each sentence, ids as int32 little-endian, in training order
work/TAG/corpus.json   the index: files, and of each bucket its file, sentences and words
work/TAG/rounds/NAME/  the model after a round, partitioned by matrix: block, shard, values (float32, rows x
                       vector_size); metrics beside
work/TAG/model/        what is published, before it moves to OUT
work/metrics/          what each round measured, as JSON
work/CURRENT           the pointer: the round that counts and the one before it, and their files; all other rounds are
                       garbage
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from w2v_spark import store
from w2v_spark.corpus.vocab import decode
from w2v_spark.errors import FormatError, StorageError
from w2v_spark.place import FileEntry, Place

RUN, CURRENT, METRICS = "run.json", "CURRENT", "metrics"
COUNTS, CORPUS, CORPUS_INDEX, ROUNDS = "counts", "corpus", "corpus.json", "rounds"

TAG = re.compile(r"[0-9a-f]{8}")

SYN0, SYN1, ROUND_METRICS = "syn0", "syn1", "metrics"
MATRICES = (SYN0, SYN1)
FROZEN_SCHEMA = store.VOCAB_SCHEMA.append(pa.field("frozen", pa.bool_()))
BLOCK_SCHEMA = pa.schema(
    [("matrix", pa.string()), ("block", pa.int32()), ("shard", pa.int32()), ("values", pa.binary())]
)
# what a replica sends: of a block only the rows that it changed, by how much in half precision, and how many words of
# each it trained
CHANGE_SCHEMA = pa.schema([*BLOCK_SCHEMA, ("rows", pa.binary()), ("counts", pa.binary())])
# the shard number of the model itself, which sorts before all replicas
BASE = -1
# with a JVM of 1 GB, larger blocks run out of memory in Spark's Parquet writer (4 MB) or reader (2 MB)
BLOCK_BYTES = 1 << 20

# int64[row groups, 2]
Spans = npt.NDArray[np.int64]


def rows_per_block(vector_size: int) -> int:
    """How many rows of a matrix travel together."""
    return BLOCK_BYTES // (4 * vector_size)


def block_batch(matrix: str, block: int, shard: int, values: Any) -> pa.RecordBatch:
    """One row of BLOCK_SCHEMA; `values` is anything with a buffer, and is not copied."""
    columns = [pa.array([matrix]), pa.array([block], pa.int32()), pa.array([shard], pa.int32()), _binary(values)]
    return pa.RecordBatch.from_arrays(columns, schema=BLOCK_SCHEMA)


def change_batch(
    matrix: str, block: int, shard: int, values: Any, rows: Any = None, counts: Any = None
) -> pa.RecordBatch:
    """One row of CHANGE_SCHEMA; without `rows` the values are those of all rows of the block, or metrics."""
    columns = block_batch(matrix, block, shard, values).columns
    return pa.RecordBatch.from_arrays([*columns, _binary(rows), _binary(counts)], schema=CHANGE_SCHEMA)


def _binary(values: Any) -> pa.Array:
    if values is None:
        return pa.nulls(1, pa.binary())
    data = pa.py_buffer(values)
    return pa.Array.from_buffers(pa.binary(), 1, [None, pa.py_buffer(np.array([0, data.size], np.int32)), data])


@dataclass(frozen=True)
class Vocabulary:
    """What is known of the vocabulary without reading it: how many words it has, how often they occur in all, the
    directory that holds vocab/, the files there, and how many words are frozen.
    """

    words: int
    total_count: int
    parent: str
    files: tuple[FileEntry, ...]
    frozen: int = 0

    @classmethod
    def from_dict(cls, parent: Place, facts: Mapping[str, Any]) -> Vocabulary:
        files = tuple(store.files_from_json(facts["files"]))
        return cls(facts["words"], facts["total_count"], parent.uri, files, facts["frozen"])

    def to_dict(self) -> dict[str, Any]:
        """All but the directory."""
        files = store.files_as_json(self.files)
        return {"words": self.words, "total_count": self.total_count, "files": files, "frozen": self.frozen}

    def read(self, first: int = 0, stop: int | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        """The words with the ids first..stop, or all: id, word, count and, where words are frozen, frozen (bool), by
        id; or some of these columns. Only what holds them is read.
        """
        stop, schema = self.words if stop is None else stop, self._schema
        names = columns or schema.names
        parts = [schema.empty_table(), *self._parts(first, stop, ["id", *names])]
        return pa.concat_tables([part.select(names) for part in parts])

    def word_arrays(self) -> Iterator[pa.Array]:
        """All words by id, in arrays."""
        for part in self._parts(0, self.words, ["id", "word"]):
            yield part["word"].combine_chunks()

    @property
    def _schema(self) -> pa.Schema:
        return FROZEN_SCHEMA if self.frozen else store.VOCAB_SCHEMA

    def _parts(self, first: int, stop: int, columns: Sequence[str]) -> Iterator[pa.Table]:
        """The rows first..stop, row group by row group: the files hold the words by id."""
        place, at = Place.open(self.parent).child(store.VOCAB), 0
        schema = pa.schema([self._schema.field(name) for name in dict.fromkeys(columns)])
        for entry in self.files:
            with store.opened(place, entry) as file:
                for group in range(file.num_row_groups):
                    rows = file.metadata.row_group(group).num_rows
                    if at < stop and first < at + rows:
                        part = file.read_row_group(group, columns=schema.names).select(schema.names).cast(schema)
                        if not np.array_equal(part["id"].to_numpy(), np.arange(at, at + rows)):
                            raise FormatError(
                                f"{place.uri}/{entry.name} is damaged: its words are not in the order of ids"
                            )
                        yield part.slice(max(0, first - at), min(stop, at + rows) - max(first, at))
                    at += rows


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
    """Reads sentences of buckets; keeps the footers of the files it has opened, and what lies where in them."""

    def __init__(self, parent: Place, index: CorpusIndex):
        self._corpus = parent.child(CORPUS)
        self._index = index
        self._open: dict[int, tuple[pq.ParquetFile, Spans]] = {}

    def sentences(self, bucket: Bucket) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Ids of a bucket's sentences in a row, and their offsets."""
        try:
            file, spans = self._file(bucket.file)
            groups = _groups(spans, range(bucket.bucket, bucket.bucket + 1))
            table = file.read_row_groups(groups, columns=["bucket", "ids"], use_threads=False)
        except StorageError:
            raise
        except (pa.ArrowException, OSError) as e:
            name = self._index.files[bucket.file].name
            raise FormatError(f"{self._corpus.uri}/{name} cannot be read as Parquet: {e}") from e
        column = table["ids"].filter(pc.equal(table["bucket"], bucket.bucket)).combine_chunks()
        if len(column) != bucket.sentences:
            raise FormatError(
                f"bucket {bucket.bucket} of {self._corpus.uri} has {len(column)} sentences, its index says "
                f"{bucket.sentences}: encode again"
            )
        return decode(column)

    def _file(self, number: int) -> tuple[pq.ParquetFile, Spans]:
        if number not in self._open:
            source = self._corpus.open_file(self._index.files[number].name)
            file = pq.ParquetFile(source, page_checksum_verification=True)
            self._open[number] = file, _spans(file)
        return self._open[number]


def _spans(file: pq.ParquetFile) -> Spans:
    """The least and the largest number in the first column of each row group; of any size where it does not tell."""
    spans = np.tile(np.array([0, np.iinfo(np.int64).max]), (file.num_row_groups, 1))
    for group in range(file.num_row_groups):
        statistics = file.metadata.row_group(group).column(0).statistics
        if statistics is not None and statistics.has_min_max:
            spans[group] = statistics.min, statistics.max
    return spans


def _groups(spans: Spans, wanted: range) -> list[int]:
    """The row groups that may hold a wanted number."""
    found: list[int] = np.flatnonzero((spans[:, 0] < wanted.stop) & (spans[:, 1] >= wanted.start)).tolist()
    return found


def _partition(name: str) -> int:
    """The partition that wrote a file, which Spark's writers put into its name."""
    found = re.search(r"(?:^|/)part-(\d+)-[^/]+$", name)
    if found is None:
        raise FormatError(f"{name} does not tell which partition wrote it: expected part-NUMBER-...")
    return int(found[1])


@dataclass(frozen=True)
class Pointer:
    """The round that counts: its number (0 is the start), its directory in work, and the files of each matrix."""

    round: int
    directory: str
    files: dict[str, list[FileEntry]]

    @classmethod
    def of_directory(cls, work: Place, round: int, directory: str) -> Pointer:
        """A pointer to what Spark's committer left in a directory."""
        found = work.child(directory).files()
        return cls(
            round,
            directory,
            {m: [f for f in found if f.name.startswith(f"matrix={m}/")] for m in (*MATRICES, ROUND_METRICS)},
        )

    def move(self, work: Place, before: Pointer | None) -> None:
        """Make this the round that counts; `before` is the one to go back to where its files are damaged."""
        work.write_json(CURRENT, {**self._to_dict(), "before": before and before._to_dict()})

    @classmethod
    def read(cls, work: Place) -> list[Pointer]:
        """The round that counts, then the one before it."""
        data = work.read_json(CURRENT)
        return [cls._from_dict(d) for d in (data, data["before"]) if d]

    def _to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "files": {m: store.files_as_json(files) for m, files in self.files.items()}}

    @classmethod
    def _from_dict(cls, data: dict[str, Any]) -> Pointer:
        files = {m: store.files_from_json(entries) for m, entries in data["files"].items()}
        return cls(data["round"], data["directory"], files)

    def blocks(self, work: Place, matrix: str, wanted: range | None = None) -> Iterator[tuple[int, pa.Buffer]]:
        """Number and values of a matrix's blocks, or of those wanted, file by file."""
        for entry in self.files[matrix]:
            yield from self._read(work, entry, wanted)

    def blocks_of_partition(self, work: Place, partition: int) -> Iterator[tuple[str, int, pa.Buffer]]:
        """Matrix, number and values of the blocks that a partition of the round's job wrote, in their order."""
        for matrix in MATRICES:
            for entry in self.files[matrix]:
                if _partition(entry.name) == partition:
                    yield from ((matrix, block, values) for block, values in self._read(work, entry, None))

    def _read(self, work: Place, entry: FileEntry, wanted: range | None) -> Iterator[tuple[int, pa.Buffer]]:
        with store.opened(work.child(self.directory), entry) as file:
            groups = None if wanted is None else _groups(_spans(file), wanted)
            for batch in file.iter_batches(16, groups, ["block", "values"], use_threads=False):
                for block, values in zip(batch["block"].to_pylist(), batch["values"], strict=True):
                    if wanted is None or block in wanted:
                        yield block, values.as_buffer()

    def read_metrics(self, work: Place) -> list[bytes]:
        """The metrics rows of the round, JSON as bytes."""
        return [bytes(values) for _, values in self.blocks(work, ROUND_METRICS)]

"""The pointer to the round that counts, and reading that round's model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from w2v_spark import store
from w2v_spark.errors import FormatError
from w2v_spark.place import FileEntry, Place
from w2v_spark.workdir import CURRENT
from w2v_spark.workdir.blocks import MATRICES, ROUND_METRICS

NO_WAY_ON = "the unfinished run cannot go on; give --overwrite to begin anew"


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
        """The round that counts, then the one before it; FormatError where nothing tells which they are."""
        try:
            data = work.read_json(CURRENT)
        except FileNotFoundError as e:
            raise FormatError(f"{work.uri}/{CURRENT} is missing: {NO_WAY_ON}") from e
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
        # row groups are a few blocks, and read at once
        with store.opened(work.child(self.directory), entry, buffer_size=0) as file:
            groups = None if wanted is None else _groups_with(file.metadata, wanted)
            for batch in file.iter_batches(1, groups, ["block", "values"], use_threads=False):
                block = batch["block"][0].as_py()
                if wanted is None or block in wanted:
                    yield block, batch["values"][0].as_buffer()

    def read_metrics(self, work: Place) -> list[bytes]:
        """The metrics rows of the round, JSON as bytes."""
        return [bytes(values) for _, values in self.blocks(work, ROUND_METRICS)]


def _groups_with(footer: pq.FileMetaData, wanted: range) -> list[int]:
    """The row groups that may hold a wanted block, by the least and the largest of each, which rounds have Spark write:
    to look into each would be a request to the storage for each.
    """
    spans = [footer.row_group(group).column(0).statistics for group in range(footer.num_row_groups)]
    return [
        group
        for group, span in enumerate(spans)
        if span is None or not span.has_min_max or (span.min < wanted.stop and span.max >= wanted.start)
    ]


def _partition(name: str) -> int:
    """The partition that wrote a file, which Spark's writers put into its name."""
    found = re.search(r"(?:^|/)part-(\d+)-[^/]+$", name)
    if found is None:
        raise FormatError(f"{name} does not tell which partition wrote it: expected part-NUMBER-...")
    return int(found[1])

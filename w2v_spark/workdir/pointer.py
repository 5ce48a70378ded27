"""The pointer to the round that counts, and reading that round's model.

The partitions that write a model deal its blocks in turn: of each matrix partition p of n writes the blocks p, p + n,
p + 2n, ... in this order into a file. So it is known where a block lies, and merges are equally long.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from w2v_spark import store
from w2v_spark.errors import FormatError
from w2v_spark.place import FileEntry, Place
from w2v_spark.threads import side_by_side
from w2v_spark.workdir import CURRENT
from w2v_spark.workdir.blocks import MATRICES, ROUND_METRICS
from w2v_spark.workdir.row_groups import groups_with, row_ends

_METRICS_AT_ONCE = 16
NO_WAY_ON = "the unfinished run cannot go on; give --overwrite to begin anew"


@dataclass(frozen=True)
class Pointer:
    """The round that counts: its number (0 is the start), its directory in work, how many partitions wrote it, and the
    files of each matrix.
    """

    round: int
    directory: str
    partitions: int
    files: dict[str, list[FileEntry]]

    @classmethod
    def of_directory(cls, work: Place, round: int, directory: str, partitions: int) -> Pointer:
        """A pointer to what Spark's committer left in a directory."""
        found = work.child(directory).files()
        files = {m: [f for f in found if f.name.startswith(f"matrix={m}/")] for m in (*MATRICES, ROUND_METRICS)}
        return cls(round, directory, partitions, files)

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
        try:
            return [cls._from_dict(d) for d in (data, data["before"]) if d]
        except (KeyError, TypeError) as e:
            raise FormatError(f"{work.uri}/{CURRENT} is damaged or of another version: {NO_WAY_ON}") from e

    def _to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "files": {m: store.files_as_json(files) for m, files in self.files.items()}}

    @classmethod
    def _from_dict(cls, data: dict[str, Any]) -> Pointer:
        files = {m: store.files_from_json(entries) for m, entries in data["files"].items()}
        return cls(data["round"], data["directory"], data["partitions"], files)

    def blocks(self, work: Place, matrix: str, wanted: range | None = None) -> Iterator[tuple[int, pa.Buffer]]:
        """Number and values of a matrix's blocks, or of those wanted, one file after another."""
        for entry in self.files[matrix]:
            yield from self._blocks_of_file(work, entry, wanted)

    def streams(self, work: Place, matrix: str) -> list[Iterator[tuple[int, pa.Buffer]]]:
        """Number and values of a matrix's blocks, of each file apart: these may be read side by side."""
        return [self._blocks_of_file(work, entry, None) for entry in self.files[matrix]]

    def blocks_of_partition(self, work: Place, partition: int) -> Iterator[tuple[str, int, pa.Buffer]]:
        """Matrix, number and values of the blocks that a partition of the round's job wrote, in their order."""
        for matrix in MATRICES:
            for entry in self.files[matrix]:
                if _partition(entry.name) == partition:
                    yield from ((matrix, *block) for block in self._blocks_of_file(work, entry, None))

    def _blocks_of_file(self, work: Place, entry: FileEntry, wanted: range | None) -> Iterator[tuple[int, pa.Buffer]]:
        partition = _partition(entry.name)
        rows = None if wanted is None else _rows_of(wanted, partition, self.partitions)
        for row, block, values in self._rows(work, entry, rows):
            if block != partition + row * self.partitions:
                raise FormatError(
                    f"{self.directory}/{entry.name} is damaged: row {row} holds block {block}, which partition "
                    f"{partition} of {self.partitions} did not write there"
                )
            yield block, values

    def _rows(self, work: Place, entry: FileEntry, rows: range | None) -> Iterator[tuple[int, int, pa.Buffer]]:
        """Number, block and values of each row of a file, or of these."""
        if rows is not None and not rows:
            return
        # row groups are a few blocks, and read at once
        with store.opened(work.child(self.directory), entry, buffer_size=0) as file:
            ends = row_ends(file)
            groups = range(len(ends)) if rows is None else groups_with(ends, rows)
            row = int(ends[groups.start - 1]) if groups.start else 0
            for batch in file.iter_batches(1, list(groups), ["block", "values"], use_threads=False):
                if rows is None or row in rows:
                    yield row, batch["block"][0].as_py(), batch["values"][0].as_buffer()
                row += 1

    def read_metrics(self, work: Place) -> list[bytes]:
        """The metrics rows of the round, JSON as bytes."""
        streams = [self._rows(work, entry, None) for entry in self.files[ROUND_METRICS]]
        # small files, of which each takes a few answers of the storage
        return [bytes(values) for _, _, values in side_by_side(streams, _METRICS_AT_ONCE)]


def _rows_of(blocks: range, partition: int, partitions: int) -> range:
    """The rows at which a partition's file holds those of the blocks that it has."""
    first, stop = (-(-(block - partition) // partitions) for block in (blocks.start, blocks.stop))
    return range(max(0, first), max(0, stop))


def _partition(name: str) -> int:
    """The partition that wrote a file, which Spark's writers put into its name."""
    found = re.search(r"(?:^|/)part-(\d+)-[^/]+$", name)
    if found is None:
        raise FormatError(f"{name} does not tell which partition wrote it: expected part-NUMBER-...")
    return int(found[1])

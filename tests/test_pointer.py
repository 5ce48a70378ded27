"""Blocks of a round, read from the files that Spark wrote into a run's own directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from w2v_spark.errors import FormatError
from w2v_spark.place import Place
from w2v_spark.workdir import CURRENT
from w2v_spark.workdir.blocks import BASE, SYN0, block_batch
from w2v_spark.workdir.pointer import Pointer


def write_blocks(work: Path, partitions: Sequence[Sequence[int]]) -> None:
    """syn0 of round 1, of which each partition has written these blocks, filled with their numbers."""
    folder = work / "r00001" / f"matrix={SYN0}"
    folder.mkdir(parents=True)
    for part, numbers in enumerate(partitions):
        blocks = [block_batch(SYN0, number, BASE, np.full(3, number, "<f4")) for number in numbers]
        table = pa.Table.from_batches(blocks).drop_columns(["matrix"])
        path = folder / f"part-{part:05d}-x.parquet"
        pq.write_table(table, path, row_group_size=3, write_page_checksum=True, write_statistics=False)


def test_only_the_row_groups_of_wanted_blocks_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_blocks(tmp_path, [range(part, 40, 4) for part in range(4)])
    read, iter_batches = [], pq.ParquetFile.iter_batches

    def noted(self: pq.ParquetFile, size: int, groups: list[int], *columns: list[str], **kwargs: bool) -> object:
        read.append(groups)
        return iter_batches(self, size, groups, *columns, **kwargs)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", noted)
    work = Place.open(tmp_path)
    pointer = Pointer.of_directory(work, 1, "r00001", 4)
    found = [(block, np.frombuffer(values, "<f4")[0]) for block, values in pointer.blocks(work, SYN0, range(9, 12))]
    assert found == [(9, 9.0), (10, 10.0), (11, 11.0)]
    assert read == [[0], [0], [0]], "the first file, which has none of them, is not opened"
    read.clear()
    assert [block for block, _ in pointer.blocks(work, SYN0, range(11, 18))] == [12, 16, 13, 17, 14, 11, 15]
    assert read == [[1], [1], [1], [0, 1]]
    assert sorted(block for block, _ in pointer.blocks(work, SYN0)) == list(range(40))
    assert [block for block, _ in pointer.blocks(work, SYN0, range(39, 50))] == [39]


@pytest.mark.parametrize(
    ("partitions", "where"),
    [([[0, 2], [1, 5]], "00001-x.parquet is damaged: row 1 holds block 5"), ([[1], [0]], "row 0 holds block 1, which")],
)
def test_a_block_that_lies_where_no_merge_puts_it(tmp_path: Path, partitions: list[list[int]], where: str) -> None:
    write_blocks(tmp_path, partitions)
    work = Place.open(tmp_path)
    pointer = Pointer.of_directory(work, 1, "r00001", 2)
    with pytest.raises(FormatError, match=where):
        list(pointer.blocks(work, SYN0))


def test_a_pointer_of_another_version(tmp_path: Path) -> None:
    work = Place.open(tmp_path)
    work.write_json(CURRENT, {"round": 1, "directory": "r00001", "files": {}, "before": None})
    with pytest.raises(FormatError, match="CURRENT is damaged or of another version: the unfinished run cannot"):
        Pointer.read(work)

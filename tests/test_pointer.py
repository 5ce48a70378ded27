"""Blocks of a round, read from the files that Spark wrote into a run's own directory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from w2v_spark.place import Place
from w2v_spark.workdir.blocks import BASE, SYN0, block_batch
from w2v_spark.workdir.pointer import Pointer


@pytest.mark.parametrize("statistics", [True, False])
def test_only_the_row_groups_of_wanted_blocks_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statistics: bool
) -> None:
    folder = tmp_path / "r00001" / f"matrix={SYN0}"
    folder.mkdir(parents=True)
    for part, numbers in enumerate([range(0, 20, 2), range(1, 20, 2)]):
        blocks = [block_batch(SYN0, number, BASE, np.full(3, number, "<f4")) for number in numbers]
        table = pa.Table.from_batches(blocks).drop_columns(["matrix"])
        path = folder / f"part-{part:05d}-x.parquet"
        pq.write_table(table, path, row_group_size=3, write_page_checksum=True, write_statistics=statistics)
    read, iter_batches = [], pq.ParquetFile.iter_batches

    def noted(self: pq.ParquetFile, size: int, groups: list[int], *columns: list[str], **kwargs: bool) -> object:
        read.append(groups)
        return iter_batches(self, size, groups, *columns, **kwargs)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", noted)
    work = Place.open(tmp_path)
    pointer = Pointer.of_directory(work, 1, "r00001")
    found = [(block, np.frombuffer(values, "<f4")[0]) for block, values in pointer.blocks(work, SYN0, range(5, 9))]
    assert found == [(6, 6.0), (8, 8.0), (5, 5.0), (7, 7.0)]
    assert read == ([[1], [0, 1]] if statistics else [[0, 1, 2, 3]] * 2)
    assert sorted(block for block, _ in pointer.blocks(work, SYN0)) == list(range(20))

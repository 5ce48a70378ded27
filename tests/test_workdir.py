"""Blocks of a round and words of a vocabulary, read from the files that Spark wrote into a run's own directory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from w2v_spark.place import Place
from w2v_spark.store import VOCAB, VOCAB_SCHEMA
from w2v_spark.workdir.blocks import BASE, SYN0, block_batch
from w2v_spark.workdir.pointer import Pointer
from w2v_spark.workdir.vocabulary import FROZEN_SCHEMA, Vocabulary


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
    assert read == [[1], [0, 1]]
    assert sorted(block for block, _ in pointer.blocks(work, SYN0)) == list(range(20))


@pytest.mark.parametrize("frozen", [None, [True, False, True, True, False]])
def test_a_vocabulary_is_added_up_from_its_files(tmp_path: Path, frozen: list[bool] | None) -> None:
    schema = VOCAB_SCHEMA if frozen is None else FROZEN_SCHEMA
    columns = {"id": range(5), "word": list("abcde"), "count": [9, 5, 4, 2, 2]} | ({"frozen": frozen} if frozen else {})
    table = pa.table(columns).cast(schema)
    (tmp_path / VOCAB).mkdir()
    for part, rows in enumerate([table.slice(0, 3), table.slice(3)]):
        pq.write_table(rows, tmp_path / VOCAB / f"part-{part}.parquet", row_group_size=2, write_page_checksum=True)
    place = Place.open(tmp_path)
    found = Vocabulary.of_files(place, place.child(VOCAB).files(), schema)
    assert (found.words, found.total_count, found.frozen) == (5, 22, 3 if frozen else 0)
    assert found.read() == table
    assert Vocabulary.from_dict(place, found.to_dict()) == found


def test_a_vocabulary_without_a_word(tmp_path: Path) -> None:
    (tmp_path / VOCAB).mkdir()
    pq.write_table(VOCAB_SCHEMA.empty_table(), tmp_path / VOCAB / "part-0.parquet")
    place = Place.open(tmp_path)
    for files in (place.child(VOCAB).files(), []):
        found = Vocabulary.of_files(place, files, VOCAB_SCHEMA)
        assert (found.words, found.total_count, found.read().num_rows) == (0, 0, 0)

"""Sentences of the encoded corpus: read bucket by bucket from files that stay open, and held against the index."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2v_spark.errors import FormatError
from w2v_spark.place import Place
from w2v_spark.workdir.corpus import Bucket, CorpusIndex, CorpusReader, packed
from w2v_spark.workdir.row_groups import groups_with

BUCKETS = 6


def encoded(folder: Path, statistics: bool = True) -> tuple[Place, CorpusIndex]:
    """A corpus of one file, whose bucket i holds i + 1 sentences of the id i: their lengths are 1, 2, ..."""
    buckets = np.repeat(np.arange(BUCKETS), np.arange(1, BUCKETS + 1))
    lengths = np.concatenate([np.arange(1, i + 2) for i in range(BUCKETS)])
    ids = packed(np.repeat(buckets, lengths).astype(np.int32), np.concatenate(([0], np.cumsum(lengths))))
    table = pa.table(
        {"bucket": buckets.astype(np.int32), "words": lengths.astype(np.int32), "ids": ids.cast(pa.binary())}
    )
    (folder / "corpus").mkdir()
    path = folder / "corpus" / "part-0.parquet"
    pq.write_table(table, path, row_group_size=4, write_page_checksum=True, write_statistics=statistics)
    found = [Bucket(i, 0, i + 1, (i + 1) * (i + 2) // 2) for i in range(BUCKETS)]
    CorpusIndex(Place.open(folder / "corpus").files(), found).write(Place.open(folder))
    return Place.open(folder), CorpusIndex.read(Place.open(folder))


def test_buckets_in_any_order_from_a_file_that_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, index = encoded(tmp_path)
    opened, open_file = [], Place.open_file

    def noted(self: Place, name: str) -> pa.NativeFile:
        opened.append(open_file(self, name))
        return opened[-1]

    monkeypatch.setattr(Place, "open_file", noted)
    reader = CorpusReader(place, index)
    for bucket in (index.buckets[i] for i in (3, 0, 5, 1, 3, 2, 4)):
        ids, offsets = reader.sentences(bucket)
        assert (ids == bucket.bucket).all() and len(ids) == bucket.words
        assert np.diff(offsets).tolist() == list(range(1, bucket.sentences + 1))
    assert [file.closed for file in opened] == [False]
    del reader
    assert opened[0].closed


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("cut", r"part-0\.parquet has 9 bytes, the manifest says \d+ bytes: the directory is damaged"),
        ("missing", r"part-0\.parquet is missing, the manifest says \d+ bytes: the directory is damaged"),
        ("flipped", r"part-0\.parquet cannot be read as Parquet: "),
    ],
)
def test_a_damaged_file_is_told(tmp_path: Path, damage: str, message: str) -> None:
    place, index = encoded(tmp_path)
    path = tmp_path / "corpus" / "part-0.parquet"
    data = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[:9])
    else:
        at = pq.read_metadata(path).row_group(0).column(2).data_page_offset
        data[at : at + 8] = b"\xff" * 8
        path.write_bytes(data)
    with pytest.raises(FormatError, match=message):
        CorpusReader(place, index).sentences(index.buckets[0])


def test_sentences_that_the_index_does_not_know(tmp_path: Path) -> None:
    place, index = encoded(tmp_path)
    told = r"bucket 2 of .* has 3 sentences, its index says 4: --overwrite encodes it again"
    wrong = Bucket(2, 0, 4, 6)
    with pytest.raises(FormatError, match=told):
        CorpusReader(place, replace(index, buckets=[*index.buckets[:2], wrong, *index.buckets[3:]])).sentences(wrong)


def test_sentences_past_the_end_of_a_file(tmp_path: Path) -> None:
    place, index = encoded(tmp_path)
    further = Bucket(BUCKETS, 0, 2, 2)
    told = rf"bucket {BUCKETS} of .* has 0 sentences, its index says 2: --overwrite encodes it again"
    with pytest.raises(FormatError, match=told):
        CorpusReader(place, replace(index, buckets=[*index.buckets, further])).sentences(further)
    further = Bucket(BUCKETS + 1, 0, 30, 30)
    with pytest.raises(FormatError, match="has 0 sentences, its index says 30"):
        CorpusReader(place, replace(index, buckets=[*index.buckets, further])).sentences(further)


@pytest.mark.parametrize("statistics", [True, False])
def test_only_the_row_groups_of_a_bucket_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statistics: bool
) -> None:
    place, index = encoded(tmp_path, statistics)
    read, read_row_groups = [], pq.ParquetFile.read_row_groups

    def noted(self: pq.ParquetFile, groups: list[int], **kwargs: Any) -> pa.Table:
        read.append(groups)
        return read_row_groups(self, groups, **kwargs)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", noted)
    reader = CorpusReader(place, index)
    for bucket in index.buckets:
        reader.sentences(bucket)
    assert read == [[0], [0], [0, 1], [1, 2], [2, 3], [3, 4, 5]]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.integers(0, 45), st.integers(1, 45))
def test_row_groups_of_rows(sizes: list[int], first: int, count: int) -> None:
    held = np.repeat(np.arange(len(sizes)), sizes)[first : first + count].tolist()
    found = groups_with(np.cumsum(sizes), range(first, first + count))
    # those without a row that lie between them cost nothing
    assert [group for group in found if sizes[group]] == sorted(set(held))
    assert not held or found.start == held[0]
    assert first + count > sum(sizes) or found.stop == held[-1] + 1

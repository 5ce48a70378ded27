"""From words to ids and back, and the vectors that words start with."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from w2v_spark.corpus import word_table
from w2v_spark.corpus.vocab import added_up, count_words, encode, initial_vectors
from w2v_spark.corpus.word_table import hash_words, shared_table
from w2v_spark.errors import StorageError
from w2v_spark.workdir.corpus import unpacked

VOCABULARY = ["a", "b", "c"]
words = st.one_of(st.text(min_size=1, max_size=3), st.sampled_from(["a", "é", "日本", "w" * 300]))


@given(st.lists(st.lists(st.sampled_from(["a", "b", "c", "x"]), max_size=12)), st.integers(2, 5))
def test_encode_splits_then_drops_unknown_words(documents: list[list[str]], longest: int) -> None:
    known = np.array([VOCABULARY.index(w) if w in VOCABULARY else -1 for d in documents for w in d], np.int32)
    lengths = np.array([len(d) for d in documents], np.int64)
    pieces = [d[i : i + longest] for d in documents for i in range(0, len(d), longest)]
    expected = [ids for p in pieces if (ids := [VOCABULARY.index(w) for w in p if w in VOCABULARY])]
    ids, offsets = unpacked(encode(known, lengths, longest))
    assert [ids[i:j].tolist() for i, j in zip(offsets[:-1], offsets[1:], strict=True)] == expected


def test_sentences_of_a_slice() -> None:
    sentences = encode(np.array([0, 1, 1, 2], np.int32), np.array([1, 2, 1]), 9).slice(1, 2)
    ids, offsets = unpacked(sentences)
    assert ids.tolist() == [1, 1, 2] and offsets.tolist() == [0, 2, 3]


@pytest.fixture
def local_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that Spark gives an executor."""
    monkeypatch.setenv("SPARK_LOCAL_DIRS", f"{tmp_path / 'local'},{tmp_path / 'other'}")
    return tmp_path / "local"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(vocabulary=st.lists(words, unique=True, min_size=1), asked=st.lists(words))
def test_ids_of_words(local_dir: Path, vocabulary: list[str], asked: list[str]) -> None:
    asked += vocabulary[::2]
    table = shared_table(
        repr(vocabulary), lambda: (pa.array(vocabulary[i : i + 2], pa.string()) for i in range(0, len(vocabulary), 2))
    )
    found = table.ids(pa.array(["?", *asked], pa.string())[1:])
    assert found.tolist() == [vocabulary.index(word) if word in vocabulary else -1 for word in asked]


def test_words_of_one_hash_are_told_apart(local_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_table, "hash_words", lambda words: np.full(len(words), 7, np.uint64))
    table = shared_table("these", lambda: [pa.array(VOCABULARY)])
    assert table.ids(pa.array(["c", "x", "a", "c"])).tolist() == [2, -1, 0, 2]


def test_hashes_are_those_of_words_alone() -> None:
    drawn = [f"word{i}" for i in range(50_000)]
    hashes = hash_words(pa.array(drawn, pa.large_string()))
    assert len(set(hashes.tolist())) == len(drawn)
    assert np.array_equal(hash_words(pa.array(drawn[::-1], pa.large_string())), hashes[::-1])


def test_one_makes_the_table_for_all(local_dir: Path) -> None:
    made = []

    def words_by_id() -> list[pa.Array]:
        made.append(1)
        return [pa.array([f"w{i}" for i in range(100_000)])]

    with ThreadPoolExecutor(3) as pool:
        tables = list(pool.map(lambda _: shared_table("these", words_by_id), range(3)))
    assert [table.ids(pa.array(["w77"])).tolist() for table in tables] == [[77]] * 3 and len(made) == 1
    for content in ("other", "third"):
        shared_table(content, lambda: [pa.array(VOCABULARY)])
    assert len(list((local_dir / "w2v_spark" / "words").iterdir())) == 3  # two tables and the lock


def test_a_disk_that_refuses_the_table_is_a_sentence(local_dir: Path) -> None:
    local_dir.write_text("")
    with pytest.raises(
        StorageError, match=r"^the table of words cannot be written to .*local/w2v_spark/words: .*; it takes about "
    ):
        shared_table("these", lambda: [])


def test_words_that_the_storage_does_not_give_are_no_fault_of_the_disk(local_dir: Path) -> None:
    def words_by_id() -> list[pa.Array]:
        raise StorageError("the words cannot be read")

    with pytest.raises(StorageError, match=r"^the words cannot be read$"):
        shared_table("these", words_by_id)
    assert [path.name for path in (local_dir / "w2v_spark" / "words").iterdir()] == ["lock"]


def test_count_words() -> None:
    counted = count_words(pa.array(["b", "a", "b"])).to_pylist()
    assert sorted((r["word"], r["count"]) for r in counted) == [("a", 1), ("b", 2)]


def test_counts_of_batches_are_added_up() -> None:
    """The null word counts, too: it stands for documents without a word."""
    batches = [count_words(pa.array(words, pa.string())) for words in (["b", "a", None, "b"], [], ["b", None, "c"])]
    rows = {row["word"]: row["count"] for row in added_up(batches).to_pylist()}
    assert rows == {"a": 1, "b": 3, "c": 1, None: 2}
    assert added_up(batches).schema == batches[0].schema


def test_initial_vectors_depend_on_seed_and_word_alone() -> None:
    both, one = initial_vectors(["king", "queen"], 40, 7), initial_vectors(["queen"], 40, 7)
    assert np.array_equal(both[1], one[0])
    assert not np.array_equal(one, initial_vectors(["queen"], 40, 8))
    assert both.dtype == np.float32


def test_initial_vectors_are_uniform() -> None:
    values = initial_vectors([f"w{i}" for i in range(2000)], 50, 1).ravel() * 50
    assert -0.5 < values.min() < -0.499 and 0.499 < values.max() < 0.5
    histogram, _ = np.histogram(values, bins=20, range=(-0.5, 0.5))
    expected = len(values) / 20
    assert ((histogram - expected) ** 2 / expected).sum() < 45  # chi-square, 19 degrees of freedom: p = 0.0007

"""Phrases: the words that gensim's Phrases joins, found by Spark in every kind of input, once."""

from __future__ import annotations

import gzip
import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from gensim.models.phrases import Phrases as GensimPhrases
from interrupted_runs import Interrupted, interrupt

from w2v_spark import store
from w2v_spark.corpus.phrases import Phrases, count_tokens
from w2v_spark.corpus.tokens import flatten, normalize, split_words
from w2v_spark.errors import InputError
from w2v_spark.place import Place
from w2v_spark.spark import count, fit, phrases
from w2v_spark.spark.read import Source
from w2v_spark.spark.session import frame_of, session_of_its_own
from w2v_spark.workdir.corpus import CorpusIndex, CorpusReader

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Sentences = list[list[str]]
# every word is kept, so that sentences can be read back
ALL: dict[str, Any] = {"min_count": 1, "phrase_min_count": 3, "phrase_threshold": 4.0}


def collocations(words: list[str], sentences: int = 3000) -> Sentences:
    """Sentences of rare and frequent words in which some stand together more often than chance has it, some of them in
    chains of three and four, and some after themselves.
    """
    draw = np.random.default_rng(7)
    share = 1 / np.arange(1, len(words) + 1)
    together = [words[i : i + 2 + i % 3] for i in range(5, 60, 6)] + [[words[70], words[70]], [words[71]] * 4]
    made = []
    for _ in range(sentences):
        sentence = draw.choice(words, size=draw.integers(0, 9), p=share / share.sum()).tolist()
        for _ in range(draw.integers(0, 4)):
            at = draw.integers(0, len(sentence) + 1)
            sentence[at:at] = together[draw.integers(0, len(together))]
        made.append(sentence)
    return made


def joined_by_gensim(sentences: Sentences, passes: int, min_count: int, threshold: float) -> Sentences:
    for _ in range(passes):
        found = GensimPhrases(sentences, min_count=min_count, threshold=threshold, delimiter="_")
        sentences = [found[sentence] if sentence else [] for sentence in sentences]
    return sentences


def joined_by_spark(source: Source, output: Path, **params: Any) -> Sentences:
    """The sentences that would be trained, in any order."""
    with fit.prepare(source, output, **params) as run:
        encoded = fit._encoded(run.spark, run.run, run.documents, run.params, run.vocabulary)
    words, index = run.vocabulary.read()["word"].to_pylist(), CorpusIndex.read(encoded.parent)
    reader, found = CorpusReader(encoded.parent, index), []
    for bucket in index.buckets:
        ids, offsets = reader.sentences(bucket)
        found += [[words[i] for i in ids[a:b]] for a, b in zip(offsets[:-1], offsets[1:], strict=True)]
    return found


def in_order(sentences: Sentences) -> Sentences:
    return sorted(sentence for sentence in sentences if sentence)


@pytest.fixture
def text(tmp_path: Path) -> tuple[Source, Sentences]:
    """A file, and its sentences."""
    sentences = collocations([f"w{i}" for i in range(200)])
    path = tmp_path / "text.txt"
    path.write_text("".join(" ".join(sentence) + "\n" for sentence in sentences))
    return Source(paths=(str(path),)), sentences


def test_one_pass_joins_what_gensims_frozen_phrases_join(
    spark: SparkSession, text: tuple[Source, Sentences], tmp_path: Path
) -> None:
    source, sentences = text
    frozen = GensimPhrases(sentences, min_count=3, threshold=4.0, delimiter="_").freeze()
    expected = in_order([frozen[sentence] if sentence else [] for sentence in sentences])
    found = joined_by_spark(source, tmp_path / "out", phrases=1, **ALL)
    assert in_order(found) == expected
    assert sum("_" in word for sentence in found for word in sentence) > 1000


def test_more_passes_give_longer_phrases(spark: SparkSession, text: tuple[Source, Sentences], tmp_path: Path) -> None:
    source, sentences = text
    found = joined_by_spark(source, tmp_path / "out", phrases=3, **ALL)
    assert in_order(found) == in_order(joined_by_gensim(sentences, 3, 3, 4.0))
    assert max(word.count("_") for sentence in found for word in sentence) == 3


def test_lists_of_words_that_hold_the_joint_themselves(spark: SparkSession, tmp_path: Path) -> None:
    names = [f"w{i}" for i in range(20)]
    sentences = collocations([*names, *(f"{a}_{b}" for a in names for b in names[:6]), "_", "__", "_w1", "w2_"])
    frame = spark.createDataFrame(pa.table({"words": sentences}))
    found = joined_by_spark(Source(dataframe=frame), tmp_path / "out", phrases=2, **ALL)
    assert in_order(found) == in_order(joined_by_gensim(sentences, 2, 3, 4.0))


@pytest.mark.slow
def test_the_same_phrases_whatever_the_splits(
    spark: SparkSession, text: tuple[Source, Sentences], tmp_path: Path
) -> None:
    whole = joined_by_spark(text[0], tmp_path / "whole", phrases=2, **ALL)
    spark.conf.set("spark.sql.files.maxPartitionBytes", "4096")
    try:
        split = joined_by_spark(text[0], tmp_path / "split", phrases=2, **ALL)
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
    assert split == whole


def test_an_interrupted_run_does_no_pass_again(
    spark: SparkSession,
    text: tuple[Source, Sentences],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    source, sentences = text
    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        calls = itertools.count()
        interrupt(patched, phrases, "_write_pass", lambda *_: next(calls) > 0)
        joined_by_spark(source, tmp_path / "out", phrases=2, **ALL)
    with monkeypatch.context() as patched, pytest.raises(Interrupted), caplog.at_level(logging.INFO, "w2v_spark"):
        interrupt(patched, count, "write_vocabulary", lambda *_: True)
        joined_by_spark(source, tmp_path / "out", phrases=2, **ALL)
    assert "reuse from an earlier run: phrases-1" in caplog.messages and "pass 2 found" in caplog.text
    with monkeypatch.context() as patched:
        patched.setattr(phrases, "_write_pass", None)
        patched.setattr(count, "write_counts", None)
        found = joined_by_spark(source, tmp_path / "out", phrases=2, **ALL)
    assert in_order(found) == in_order(joined_by_gensim(sentences, 2, 3, 4.0))
    assert not list((tmp_path / "out").rglob("tokens"))


@pytest.mark.parametrize(
    "settings",
    [
        ((2, 4.0), (1, 400.0)),
        pytest.param(((2, 4.0), (2, 400.0), (0, 400.0), (1, 4.0)), marks=pytest.mark.slow),
    ],
)
def test_other_settings_find_other_phrases_on_the_same_output(
    spark: SparkSession, text: tuple[Source, Sentences], tmp_path: Path, settings: tuple[tuple[int, float], ...]
) -> None:
    source, sentences = text
    for passes, threshold in settings:
        found = joined_by_spark(source, tmp_path / "out", phrases=passes, **ALL | {"phrase_threshold": threshold})
        assert in_order(found) == in_order(joined_by_gensim(sentences, passes, 3, threshold))


@pytest.mark.parametrize("kind", ["text", "lists"])
def test_a_session_with_large_types_of_arrow(
    spark: SparkSession, text: tuple[Source, Sentences], tmp_path: Path, kind: str
) -> None:
    source, sentences = text
    large = session_of_its_own(spark, {"spark.sql.execution.arrow.useLargeVarTypes": "true"})
    if kind == "lists":
        source = Source(dataframe=frame_of(large, pa.table({"words": sentences})))
    found = joined_by_spark(source, tmp_path / "out", phrases=2, spark=large, **ALL)
    assert in_order(found) == in_order(joined_by_gensim(sentences, 2, 3, 4.0))


def test_more_phrases_than_a_task_holds(
    spark: SparkSession, text: tuple[Source, Sentences], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phrases, "_MOST_PHRASES", 5)
    with pytest.raises(InputError, match=r"pass 1 finds \d+ phrases, more than the 5 .*: raise --phrase-threshold"):
        joined_by_spark(text[0], tmp_path / "out", phrases=1, **ALL)


def test_an_empty_input_is_told(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(InputError, match="the input is empty: it has no words"):
        joined_by_spark(Source(paths=(str(tmp_path / "empty.txt"),)), tmp_path / "out", phrases=2)


def test_a_text_without_phrases_is_left_as_it_is(
    spark: SparkSession, text: tuple[Source, Sentences], tmp_path: Path
) -> None:
    source, sentences = text
    found = joined_by_spark(source, tmp_path / "out", phrases=2, **{**ALL, "phrase_threshold": 1e9})
    assert in_order(found) == in_order(sentences)


def test_empty_documents(tmp_path: Path) -> None:
    lengths = np.array([0, 1, 0, 3, 0])
    flat = pa.array(["a", "b", "b", "b"])
    [batch] = count_tokens(flat, lengths)
    counted = [tuple(row.values()) for row in batch.to_pylist()]
    assert sorted(counted) == [("a", 1, 0), ("b", 3, 0), ("b_b", 2, 2)]
    word = pa.chunked_array([["b"]])
    Phrases.write(tmp_path, word, word)
    words, left = Phrases(tmp_path).join(flat, lengths)
    assert (words.to_pylist(), left.tolist()) == (["a", "b_b", "b"], [0, 1, 0, 2, 0])
    words, left = Phrases(tmp_path).join(flat.slice(0, 1), np.array([0, 1]))
    assert (words.to_pylist(), left.tolist()) == (["a"], [0, 1])
    assert list(count_tokens(flat.slice(0, 0), np.zeros(2, np.int64))) == []


def first_lines(path: Path, size: int) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        while size > 0 and (line := file.readline()):
            size -= len(line)
            yield line


def test_new_york_is_found(spark: SparkSession, shared: Path, tmp_path: Path) -> None:
    lines = list(first_lines(sorted((shared / "data" / "english").glob("*.txt.gz"))[0], 1_000_000))
    (tmp_path / "text.txt").write_text("".join(lines), encoding="utf-8")
    source = Source(paths=(str(tmp_path / "text.txt"),))
    found = joined_by_spark(source, tmp_path / "out", phrases=1, min_count=1, max_sentence_length=1_000_000)
    flat, lengths = flatten(split_words(normalize(pa.array(lines), lowercase=True)))
    sentences = [part.tolist() for part in np.split(np.array(flat.to_pylist(), object), np.cumsum(lengths)[:-1])]
    assert in_order(found) == in_order(joined_by_gensim(sentences, 1, 5, 10.0))
    assert "new_york" in {word for sentence in found for word in sentence}


class Tokenised:
    """The sentences of files, read anew each time, a file at a time."""

    def __init__(self, files: list[Path]):
        self.files = files

    def __iter__(self) -> Iterator[list[str]]:
        for path in self.files:
            with gzip.open(path, "rt", encoding="utf-8") as file:
                flat, lengths = flatten(split_words(normalize(pa.array(file.readlines()), lowercase=True)))
            start = 0
            for length in lengths.tolist():
                yield flat.slice(start, length).to_pylist()
                start += length


@pytest.mark.slow
def test_the_phrases_of_a_whole_corpus_are_gensims(spark: SparkSession, shared: Path, tmp_path: Path) -> None:
    files = sorted((shared / "data" / "english").glob("*.txt.gz"))
    source = Source(paths=tuple(map(str, files)))
    with fit.prepare(source, tmp_path / "out", phrases=1, max_sentence_length=1_000_000) as run:
        [table] = phrases.phrase_tables(run.run, 1)
    pairs = store.read_files(Place.open(table.parent), table.files)
    found = {f"{a}_{b}" for a, b in zip(pairs["first"].to_pylist(), pairs["second"].to_pylist(), strict=True)}
    expected = GensimPhrases(Tokenised(files), min_count=5, threshold=10.0, delimiter="_").export_phrases()
    assert found == set(expected) and len(found) > 50_000
    assert {"new_york", "los_angeles"} <= found

"""Input that nobody would make on purpose, counted in Spark: bytes, nulls, wrong types, damage, names of files."""

from __future__ import annotations

import gzip
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_hostile_text import SMALL, put, raw_texts

import w2v_spark
from w2v_spark.errors import InputError
from w2v_spark.spark import fit
from w2v_spark.spark.read import Source, read_documents
from w2v_spark.spark.word_list import WordList
from w2v_spark.vectors.vectors import Vectors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

GOOD = b"some words in a line of text\n"


def put_parquet(path: Path, **columns: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def counted(spark: SparkSession, tmp_path: Path, path: Path | str, column: str | None = None) -> dict[str, int]:
    """Every word of an input with its count, as a run counts it."""
    output = tmp_path / "counted" / str(len(list(tmp_path.glob("counted/*"))))
    output.parent.mkdir(exist_ok=True)
    with fit.prepare(Source(paths=(str(path),), column=column), output, spark=spark, **SMALL) as prepared:
        rows = prepared.vocabulary.read().to_pylist()
    return {row["word"]: row["count"] for row in rows}


NESTED = pa.array([["a", None, "b"], None, [], [None], ["c", ""]], pa.list_(pa.string()))
SKIPPED = "3 of 5 documents (60.0 %) are null, empty or without a word, and are skipped"


@pytest.mark.parametrize("texts", [pa.array(["a b", None, "", "c", "-"]), NESTED], ids=["text", "words"])
def test_nulls_are_skipped_and_told(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture, texts: pa.Array
) -> None:
    caplog.set_level(logging.INFO, "w2v_spark")
    path = put_parquet(tmp_path / "in.parquet", text=texts)
    assert counted(spark, tmp_path, path) == {"a": 1, "b": 1, "c": 1}
    assert SKIPPED in caplog.messages


def test_words_that_are_not_utf8(spark: SparkSession, tmp_path: Path) -> None:
    words = pa.ListArray.from_arrays(pa.array([0, 2], pa.int32()), raw_texts([b"a\xffb", b"fine"]))
    assert counted(spark, tmp_path, put_parquet(tmp_path / "in.parquet", words=words)) == {"a\ufffdb": 1, "fine": 1}


def test_latin_1_is_told(spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = put(tmp_path / "in.txt", "only one of many words is a café\n".encode("latin-1"))
    assert counted(spark, tmp_path, path)["caf"] == 1
    told = "% of the characters that the input begins with are NUL or not UTF-8; no word holds them"
    assert any(message.endswith(told) for message in caplog.messages)


NOT_UTF8 = "the input is not UTF-8 text: {} % of the characters that it begins with are NUL or cannot be read; convert"
NO_WORDS = "the input is empty: it has no words; check its text, the column (--column) and the tokenizer (--tokenizer)"


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("utf16.txt", ("some text\n" * 9).encode("utf-16"), NOT_UTF8.format(53)),
        ("latin.txt", ("là où été âgé\n" * 9).encode("latin-1"), NOT_UTF8.format(46)),
        ("packed.txt", gzip.compress(os.urandom(900)), "it begins as gzip does: give files of gzip names that end in"),
        ("archive.bin", bytes(range(256)) * 9, NOT_UTF8.format(51)),
        ("empty.txt", b"", NO_WORDS),
        ("blank.txt", b"\n \n\t\r\n..\n", NO_WORDS),
        ("header.csv", b"text,other\n", NO_WORDS),
        ("cut.txt.gz", gzip.compress(os.urandom(4000))[:2000], "(Unexpected end of input stream)"),
        ("cut.txt.bz2", b"BZh91AY&SY", "(unexpected end of stream)"),
        ("no.txt.gz", GOOD, "(not a gzip file)"),
        ("no.txt.zst", GOOD, ("(Unknown frame descriptor)", "built without zstd support")),
        ("no.parquet", GOOD, "is not a Parquet file. Expected magic number at tail, but found [101, 120, 116, 10])"),
        ("empty.parquet", b"", ("Unable to infer schema for Parquet. It must be", "(length is too low: 0)")),
        ("no.json", b"nope\n", "which column holds the text? give column (--column); the json has: _corrupt_record"),
        ("a:b.txt", GOOD, "Relative path in absolute URI: a:b.txt; Hadoop knows no names with a colon, rename it"),
    ],
)  # fmt: skip
def test_files_that_hold_no_text(
    spark: SparkSession, tmp_path: Path, name: str, data: bytes, message: str | tuple[str, str]
) -> None:
    path = put(tmp_path / name, data)
    with pytest.raises(InputError) as error:
        counted(spark, tmp_path, path, "text" if name.endswith(".csv") else None)
    # Spark's newest words, or those of 4.0
    words = [message] if isinstance(message, str) else message
    assert any(w in str(error.value) for w in words) and "\n" not in str(error.value)


WHICH = "which column holds the text? give column (--column); the parquet has: text ({})"


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (pa.array([1, 2]), WHICH.format("bigint")),
        (pa.array([[["a"]]]), WHICH.format("array<array<string>>")),
        (pa.array([b"a\xff"]), WHICH.format("binary")),
        (pa.array([{"a": "b"}]), WHICH.format("struct<a:string>")),
        (pa.array([None, None], pa.string()), NO_WORDS),
        (pa.array([], pa.string()), NO_WORDS),
    ],
    ids=["integers", "lists of lists", "bytes", "structs", "nulls", "no rows"],
)
def test_columns_that_hold_no_text(spark: SparkSession, tmp_path: Path, texts: pa.Array, message: str) -> None:
    with pytest.raises(InputError) as error:
        counted(spark, tmp_path, put_parquet(tmp_path / "in.parquet", text=texts))
    assert str(error.value) == message


def test_parquet_of_two_minds_and_flipped_bits(spark: SparkSession, tmp_path: Path) -> None:
    whole = put_parquet(tmp_path / "two" / "a.parquet", text=["a b"]).read_bytes()
    put_parquet(tmp_path / "two" / "b.parquet", text=[1])
    with pytest.raises(InputError, match=r"Expected Spark type string, actual Parquet type INT64"):
        counted(spark, tmp_path, tmp_path / "two")
    for at in (4, 20, len(whole) - 6):
        path = put(tmp_path / "flipped.parquet", whole[:at] + b"\xff\xff" + whole[at + 2 :])
        try:
            counted(spark, tmp_path, path)
        except InputError as e:
            assert str(e).startswith("Spark cannot read the input") and "\n" not in str(e)


def test_json_that_is_partly_broken(spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "w2v_spark")
    lines = ['{"text": "a b"}', "not json", '{"text": null}', '{"text": 1}', '{"other": "c"}']
    assert counted(spark, tmp_path, put(tmp_path / "in.json", "\n".join(lines).encode()), "text") == {
        "a": 1,
        "b": 1,
        "1": 1,
    }
    assert SKIPPED in caplog.messages


# ---- names of files


BLANK = "is blank, as of an unset variable: give the path of a file or a folder"
NOT_UTF8_PATH = "is not UTF-8, which Spark needs: rename it"


@pytest.mark.parametrize(
    ("path", "message"), [("", BLANK), (" ", BLANK), ("\udcff", NOT_UTF8_PATH), ("\ud800", NOT_UTF8_PATH)]
)
def test_paths_that_are_none(spark: SparkSession, path: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        read_documents(spark, Source(paths=("good.txt", path)))
    assert str(error.value) == f"input path {path!r} {message}"


@pytest.mark.parametrize(
    ("option", "what"),
    [("output", "output directory"), ("vocab", "vocabulary file"), ("start_from", "model to start from")],
)
def test_a_blank_path_is_not_the_working_directory(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    put(Path("in.txt"), GOOD)
    with pytest.raises(InputError) as error:
        w2v_spark.train("in.txt", **{"output": "out", option: ""}, **SMALL)
    assert str(error.value) == f"{what} '' {BLANK}" and os.listdir() == ["in.txt"]
    with pytest.raises(InputError, match="^file of words to freeze ' ' is blank"):
        WordList.open(spark, " ", "file of words to freeze")


def test_a_pattern_that_is_a_name(spark: SparkSession, tmp_path: Path) -> None:
    def lines(path: Path) -> list[str]:
        return [row[0] for row in read_documents(spark, Source(paths=(str(path),))).frame.collect()]

    for name in ("a[1].txt", "a1.txt", "b{2}.txt", "c*.txt", "c2.txt", "d\\e.txt", "f?.txt", "g/[h]/i.txt"):
        assert lines(put(tmp_path / name, name.encode())) == [name]
    assert lines(tmp_path / "g" / "[h]") == ["g/[h]/i.txt"]
    assert sorted(lines(tmp_path / "c*")) == ["c*.txt", "c2.txt"]
    with pytest.raises(InputError, match=r"x\[1\]\.txt does not exist$"):
        lines(tmp_path / "x[1].txt")


def test_odd_names_of_folders(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder, output = "-a b'c\"d#1%20%é日\n[2]{3}*?\\e", "-out b'c\"d#1%20%é日\n"
    put(Path(folder) / "line\nend.txt", b"some words\n")
    put(Path(folder) / "a b [1].txt", b"some more\n")
    trained = w2v_spark.train(folder, output, **SMALL)
    assert trained.wv.index_to_key == ["some", "more", "words"]
    assert Vectors.open(output).index_to_key == ["some", "more", "words"]


# ---- vocabulary files


def test_a_word_is_the_first_of_its_line(spark: SparkSession, tmp_path: Path) -> None:
    path = put(tmp_path / "words.txt", "\ufeff\tbegun 3\n\ttab\n \t both\tx\nplain \n\t\n\n".encode())
    assert words_in(spark, path) == ["begun", "both", "plain", "tab"]


def words_in(spark: SparkSession, path: Path) -> list[str]:
    return sorted(row[0] for row in WordList.open(spark, str(path), "vocabulary file").words(spark).collect())


def test_where_a_list_of_words_may_lie(spark: SparkSession, tmp_path: Path) -> None:
    assert words_in(spark, put(tmp_path / "voc[1].txt", b"one\ntwo\n")) == ["one", "two"]
    model = w2v_spark.train(put(tmp_path / "in.txt", GOOD), tmp_path / "out", **SMALL)
    words = sorted(model.wv.index_to_key)
    # a model, its vocabulary, and Parquet whatever its folder is called
    assert words_in(spark, tmp_path / "out") == words_in(spark, tmp_path / "out" / "vocab") == words
    assert words_in(spark, tmp_path / "out" / "vectors") == words
    (tmp_path / "out").rename(tmp_path / "out[2]")
    assert words_in(spark, tmp_path / "out[2]") == words


def test_a_list_is_known_by_its_words(spark: SparkSession, tmp_path: Path) -> None:
    lists = [put(tmp_path / "words.txt", text) for text in (b"a\nb\n", b"b\na\n\na\n")]
    same = {WordList.open(spark, str(path), "vocabulary file").identity for path in lists}
    assert len(same) == 1
    put(tmp_path / "words.txt", b"a\nc\n")
    assert WordList.open(spark, str(tmp_path / "words.txt"), "vocabulary file").identity not in same


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "vocabulary file {} is empty: it needs a word a line"),
        (b"unknown\n", "no word of {} occurs in the input; check the file and --lowercase"),
        (
            b"\xff\xfe\n\0\n",
            "vocabulary file {} is no list of words: 2 of 2 have NUL or bytes that are no UTF-8; give text with a word "
            "a line, Parquet with a column 'word', or the output of a training run",
        ),
        (None, "column 'word' of {} is of type array<string>: must be string"),
    ],
    ids=["empty", "unknown", "bytes", "lists"],
)
def test_hostile_vocabularies(spark: SparkSession, tmp_path: Path, data: bytes | None, message: str) -> None:
    path = tmp_path / ("words.txt" if data is not None else "words.parquet")
    put(path, data) if data is not None else put_parquet(path, word=[["a"]])
    with pytest.raises(InputError) as error:
        w2v_spark.train(put(tmp_path / "in.txt", GOOD), tmp_path / "out", vocab=path, **SMALL)
    assert str(error.value) == message.format(path)

"""Reading the input: which files count, what their names tell, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import ROOT
from pyspark.sql.types import StringType, StructField, StructType

import w2v_spark
from w2v_spark.errors import InputError
from w2v_spark.spark import read
from w2v_spark.spark.read import Source, read_documents, source_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# not files of the input, whatever their names tell
HIDDEN = ("_SUCCESS", ".part.json.crc", "_temporary/0/part.json", "_delta_log/0.json", ".hidden/part.csv")


def put(directory: Path, *names: str) -> Path:
    """A file of one line at each name."""
    for name in names:
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'{{"body": "{Path(name).name}"}}\n')
    return directory


def documents(spark: SparkSession, *paths: Path, column: str | None = None, format: str | None = None) -> list[str]:
    source = Source(paths=tuple(map(str, paths)), column=column, format=format)
    return sorted(row[0] for row in read_documents(spark, source).frame.collect())


def refusal(spark: SparkSession, path: Path | str) -> str:
    with pytest.raises(InputError) as caught:
        read_documents(spark, Source(paths=(str(path),)))
    return str(caught.value)


def test_a_partitioned_table_is_known_by_its_leaves(spark: SparkSession, tmp_path: Path) -> None:
    frame = spark.createDataFrame([("one", 1, "x"), ("two", 2, "y")], "body string, day int, lang string")
    for kind in ("parquet", "json", "csv"):
        frame.write.partitionBy("day", "lang").option("header", True).format(kind).save(str(tmp_path / kind))
        assert documents(spark, tmp_path / kind, column="body") == ["one", "two"]
    frame.select("body", "day").write.partitionBy("day").text(str(tmp_path / "text"))
    assert documents(spark, tmp_path / "text") == ["one", "two"]


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (["a.txt", "b", "c.md", "d.txt.gz"], "text"),
        (["A.PARQUET", "b.snappy.parquet"], "parquet"),
        (["a.json", "b.jsonl.gz", "c.ndjson.zst"], "json"),
        (["a.csv.bz2"], "csv"),
        ([], "text"),
    ],
)
def test_names_tell_the_format(files: list[str], kind: str) -> None:
    assert read._guess_format(files) == kind


def test_what_spark_skips_tells_nothing(spark: SparkSession, tmp_path: Path) -> None:
    put(tmp_path, "a.txt", *HIDDEN)
    assert documents(spark, tmp_path) == ['{"body": "a.txt"}']
    put(tmp_path / "folders", "b.txt", "more/c.json")
    assert documents(spark, tmp_path / "folders") == ['{"body": "b.txt"}']
    put(tmp_path / "table", "deep/day=1/hour=_/x/d.json", "deep/day=2/hour=3/e.json", "deep/NOTES")
    assert documents(spark, tmp_path / "table", column="body") == ["d.json", "e.json"]


def test_a_mixture_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    put(tmp_path, "b.txt", "a.json")
    assert refusal(spark, tmp_path) == "the input mixes formats: a.json is json, b.txt is text; give format (--format)"
    assert documents(spark, tmp_path, format="text") == ['{"body": "a.json"}', '{"body": "b.txt"}']
    assert documents(spark, tmp_path, format="json") == ["a.json", "b.txt"]


def test_paths_without_files(spark: SparkSession, tmp_path: Path) -> None:
    put(tmp_path, "years/2024/a.txt", "years/2025/b.txt", "hidden/_SUCCESS", "hidden/.a.txt")
    years, hidden = f"file:{tmp_path}/years", f"file:{tmp_path}/hidden"
    no_files = "holds no files; those whose names start with _ or . are skipped"
    assert refusal(spark, tmp_path / "years") == (
        f"input path {years} holds only folders, which Spark does not look into: give {years}/*"
    )
    assert documents(spark, tmp_path / "years" / "*") == ['{"body": "a.txt"}', '{"body": "b.txt"}']
    assert refusal(spark, tmp_path / "hidden") == f"input path {hidden} {no_files}"
    assert refusal(spark, tmp_path / "hidden" / "_SUCCESS") == f"input path {hidden}/_SUCCESS {no_files}"
    assert refusal(spark, tmp_path / "none*") == f"input path file:{tmp_path}/none* does not exist"
    assert refusal(spark, "nowhere://x/y") == 'cannot open nowhere://x/y: No FileSystem for scheme "nowhere"'


def test_only_so_many_names_are_looked_at(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "many", *(f"{i}.txt" for i in range(30)))
    put(tmp_path / "years", *(f"{i}/a.txt" for i in range(30)))
    monkeypatch.setattr(read, "_LOOKED_AT", 20)
    assert len(read._file_names(spark, [str(tmp_path / "many")])) == 20
    assert len(read._file_names(spark, [str(tmp_path / "many")] * 2)) == 20
    # nothing is said of what was not seen to its end
    assert read._file_names(spark, [str(tmp_path / "years")]) == []


@pytest.mark.parametrize("kind", ["table", "sql", "dataframe"])
def test_a_format_is_for_files(kind: str) -> None:
    with pytest.raises(InputError) as error:
        Source(**{kind: "anything"}, format="csv")
    assert str(error.value) == f"input format 'csv' is for files alone: leave it out beside {kind}"


def test_a_path_alone_is_no_tuple_of_its_letters() -> None:
    with pytest.raises(InputError, match=r"^paths is a tuple of paths: give paths=\('texts/a.txt',\)$"):
        Source(paths="texts/a.txt")


def test_nothing_beside_a_source_is_left_unread(spark: SparkSession) -> None:
    source = Source(sql="SELECT 'a' AS text", column="text")
    assert source_of(source, None, None) is source
    for name, options in (("column", ("text", None)), ("format", (None, "text"))):
        with pytest.raises(InputError) as error:
            source_of(source, *options)
        assert str(error.value) == (
            f"{name}='text' is given beside a Source, which says that itself: give Source(..., {name}='text')"
        )
    with pytest.raises(InputError, match="^input format 'text' is for files alone: leave it out beside dataframe$"):
        source_of(spark.range(1), "id", "text")


HELD = (
    ": give a path, a list of paths, a Spark DataFrame or a Source; sentences in memory become a DataFrame by "
    'spark.createDataFrame([(words,) for words in sentences], "words array<string>")'
)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ([["king", "queen"], ["man", "woman"]], "list of list"),
        (("a.txt", b"b.txt"), "tuple of bytes"),
        ((line.split() for line in ("king queen",)), "generator"),
        (pa.table({"text": ["king queen"]}), "pyarrow.Table"),
        (pd.DataFrame({"text": ["king queen"]}), "pandas.DataFrame"),
        (np.array(["king", "queen"]), "numpy.ndarray"),
        (b"a.txt", "bytes"),
        (None, "NoneType"),
    ],
)
def test_what_is_in_memory_is_refused(source: Any, kind: str) -> None:
    with pytest.raises(InputError) as error:
        w2v_spark.train(source, "out")
    assert str(error.value) == f"cannot train on {kind}{HELD}"


def test_sentences_in_memory_are_trained_on_as_the_error_and_the_page_say(spark: SparkSession, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```python\n(spark = .*?)```", page, re.DOTALL)
    advice = HELD.partition(" become a DataFrame by ")[2]
    assert advice in shown
    exec(shown.replace("out/words", str(tmp_path / "out")), {"w2v_spark": w2v_spark})
    assert set(w2v_spark.Vectors.open(tmp_path / "out").index_to_key) == {"king", "queen", "man", "woman"}


def test_python_callers_read_pythons_names(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        w2v_spark.train([], tmp_path / "out")
    assert str(error.value) == (
        "give exactly one of paths (--input), table (--table), sql (--sql) and dataframe; given: none"
    )
    two = spark.createDataFrame([("a", "b")], "title string, body string")
    with pytest.raises(InputError) as error:
        read_documents(spark, source_of(two, None, None))
    assert str(error.value) == (
        "which column holds the text? give column (--column); the dataframe has: title (string), body (string)"
    )


def test_the_fingerprint_is_of_files_alone(spark: SparkSession, tmp_path: Path) -> None:
    def fingerprint(source: Source) -> str | None:
        return read_documents(spark, source).fingerprint

    paths = (str(put(tmp_path / "ü #1%20", "a b.txt")),)
    first = fingerprint(Source(paths))
    assert first and fingerprint(Source(paths)) == first
    assert fingerprint(Source(paths, format="text", column="value")) == first
    assert fingerprint(Source(paths, format="json")) != first
    put(Path(paths[0]), "_b.txt", "sub/b.txt")
    assert fingerprint(Source(paths)) == first
    put(Path(paths[0]), "b.txt")
    assert fingerprint(Source(paths)) != first
    frame = spark.read.text(paths[0])
    frame.createOrReplaceTempView("lines")
    for source in (Source(table="lines"), Source(sql="SELECT * FROM lines"), Source(dataframe=frame)):
        assert fingerprint(source) is None


def test_csv_as_pandas_writes_it(spark: SparkSession, tmp_path: Path) -> None:
    texts = ['He said "yes", then left', "first line\nsecond line, more\r\nthird", "plain", "", 'ends in "'] * 3
    frame = pd.DataFrame({"id": range(len(texts)), "text": texts, "label": "pos"})
    frame.to_csv(tmp_path / "texts.csv", index=False)
    read_back = read_documents(spark, Source(paths=(str(tmp_path / "texts.csv"),), column="text"))
    assert [row[0] or "" for row in read_back.frame.collect()] == texts


def test_odd_names_of_columns(spark: SparkSession, tmp_path: Path) -> None:
    for column in ("review.text", "a`b", "*", "a b", "text"):
        frame = spark.createDataFrame([("some words",)], StructType([StructField(column, StringType())]))
        documents = read_documents(spark, Source(dataframe=frame, column=column)).frame
        assert documents.mapInArrow(lambda batches: batches, "text string").collect() == [("some words",)]


def test_what_is_neither_text_nor_read_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    spark.createDataFrame([("some words",)], "body string").write.orc(str(tmp_path / "texts.orc"))
    assert read_documents(spark, Source(paths=(str(tmp_path / "texts.orc"),))).frame.collect() == [("some words",)]
    (tmp_path / "texts.avro").write_bytes(b"Obj\x01")
    with pytest.raises(InputError) as error:
        read_documents(spark, Source(paths=(str(tmp_path / "texts.avro"),)))
    assert str(error.value) == (
        "texts.avro is of a format that is not read: give one of text, parquet, json, csv, orc, or a DataFrame that "
        "Spark has read from it; as text it is read with format text (--format)"
    )
    assert read_documents(spark, Source(paths=(str(tmp_path / "texts.avro"),), format="text")).frame.count() == 1

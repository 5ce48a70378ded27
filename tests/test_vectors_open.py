"""Opening a model: the one that every later version must read, those of other writers, and what is none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from gensim.models import KeyedVectors
from make_model_v1 import MODEL_V1, SPARK_SCHEMA, planted_model, write_model

from w2v_spark import store
from w2v_spark.errors import FormatError, InputError
from w2v_spark.vectors.metrics import METRICS
from w2v_spark.vectors.vectors import Vectors


@pytest.fixture(scope="module")
def model_v1() -> Vectors:
    return Vectors.open(MODEL_V1)


# ---- models


def test_model_v1_is_read(model_v1: Vectors) -> None:
    words, vectors, counts = planted_model()
    assert model_v1.index_to_key == words
    assert np.array_equal(model_v1.vectors, vectors)
    assert np.array_equal(model_v1.counts, counts)
    assert (len(model_v1), model_v1.vector_size, model_v1.vectors.dtype) == (200, 16, np.float32)
    assert model_v1.key_to_index["susuki"] == 1


def test_model_v1_answers(model_v1: Vectors) -> None:
    first = [(word, round(cosine, 4)) for word, cosine in model_v1.most_similar("susuki", topn=3)]
    assert first == [("medoke", 0.9244), ("fizeda", 0.9221), ("totone", 0.9162)]
    assert model_v1.most_similar(["susukiri", "busamu"], ["susuki"], 1)[0][0] == "busamuri"
    assert model_v1.similarity("susuki", "medoke") == pytest.approx(0.924369, abs=1e-6)


@pytest.mark.parametrize("address", ["", "/", "/vectors", "/vectors/", "/vectors/.."])
def test_output_and_vectors_directory_are_the_same(address: str) -> None:
    assert len(Vectors.open(f"{MODEL_V1}{address}")) == 200
    assert len(Vectors.open(f"file://{MODEL_V1}{address}")) == 200


def test_relative_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(MODEL_V1 / "vectors")
    assert len(Vectors.open(".")) == 200
    assert len(Vectors.open("..")) == 200


@pytest.mark.parametrize(
    "element",
    [pa.field("item", pa.float32()), pa.field("element", pa.float32()), SPARK_SCHEMA.field("vector").type.value_field],
    ids=["pyarrow", "spark", "spark without nulls"],
)
def test_lists_of_every_writer(tmp_path: Path, element: pa.Field) -> None:
    words, vectors, _ = planted_model()
    schema = pa.schema([*store.VOCAB_SCHEMA, ("vector", pa.list_(element))])
    out = write_model(tmp_path / "out", words, vectors, schema=schema, parts=3)
    written = pq.read_schema(out / "vectors" / "part-00000.parquet").field("vector").type.value_field
    assert (written.name, written.nullable) == ("element", element.nullable)
    opened = Vectors.open(out)
    assert opened.index_to_key == words
    assert np.array_equal(opened.vectors, vectors)


def test_rows_in_any_order_come_by_id(tmp_path: Path) -> None:
    words, vectors, counts = planted_model()
    out = write_model(tmp_path / "out", words, vectors, counts, parts=1)
    path = out / "vectors" / "part-00000.parquet"
    pq.write_table(pq.read_table(path).take(np.random.default_rng(0).permutation(len(words))), path, compression="zstd")
    manifest = json.loads((out / "model.json").read_text())
    manifest["files"]["vectors"][0]["bytes"] = path.stat().st_size
    (out / "model.json").write_text(json.dumps(manifest))
    opened = Vectors.open(out)
    assert opened.index_to_key == words
    assert np.array_equal(opened.vectors, vectors)
    assert np.array_equal(opened.counts, counts)


def test_duckdb_and_pyarrow_read_vectors(model_v1: Vectors) -> None:
    # the query that the README shows
    rows = duckdb.sql(
        f"""
        WITH words AS (FROM '{MODEL_V1}/vectors/*.parquet'), asked AS (SELECT vector FROM words WHERE word = 'susuki')
        SELECT word, list_cosine_similarity(words.vector, asked.vector) AS cosine
        FROM words, asked WHERE word <> 'susuki' ORDER BY cosine DESC LIMIT 10
        """
    ).fetchall()
    mine = model_v1.most_similar("susuki")
    assert [word for word, _ in rows] == [word for word, _ in mine]
    assert [cosine for _, cosine in rows] == pytest.approx([cosine for _, cosine in mine], abs=1e-6)
    table = pq.read_table(MODEL_V1 / "vectors")
    assert table.column_names == ["id", "word", "count", "vector"]
    assert table["count"].to_pylist() == sorted(table["count"].to_pylist(), reverse=True)


# ---- what is no model


def changed(tmp_path: Path, **manifest: object) -> Path:
    """A copy of the model with values of its manifest changed."""
    out = tmp_path / "out"
    shutil.copytree(MODEL_V1, out)
    value = json.loads((out / "model.json").read_text()) | manifest
    (out / "model.json").write_text(json.dumps(value))
    return out


def refused(out: Path | str) -> str:
    with pytest.raises(FormatError) as error:
        Vectors.open(out)
    return str(error.value)


def test_newer_format_is_refused(tmp_path: Path) -> None:
    out = changed(tmp_path, format_version=2)
    assert refused(out) == (
        f"{out} has format version 2, this w2v_spark reads up to 1: take a newer checkout of w2v_spark"
    )


def test_cut_file_is_refused(tmp_path: Path) -> None:
    out = changed(tmp_path)
    part = out / "vectors" / "part-00001.parquet"
    part.write_bytes(part.read_bytes()[:500])
    assert refused(out) == f"{part} has 500 bytes, the manifest says 10650 bytes: the directory is damaged"


def test_missing_file_is_refused(tmp_path: Path) -> None:
    out = changed(tmp_path)
    part = out / "vectors" / "part-00001.parquet"
    part.unlink()
    assert refused(out) == f"{part} is missing, the manifest says 10650 bytes: the directory is damaged"


@pytest.mark.parametrize("damage", [slice(2000, 4000), slice(-4, None)], ids=["pages", "footer"])
def test_overwritten_file_is_refused(tmp_path: Path, damage: slice) -> None:
    out = changed(tmp_path)
    part = out / "vectors" / "part-00001.parquet"
    data = bytearray(part.read_bytes())
    data[damage] = bytes(len(data[damage]))
    part.write_bytes(data)
    assert refused(out).startswith(f"{part} cannot be read as Parquet: ")


def test_files_that_the_manifest_does_not_name_are_not_looked_at(tmp_path: Path) -> None:
    out = changed(tmp_path)
    (out / "vectors" / "part-00002.parquet").write_bytes(b"left by a job that failed")
    assert len(Vectors.open(out)) == 200


def test_other_sizes_than_the_manifest_says(tmp_path: Path) -> None:
    out = changed(tmp_path, params={"vector_size": 8})
    assert refused(out) == f"{out}/vectors is damaged: the vector of 'sepelari' has not 8 numbers"


@pytest.mark.parametrize("lacking", [{"params": {}}, {"files": {}}])
def test_manifest_without_what_is_needed(tmp_path: Path, lacking: dict[str, object]) -> None:
    out = changed(tmp_path, **lacking)
    assert refused(out) == f"{out}/model.json is damaged: it lacks params.vector_size or files.vectors"


def rewritten(tmp_path: Path, change: Callable[[dict[str, list[object]]], None]) -> Path:
    """A model of one file whose columns are changed."""
    words, vectors, counts = planted_model()
    out = write_model(tmp_path / "out", words, vectors, counts, parts=1)
    path = out / "vectors" / "part-00000.parquet"
    columns = pq.read_table(path).to_pydict()
    change(columns)
    pq.write_table(pa.table(columns, schema=store.VECTORS_SCHEMA), path)
    manifest = json.loads((out / "model.json").read_text())
    manifest["files"]["vectors"][0]["bytes"] = path.stat().st_size
    (out / "model.json").write_text(json.dumps(manifest))
    return out


@pytest.mark.parametrize("wrong", [-1, 200, 7, None])
def test_ids_that_are_not_each_word_once(tmp_path: Path, wrong: int | None) -> None:
    out = rewritten(tmp_path, lambda columns: columns["id"].__setitem__(3, wrong))
    assert refused(out) == f"{out}/vectors is damaged: the ids of 200 words are not 0 to 199, each once"


def test_vectors_of_different_sizes(tmp_path: Path) -> None:
    def change(columns: dict[str, list[object]]) -> None:
        first, second = columns["vector"][3:5]
        columns["vector"][3:5] = [first[:-1], [*second, 0.0]]  # type: ignore[index, misc]

    out = rewritten(tmp_path, change)
    word = planted_model()[0][3]
    assert refused(out) == f"{out}/vectors is damaged: the vector of {word!r} has not 16 numbers"


def test_counts_that_are_not_known(tmp_path: Path) -> None:
    out = rewritten(tmp_path, lambda columns: columns.__setitem__("count", [None] * 200))
    assert Vectors.open(out).counts is None


def test_a_model_without_words(tmp_path: Path) -> None:
    empty = Vectors.open(write_model(tmp_path / "out", [], np.zeros((0, 4), np.float32), parts=1))
    assert (len(empty), empty.vectors.shape, empty.most_similar(np.ones(4))) == (0, (0, 4), [])


def test_manifest_of_something_else(tmp_path: Path) -> None:
    out = changed(tmp_path, format="other")
    assert refused(out) == f"{out}/model.json was not written by w2v_spark"


def test_no_directory(tmp_path: Path) -> None:
    assert refused(tmp_path / "out") == (
        f"no vectors at {tmp_path}/out: there is no such directory; give the --output of a training run"
    )


def test_directory_without_manifest(tmp_path: Path) -> None:
    assert refused(tmp_path) == (
        f"{tmp_path} is not a model of w2v_spark: it has no model.json; give the --output of a training run"
    )


@pytest.mark.parametrize("name", ["m.bin", "s.txt", "s.kv"])
def test_file_of_another_tool(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"1 2\na 0.5 1\n")
    for address in (path, f"file://{path}"):
        assert refused(address) == (
            f"{address} is a file, and a model is a directory: give the --output of a training run, or make a model of "
            "the file with convert --input; Vectors.load_word2vec_format reads word2vec's formats as they are"
        )


@pytest.mark.parametrize("name", ["s.kv", "s", "s.bin"])
def test_pickle_of_gensim(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    theirs = KeyedVectors(2)
    theirs.add_vectors(["a"], np.ones((1, 2), np.float32))
    theirs.save(str(path))
    for read in (Vectors.open, Vectors.load_word2vec_format):
        for given in (path, str(path)):
            with pytest.raises(InputError) as error:
                read(given)
            assert str(error.value) == (
                f"{path} is a pickle of gensim, which runs code when it is read: in gensim, write it anew with "
                f"KeyedVectors.load({name!r}).save_word2vec_format('s.bin', binary=True)"
            )
    with pytest.raises(InputError, match="is a pickle of gensim"):
        Vectors.load_word2vec_format(path, binary=True)


@pytest.mark.parametrize("given", ["", "/vectors"])
def test_unfinished_run(tmp_path: Path, given: str) -> None:
    (tmp_path / "work").mkdir()
    assert refused(Path(f"{tmp_path}{given}")) == (
        f"{tmp_path}{given} holds a run that is not finished, or a plan (model.json is written last): let it "
        "end, or start its command again"
    )


def test_address_of_no_known_kind() -> None:
    with pytest.raises(InputError, match="^cannot open foo://bar: "):
        Vectors.open("foo://bar")


def test_vectors_that_are_not_finite() -> None:
    vectors = Vectors(["a", "b"], np.array([[1, 2], [np.nan, 1]], np.float32))
    with pytest.raises(FormatError) as error:
        vectors.most_similar("a")
    assert str(error.value) == "1 of the vectors are not finite, the first that of 'b': train again"
    for metric in METRICS:
        with pytest.raises(FormatError, match="are not finite, the first that of 'b': train again$"):
            vectors.most_similar("b", metric=metric)
    with pytest.raises(FormatError, match="are not finite, the first that of 'b': train again$"):
        vectors.get_mean_vector(["b"])

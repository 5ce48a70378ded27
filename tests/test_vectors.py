"""Opening a model, and its nearest words against brute force and gensim."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from gensim.models import KeyedVectors
from hypothesis import given, settings
from hypothesis import strategies as st
from make_model_v1 import MODEL_V1, SPARK_SCHEMA, planted_model, write_model

from w2v_spark import store
from w2v_spark.errors import FormatError, InputError, ParamError, UnknownWordError
from w2v_spark.params import Params
from w2v_spark.vectors import search
from w2v_spark.vectors.spelling import near_spellings
from w2v_spark.vectors.vectors import Vectors

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def model_v1() -> Vectors:
    return Vectors.open(MODEL_V1)


def made(size: int, dims: int, seed: int = 0, **options: object) -> tuple[Vectors, KeyedVectors]:
    """The same random vectors here and in gensim."""
    words = [f"w{i}" for i in range(size)]
    numbers = np.random.default_rng(seed).normal(size=(size, dims)).astype(np.float32)
    theirs = KeyedVectors(dims)
    theirs.add_vectors(words, numbers)
    return Vectors(words, numbers, **options), theirs  # type: ignore[arg-type]


# ---- the model of format version 1, as every later version must read it


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


# ---- writers: pyarrow's lists and Spark's


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


def refused(out: Path) -> str:
    with pytest.raises(FormatError) as error:
        Vectors.open(out)
    return str(error.value)


def test_newer_format_is_refused(tmp_path: Path) -> None:
    out = changed(tmp_path, format_version=2)
    assert refused(out) == (
        f"{out} has format version 2, this w2v_spark reads up to 1: upgrade with pip install -U w2v_spark"
    )


def test_cut_file_is_refused(tmp_path: Path) -> None:
    out = changed(tmp_path)
    part = out / "vectors" / "part-00001.parquet"
    part.write_bytes(part.read_bytes()[:500])
    assert refused(out) == f"{part} has 500 bytes, the manifest says 10650: the directory is damaged"


def test_missing_file_is_refused(tmp_path: Path) -> None:
    out = changed(tmp_path)
    part = out / "vectors" / "part-00001.parquet"
    part.unlink()
    assert refused(out) == f"{part} is missing, the manifest says 10650: the directory is damaged"


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
    assert refused(out) == f"{out}/vectors is damaged: 3200 numbers for 200 words of 8"


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


@pytest.mark.parametrize("given", ["", "/vectors"])
def test_unfinished_run(tmp_path: Path, given: str) -> None:
    (tmp_path / "work").mkdir()
    assert refused(Path(f"{tmp_path}{given}")) == (
        f"{tmp_path}{given} holds an unfinished run (model.json is written last): let the training finish first"
    )


def test_address_of_no_known_kind() -> None:
    with pytest.raises(InputError, match="^cannot open foo://bar: "):
        Vectors.open("foo://bar")


def test_vectors_that_are_not_finite() -> None:
    vectors = Vectors(["a", "b"], np.array([[1, 2], [np.nan, 1]], np.float32))
    with pytest.raises(FormatError) as error:
        vectors.most_similar("a")
    assert str(error.value) == "1 of the vectors are not finite, the first that of 'b': train again"


# ---- words


def test_unknown_word(model_v1: Vectors) -> None:
    for ask in (model_v1.get_vector, model_v1.most_similar, model_v1.__getitem__, model_v1.get_index):
        with pytest.raises(UnknownWordError) as error:
            ask("susukir")
        assert str(error.value) == (
            "word 'susukir' is not in the vocabulary of 200 words; near spellings: susuki, susukiri"
        )
    with pytest.raises(KeyError):
        model_v1["nothing-like-it"]


def test_unknown_word_of_a_big_vocabulary() -> None:
    words = ["king", "kings", "ring", *(f"x{i}" for i in range(70_997))]
    vectors = Vectors(words, np.zeros((len(words), 1), np.float32))
    with pytest.raises(UnknownWordError) as error:
        vectors.get_vector("kingg")
    assert str(error.value) == "word 'kingg' is not in the vocabulary of 71,000 words; near spellings: king, kings"
    with pytest.raises(UnknownWordError) as error:
        vectors.get_vector("zebra")
    assert str(error.value) == "word 'zebra' is not in the vocabulary of 71,000 words"


def test_words_are_looked_up_as_the_text_was_normalised(tmp_path: Path) -> None:
    numbers = np.eye(4, dtype=np.float32)
    words = ["été", "king", "Rex", "rex"]
    lower = Vectors.open(write_model(tmp_path / "lower", words, numbers))
    assert [lower.get_index(w) for w in ("ÉTÉ", "e\u0301te\u0301", "King", "Rex", "rex", "REX")] == [0, 0, 1, 2, 3, 3]
    assert "KING" in lower
    assert (3 in lower, 4 in lower, -1 in lower, 1.0 in lower) == (True, False, False, False)  # ids, as in gensim
    exact = Vectors.open(write_model(tmp_path / "exact", words, numbers, params=Params(lowercase=False)))
    assert "King" not in exact
    assert exact.get_index("e\u0301te\u0301") == 0


def distance(a: str, b: str) -> int:
    """Optimal string alignment, by the definition."""
    table = {(i, 0): i for i in range(len(a) + 1)} | {(0, j): j for j in range(len(b) + 1)}
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            same = table[i - 1, j - 1] + (a[i - 1] != b[j - 1])
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, same)
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                table[i, j] = min(table[i, j], table[i - 2, j - 2] + 1)
    return table[len(a), len(b)]


letters = st.text(st.sampled_from("abcé王😀"), min_size=0, max_size=8)


@given(letters, st.lists(letters, max_size=30))
def test_near_spellings_by_the_definition(word: str, words: list[str]) -> None:
    allowed = 0 if len(word) < 2 else 1 if len(word) < 6 else 2
    near = sorted((distance(word, w), i) for i, w in enumerate(words) if distance(word, w) <= allowed)
    expected = [words[i] for _, i in near][:3] if allowed else []
    assert near_spellings(word, pa.array(words, pa.string())) == expected


def test_get_vector(model_v1: Vectors) -> None:
    row = model_v1.get_vector("susuki")
    assert not row.flags.writeable
    assert np.array_equal(model_v1[["susuki", "busamu"]], np.stack([row, model_v1["busamu"]]))
    assert np.linalg.norm(model_v1.get_vector("susuki", norm=True)) == pytest.approx(1, abs=1e-6)


def test_vectors_and_words_must_fit() -> None:
    with pytest.raises(ParamError) as error:
        Vectors(["a"], np.zeros((2, 3), np.float32))
    assert str(error.value) == "1 words and vectors of shape (2, 3): must be one row for each word"


def test_opening_needs_no_spark() -> None:
    code = (
        "import sys; from w2v_spark.vectors import vectors, search, evaluate, text, testsets, spelling\n"
        f"vectors.Vectors.open({str(MODEL_V1)!r}).most_similar('susuki')\n"
        "print([name for name in ('pyspark', 'py4j', 'numba', 'scipy') if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "[]\n"


# ---- search


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 70), st.integers(0, 9), st.integers(1, 20))
def test_top_k_is_brute_force(seed: int, rows: int, k: int, queries: int, block: int) -> None:
    random = np.random.default_rng(seed)
    # every cosine is exact in float32 and many are equal: the order among them is by row
    vectors = random.integers(-2, 3, (rows, 3)).astype(np.float32)
    lengths = np.ones(rows, np.float32)
    asked = np.eye(3, dtype=np.float32)[random.integers(0, 3, queries)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "BLOCK_ROWS", block)
        patch.setattr(search, "BLOCK_QUERIES", 4)
        ids, scores = search.top_k(vectors, lengths, asked, k)
    for query, found, score in zip(asked, ids, scores, strict=True):
        exact = vectors @ query
        expected = np.lexsort((np.arange(rows), -exact))[:k]
        assert found.tolist() == expected.tolist()
        assert score.tolist() == exact[expected].tolist()


def test_top_k_over_many_blocks() -> None:
    random = np.random.default_rng(1)
    vectors = random.normal(size=(20_000, 20)).astype(np.float32)
    queries = random.normal(size=(300, 20)).astype(np.float32)
    ids, scores = search.top_k(vectors, search.norms(vectors), queries, 10)
    exact = search.unit(queries).astype(float) @ search.unit(vectors).astype(float).T
    assert np.array_equal(ids, np.argsort(-exact, axis=1)[:, :10])
    assert scores == pytest.approx(-np.sort(-exact, axis=1)[:, :10], abs=1e-6)


def test_zeros_have_cosine_zero() -> None:
    vectors = Vectors(["zero", "one", "other"], np.array([[0, 0], [1, 0], [0, 2]], np.float32))
    assert vectors.most_similar("zero") == [("one", 0.0), ("other", 0.0)]
    assert vectors.most_similar("one") == [("zero", 0.0), ("other", 0.0)]
    assert vectors.similarity("zero", "one") == 0.0


# ---- gensim as the oracle


def same(mine: list[tuple[str, float]], theirs: list[tuple[str, float]]) -> None:
    assert [word for word, _ in mine] == [word for word, _ in theirs]
    assert [cosine for _, cosine in mine] == pytest.approx([cosine for _, cosine in theirs], abs=1e-6)


def test_most_similar_as_gensim() -> None:
    mine, theirs = made(9_000, 30)
    vector = np.random.default_rng(5).normal(size=30).astype(np.float32)
    for positive, negative in (
        ("w1", None),
        (["w1", "w2"], ["w3"]),
        ([("w1", 0.5), "w8000"], [("w3", -2.0)]),
        (["w1", "w1"], None),
        (vector, ["w5"]),
        ([vector, ("w7", 0.3)], None),
        (None, "w6"),
    ):
        same(mine.most_similar(positive, negative, 10), theirs.most_similar(positive, negative, 10))
        same(
            mine.most_similar(positive, negative, topn=25, restrict_vocab=4),
            theirs.most_similar(positive, negative, topn=25, restrict_vocab=4),
        )
    assert mine.most_similar("w4", "w4", 2) == [("w0", 0.0), ("w1", 0.0)]
    assert len(mine.most_similar("w1", topn=9_000)) == 8_999
    assert mine.most_similar("w1", topn=0) == theirs.most_similar("w1", topn=0) == []


def test_most_similar_each_is_each_by_itself() -> None:
    mine, theirs = made(500, 10)
    found = mine.most_similar_each(["w3", "w9", "w3"], 5, restrict_vocab=400)
    for word, answer in zip(["w3", "w9", "w3"], found, strict=True):
        same(answer, theirs.most_similar(word, topn=5, restrict_vocab=400))
    assert mine.most_similar_each([]) == []


def test_similarity_as_gensim() -> None:
    mine, theirs = made(50, 7)
    for a, b in (("w1", "w2"), ("w3", "w3"), ("w49", "w0")):
        assert mine.similarity(a, b) == pytest.approx(theirs.similarity(a, b), abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "most_similar needs at least one positive or negative word or vector, got none"),
        ({"positive": "w1", "restrict_vocab": 0}, "restrict_vocab must be at least 1, got 0"),
        ({"positive": np.zeros(3)}, "a vector of (3,) was given: must be (7,) finite numbers"),
        ({"positive": np.full(7, np.inf)}, "a vector of (7,) was given: must be (7,) finite numbers"),
    ],
)
def test_wrong_arguments(arguments: dict[str, object], message: str) -> None:
    mine, _ = made(5, 7)
    with pytest.raises(ParamError) as error:
        mine.most_similar(**arguments)  # type: ignore[arg-type]
    assert str(error.value) == message

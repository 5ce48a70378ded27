"""The whole job in local mode, on generated text: what is on disk afterwards, what is refused, what comes out again."""

from __future__ import annotations

import json
import logging
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT

import w2v_spark
from w2v_spark import store, workdir
from w2v_spark.errors import DivergenceError, InputError, OutputError, ParamError
from w2v_spark.place import Place
from w2v_spark.spark import fit, rounds
from w2v_spark.spark.loop import train_rounds
from w2v_spark.spark.read import Source
from w2v_spark.spark.resume import Progress
from w2v_spark.spark.run import open_encoded
from w2v_spark.spark.session import frame_of
from w2v_spark.vectors.load import read_model
from w2v_spark.workdir.blocks import BASE, MATRICES, block_batch
from w2v_spark.workdir.corpus import CorpusIndex, CorpusReader

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SMALL: dict[str, Any] = {"vector_size": 12, "min_count": 2, "sample": 0.0, "max_iter": 2, "threads_per_replica": 1}


def vectors_of(output: Path) -> dict[str, bytes]:
    words, _, vectors = read_model(store.open_model(str(output)))
    return {w: v.tobytes() for w, v in zip(words.to_pylist(), vectors, strict=True)}


def test_a_run_leaves_a_model_that_knows_what_belongs_together(
    spark: SparkSession, small_text: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    trained = w2v_spark.train(small_text, output, **{**SMALL, "max_iter": 10})
    assert sorted(p.name for p in output.iterdir()) == ["metrics", "model.json", "report.html", "vectors", "vocab"]
    assert all(word.startswith("sea") for word, _ in trained.wv.most_similar("sea3", topn=10))
    manifest = json.loads((output / "model.json").read_text())
    assert manifest["format_version"] == 1
    assert manifest["input"]["source"] == str(small_text) and manifest["input"]["fingerprint"]
    assert manifest["params"]["num_replicas"] == 1 and manifest["params"]["rounds_per_epoch"] == 1
    table = pq.read_table(output / "vectors")
    assert table["count"].to_pylist() == sorted(table["count"].to_pylist(), reverse=True)
    assert table["id"].to_pylist() == list(range(120))
    assert [r["round"] for r in pq.read_table(output / "metrics").to_pylist()] == list(range(1, 11))
    assert spark.read.parquet(str(output / "vectors")).schema.simpleString() == (
        "struct<id:int,word:string,count:bigint,vector:array<float>>"
    )


def test_counts_are_exact(spark: SparkSession, small_text: Path, tmp_path: Path) -> None:
    expected: dict[str, int] = {}
    for word in (small_text / "lines.txt").read_text().split():
        expected[word] = expected.get(word, 0) + 1
    w2v_spark.train(small_text, tmp_path / "out", **SMALL)
    rows = pq.read_table(tmp_path / "out" / "vocab").sort_by("id").to_pylist()
    assert [(r["word"], r["count"]) for r in rows] == sorted(expected.items(), key=lambda p: (-p[1], p[0]))


@pytest.mark.parametrize("replicas", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_the_same_seed_gives_the_same_bytes_whatever_the_splits(
    spark: SparkSession, small_text: Path, tmp_path: Path, replicas: int
) -> None:
    found = []
    for size in ("134217728", "32768"):
        spark.conf.set("spark.sql.files.maxPartitionBytes", size)
        try:
            output = tmp_path / f"out{size}"
            w2v_spark.train(small_text, output, **SMALL, num_replicas=replicas, rounds_per_epoch=2)
        finally:
            spark.conf.unset("spark.sql.files.maxPartitionBytes")
        found.append(vectors_of(output))
    assert found[0] == found[1]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["equal lines", "one long line"])
def test_buckets_are_even(spark: SparkSession, tmp_path: Path, kind: str) -> None:
    text = tmp_path / "text.txt"
    if kind == "equal lines":
        text.write_text("one two three four five six\n" * 1_000_000)
    else:
        words = np.array([f"word{i}" for i in range(1000)])
        text.write_text(" ".join(words[np.random.default_rng(1).zipf(1.3, 17_000_000) % 1000]) + "\n")
    with fit.prepare(Source(paths=(str(text),)), tmp_path / "out") as run:
        encoded = fit._encoded(run.spark, run.run, run.documents, run.params, run.vocabulary)
    index = CorpusIndex.read(encoded.parent)
    sizes = [b.words for b in index.buckets]
    assert len(sizes) >= 64 and sum(sizes) == encoded.words == run.vocabulary.total_count
    assert max(sizes) <= 1.2 * sum(sizes) / len(sizes)
    # who opens a file reads no sentence with the footer
    footers = [pq.read_metadata(encoded.parent.file(f"corpus/{f.name}")) for f in index.files]
    groups = [footer.row_group(i) for footer in footers for i in range(footer.num_row_groups)]
    assert not any(group.column(2).is_stats_set for group in groups)


def test_encoding_keeps_every_sentence(spark: SparkSession, small_text: Path, tmp_path: Path) -> None:
    source = Source(paths=(str(small_text),))
    with fit.prepare(source, tmp_path / "out", min_count=1, max_sentence_length=10) as run:
        encoded = fit._encoded(run.spark, run.run, run.documents, run.params, run.vocabulary)
    words, index = run.vocabulary.read()["word"].to_pylist(), CorpusIndex.read(encoded.parent)
    reader, found = CorpusReader(encoded.parent, index), []
    for bucket in index.buckets:
        ids, offsets = reader.sentences(bucket)
        found += [" ".join(words[i] for i in ids[a:b]) for a, b in zip(offsets[:-1], offsets[1:], strict=True)]
    expected = []
    for line in (small_text / "lines.txt").read_text().splitlines():
        tokens = line.split()
        expected += [" ".join(tokens[i : i + 10]) for i in range(0, len(tokens), 10)]
    assert sorted(found) == sorted(expected)


def test_every_kind_of_input(spark: SparkSession, small_text: Path, tmp_path: Path) -> None:
    frame = spark.read.text(str(small_text)).withColumnRenamed("value", "body")
    frame.write.parquet(str(tmp_path / "p"))
    frame.write.json(str(tmp_path / "j"))
    frame.write.option("header", True).csv(str(tmp_path / "c"))
    frame.write.option("compression", "bzip2").text(str(tmp_path / "t"))
    frame.selectExpr("split(body, ' ') AS body", "1 AS n").createOrReplaceTempView("lists")

    def counts(source: Any, output: Path) -> list[dict[str, Any]]:
        with fit.prepare(source, output, **SMALL) as prepared:
            rows: list[dict[str, Any]] = prepared.vocabulary.read().to_pylist()
        return rows

    expected = counts(Source(paths=(str(small_text),)), tmp_path / "out")
    sources = [
        *(Source(paths=(str(tmp_path / name),)) for name in "pjct"),
        Source(dataframe=frame),
        Source(table="lists"),
        Source(sql="SELECT body FROM lists", column="body"),
    ]
    for i, source in enumerate(sources):
        assert counts(source, tmp_path / f"out{i}") == expected, source


def test_a_text_of_which_subsampling_leaves_nothing_is_told(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = spark.createDataFrame([(["king", "queen"],), (["man", "woman"],)], "words array<string>")
    w2v_spark.train(words, tmp_path / "out", min_count=1, vector_size=4, max_iter=1, sample=1e-9)
    assert (
        f"nothing was trained, and the vectors of file:{tmp_path}/out are those that training starts with: subsampling "
        "(sample = 1e-09) left no two words side by side; give sample = 0 for so small a text"
    ) in caplog.messages


def test_chinese(spark: SparkSession, tmp_path: Path) -> None:
    rjieba = pytest.importorskip("rjieba")
    lines = ["我们在北京大学学习自然语言处理，用 Spark。", "他来到了网易杭研大厦！"]
    (tmp_path / "text.txt").write_text("\n".join(lines * 5))
    w2v_spark.train(tmp_path / "text.txt", tmp_path / "out", **SMALL, tokenizer="chinese")
    found = [word.lower() for line in lines for word in rjieba.cut(line) if any(c.isalnum() for c in word)]
    assert {"北京大学", "spark"} <= set(found)
    assert set(vectors_of(tmp_path / "out")) == set(found)


def test_a_function_of_ones_own(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "sentpieces.py").write_text("def cut(text):\n    return text.split('|') + ['']\n\nwords = 3\n")
    (tmp_path / "text.txt").write_text("New York|is big|\nnew york|is far\n\n" * 5)
    spark.sparkContext.addPyFile(str(tmp_path / "sentpieces.py"))
    for lowercase, expected in ((True, {"new york"}), (False, {"New York", "new york"})):
        output = tmp_path / f"out{lowercase}"
        w2v_spark.train(tmp_path / "text.txt", output, **SMALL, tokenizer="sentpieces:cut", lowercase=lowercase)
        assert set(vectors_of(output)) == {*expected, "is big", "is far"}
    with pytest.raises(ParamError, match="tokenizer 'sentpieces:words' is not a function: it must take a document"):
        w2v_spark.train(tmp_path / "text.txt", tmp_path / "out", tokenizer="sentpieces:words")


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize(
    "options",
    [
        pytest.param([], id="the working directory, on one machine"),
        pytest.param(
            ["--master", "local-cluster[1,1,1024]", "--py-files", "mywords.py"],
            id="py-files, on a cluster",
        ),
    ],
)
def test_where_a_function_is_found(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "mywords.py").write_text("def split(text):\n    return text.split('|')\n")
    (tmp_path / "text.txt").write_text("New York|is big\n" * 5)
    job = [str(ROOT / "spark-submit.sh"), *options, "jobs/train.py", "--input", "text.txt", "--output", "out"]
    job += ["--tokenizer", "mywords:split", "--plan"]
    done = subprocess.run(job, cwd=tmp_path, text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    words = [
        row["word"] for path in tmp_path.rglob("work/*/vocab/*.parquet") for row in pq.read_table(path).to_pylist()
    ]
    assert set(words) == {"new york", "is big"}


def test_a_ready_vocabulary(spark: SparkSession, small_text: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("sea1 17\nsea2\n\nhill1\nnever\n")
    w2v_spark.train(small_text, tmp_path / "out", vocab=tmp_path / "words.txt", **SMALL)
    rows = pq.read_table(tmp_path / "out" / "vocab").to_pylist()
    assert {r["word"] for r in rows} == {"sea1", "sea2", "hill1", "never"}
    assert next(r["count"] for r in rows if r["word"] == "never") == 0


def test_plan_counts_once(
    spark: SparkSession, small_text: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with fit.prepare(Source(paths=(str(small_text),)), tmp_path / "out", **SMALL, num_replicas=2) as prepared:
        plan = prepared.plan
    assert plan.vocabulary == 120 and plan.rounds == 2 and plan.model_bytes == 2 * 4 * 120 * 12
    assert "num_replicas = 2" in plan.text()
    assert not (tmp_path / "out" / "model.json").exists()
    with caplog.at_level(logging.INFO, "w2v_spark"):
        w2v_spark.train(small_text, tmp_path / "out", **SMALL)
    assert "reuse from an earlier run: vocabulary" in caplog.messages


def test_max_vocab_and_keep_work(spark: SparkSession, small_text: Path, tmp_path: Path) -> None:
    w2v_spark.train(small_text, tmp_path / "out", **SMALL, max_vocab=7, keep_work=True)
    assert len(vectors_of(tmp_path / "out")) == 7
    vocabulary, corpus = open_encoded(Place.open(tmp_path / "out"))
    assert vocabulary.words == 7 and CorpusIndex.read(corpus).words() == vocabulary.total_count
    assert len(list((tmp_path / "out" / "work").glob("*/rounds/*"))) == 2


def test_overwrite_keeps_the_old_model_until_the_new_one_is_trained(
    spark: SparkSession, small_text: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    w2v_spark.train(small_text, output, **SMALL)
    before = vectors_of(output)
    with pytest.raises(OutputError, match="holds a finished model: give overwrite=True"):
        w2v_spark.train(small_text, output, **SMALL)
    with pytest.raises(InputError, match="no word is left"):
        w2v_spark.train(small_text, output, overwrite=True, **{**SMALL, "min_count": 10**6})
    assert vectors_of(output) == before
    w2v_spark.train(small_text, output, overwrite=True, **{**SMALL, "seed": 9})
    assert vectors_of(output) != before


def test_bad_input_is_one_sentence(spark: SparkSession, small_text: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "han.txt").write_text("我们在这里学习自然语言处理的方法和技术\n" * 9)
    numbers = spark.range(3)
    cases: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
        (tmp_path / "missing", {}, InputError, r"input path .*missing does not exist"),
        (tmp_path / "empty.txt", {}, InputError, "the input is empty: it has no words"),
        (tmp_path / "han.txt", {}, InputError, "tokenizer 'chinese'"),
        (small_text, {"min_count": 10**6}, InputError, r"none occurs 1000000 times \(min_count\)"),
        (small_text, {"column": "text"}, InputError, r"column 'text' is not in the text; it has: value \(string\)"),
        (numbers, {"column": "id"}, InputError, r"column 'id' is bigint: must be string or array<string>"),
        (
            numbers,
            {},
            InputError,
            r"which column holds the text\? give column \(--column\); the dataframe has: id \(bigint\)",
        ),
        (Source(table="no_such_table"), {}, InputError, "Spark cannot read the input: .*no_such_table"),
        (Source(sql="SELEC 1"), {}, InputError, "Spark cannot read the input"),
        (small_text, {"vector_size": 0}, ParamError, "parameter vector_size given invalid value 0"),
        (small_text, {"vektor_size": 5}, ParamError, r"unknown parameter 'vektor_size' .*did you mean 'vector_size'"),
        (small_text, {"tokenizer": "no_such_module:f"}, ParamError, "tokenizer 'no_such_module:f' cannot be loaded"),
    ]
    for source, options, kind, message in cases:
        with pytest.raises(kind, match=message):
            w2v_spark.train(source, output, **options)
        assert not (output / "model.json").exists()


def test_an_output_that_is_not_ours(spark: SparkSession, small_text: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r"holds files that are not ours \(letter.txt\)"):
            w2v_spark.train(small_text, tmp_path / "mine", overwrite=overwrite)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        w2v_spark.train(small_text, tmp_path / "file" / "out")


def test_divergence_stops_the_run(spark: SparkSession, small_text: Path, tmp_path: Path) -> None:
    with fit.prepare(Source(paths=(str(small_text),)), tmp_path / "out", **SMALL, num_replicas=2) as prepared:
        run, params, vocabulary = prepared.run, prepared.params, prepared.vocabulary
        corpus = fit._encoded(prepared.spark, run, prepared.documents, params, vocabulary)
        # a model that is about to overflow
        huge = np.full((120, 12), 1e38, np.float32)
        blocks = [block_batch(m, 0, BASE, huge) for m in MATRICES]
        frame = frame_of(prepared.blocks, pa.Table.from_batches(blocks))
        frame = rounds._by_block(frame, prepared.layout.merge_tasks)
        start = rounds._commit(prepared.blocks, frame, run, 0, prepared.layout.merge_tasks)
        rounds.go_on_from(run, start, None)
        with pytest.raises(
            DivergenceError, match=r"training diverged: round 1 gave .*; lower --step-size \(now 0.05\)"
        ):
            train_rounds(prepared.blocks, run, params, prepared.layout, vocabulary, corpus, Progress(start, None, []))
    assert run.work.read_json(workdir.CURRENT)["round"] == 0
    assert not run.output.exists("model.json")


def test_a_failed_try_leaves_no_stage_that_is_called_done(
    spark: SparkSession, small_text: Path, tmp_path: Path
) -> None:
    output = tmp_path / "my dir #1 ü"
    source = Source(paths=(str(small_text),))
    with fit.prepare(source, output, **SMALL):
        pass
    with (
        pytest.raises(InputError, match="no word is left"),
        fit.prepare(source, output, **{**SMALL, "min_count": 10**6}),
    ):
        pass
    w2v_spark.train(small_text, output, **SMALL)
    assert len(vectors_of(output)) == 120

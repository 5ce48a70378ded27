"""Word2Vec as a stage of pyspark.ml: fitting, what the model answers, pipelines and cross-validation."""

from __future__ import annotations

import doctest
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.ml import Pipeline, PipelineModel, feature
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.ml.linalg import DenseVector, Vectors, VectorUDT
from pyspark.ml.tuning import CrossValidator, ParamGridBuilder
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas import functions as udfs

import w2v_spark
from w2v_spark import Word2Vec, Word2VecModel
from w2v_spark.errors import InputError, ParamError, UnknownWordError, W2VError
from w2v_spark.ml import workplace
from w2v_spark.ml.summary import Word2VecSummary
from w2v_spark.vectors.save import write_model

TOPICS = {"sea": 0.0, "hill": 1.0}
TRAINED = dict(vectorSize=8, minCount=1, maxIter=10, stepSize=0.05, numReplicas=1, threadsPerReplica=1)
SENTENCES = [
    (["sea0", "sea1", "hill0"],),
    (["sea0", "nowhere", "sea0", None, ""],),
    (["nowhere"],),
    ([],),
]


def _sentences() -> list[tuple[float, list[str]]]:
    draw = np.random.default_rng(3)
    words = {topic: [f"{topic}{i}" for i in range(6)] for topic in TOPICS}
    return [(TOPICS[t], draw.choice(words[t], 12).tolist()) for _ in range(80) for t in TOPICS]


@pytest.fixture(scope="module")
def sentences(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(_sentences(), "label double, words array<string>").repartition(2)


@pytest.fixture(scope="module")
def model(sentences: DataFrame) -> Word2VecModel:
    return Word2Vec(inputCol="words", outputCol="features", **TRAINED).fit(sentences)


def test_synonyms_by_word_and_by_vector(spark: SparkSession, model: Word2VecModel) -> None:
    found = model.findSynonyms("sea0", 5)
    assert found.dtypes == [("word", "string"), ("similarity", "double")]
    rows = [(row.word, row.similarity) for row in found.collect()]
    assert {word for word, _ in rows} == {f"sea{i}" for i in range(1, 6)}
    assert [s for _, s in rows] == sorted((s for _, s in rows), reverse=True)
    here = model.findSynonymsArray("sea0", 5)
    assert [word for word, _ in here] == [word for word, _ in rows]
    np.testing.assert_allclose([s for _, s in here], [s for _, s in rows], rtol=1e-5)
    own = model.wv["sea0"]
    for vector in (DenseVector(own), own, own.tolist(), Vectors.sparse(8, range(8), own)):
        assert model.findSynonymsArray(vector, 2)[0][0] == "sea0"
    by_vector = model.findSynonyms(DenseVector(own), 2).collect()
    assert (by_vector[0].word, round(by_vector[0].similarity, 5)) == ("sea0", 1.0)
    assert model.findSynonyms("sea0", 1000).count() == 11


def test_synonyms_refuse_in_sentences(model: Word2VecModel) -> None:
    for ask in (model.findSynonyms, model.findSynonymsArray):
        with pytest.raises(UnknownWordError, match="word 'nope' is not in the vocabulary of 12 words"):
            ask("nope", 2)
        with pytest.raises(ParamError, match="num must be an integer of at least 1, got 0$"):
            ask("sea0", 0)
        with pytest.raises(ParamError, match="num must be an integer of at least 1, got '2'$"):
            ask("sea0", "2")
        with pytest.raises(ParamError, match="a vector of 3 numbers was given: must be 8 finite numbers"):
            ask([1.0, 2.0, 3.0], 2)


def test_vectors_and_summary(model: Word2VecModel) -> None:
    vectors = model.getVectors()
    assert vectors.columns == ["word", "vector"]
    assert isinstance(vectors.schema["vector"].dataType, VectorUDT)
    rows = vectors.collect()
    assert [row.word for row in rows] == model.wv.index_to_key
    np.testing.assert_allclose([row.vector.toArray() for row in rows], model.wv.vectors)
    assert repr(model) == f"Word2VecModel: uid={model.uid}, numWords=12, vectorSize=8"
    assert model.hasSummary
    assert (model.summary.words, model.summary.totalCount) == (12, 160 * 12)
    assert model.summary.wordsPerSecond > 0
    rounds = model.summary.rounds.collect()
    assert model.summary.loss == pytest.approx(rounds[-1].loss)
    assert rounds[-1].loss < rounds[0].loss or len(rounds) == 1
    assert sum(row.words for row in rounds) == 10 * 160 * 12


def test_transform_is_mllibs(spark: SparkSession, sentences: DataFrame, tmp_path: Path) -> None:
    """The same vectors in a model of pyspark and in one of ours give the same means."""
    theirs = feature.Word2Vec(vectorSize=8, minCount=1, inputCol="words", outputCol="features").fit(sentences)
    rows = theirs.getVectors().collect()
    matrix = np.array([row.vector.toArray() for row in rows], np.float32)
    write_model(w2v_spark.Vectors([row.word for row in rows], matrix), str(tmp_path / "model"), {})
    ours = Word2VecModel(str(tmp_path / "model"), Word2VecSummary(str(tmp_path / "model"), 12, 0, 0.0, None))
    ours._set(vectorSize=8, inputCol="words", outputCol="features")
    asked = spark.createDataFrame(SENTENCES, "words array<string>").coalesce(1)
    expected = [row.features.toArray() for row in theirs.transform(asked).collect()]
    found = [row.features.toArray() for row in ours.transform(asked).collect()]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    assert not np.any(found[2:])


def test_transform_adds_one_column(spark: SparkSession, model: Word2VecModel, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(i, words) for i, (words,) in enumerate([*SENTENCES, (None,)])]
    asked = spark.createDataFrame(rows, "`a.b` int, words array<string>").coalesce(1)
    found = model.transform(asked)
    assert found.columns == ["a.b", "words", "features"]
    assert found.schema["features"].metadata == {"ml_attr": {"num_attrs": 8}}
    by_arrow = [row.features for row in found.collect()]
    assert isinstance(by_arrow[0], DenseVector)
    assert by_arrow[-1] is None
    mean = (model.wv["sea0"].astype(float) + model.wv["sea1"] + model.wv["hill0"]) / 3
    np.testing.assert_allclose(by_arrow[0].toArray(), mean)
    np.testing.assert_allclose(by_arrow[1].toArray(), model.wv["sea0"].astype(float) * 2 / 5)
    monkeypatch.delattr(udfs, "arrow_udf", raising=False)  # as in pyspark 4.0
    assert [row.features for row in model.transform(asked).collect()] == by_arrow


@pytest.mark.skipif(not hasattr(udfs, "arrow_udf"), reason="Spark 4.0 takes Arrow's data through pandas alone")
def test_transform_asks_workers_for_no_pandas(
    spark: SparkSession, model: Word2VecModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pandas.py").write_text("raise ImportError('there is none')")
    # of another environment Spark starts workers anew
    monkeypatch.setitem(spark.sparkContext.environment, "PYTHONPATH", str(tmp_path))
    found = model.transform(spark.createDataFrame([(["sea0"],)], "words array<string>")).head()
    np.testing.assert_allclose(found.features.toArray(), model.wv["sea0"])


def test_long_sentences_are_summed_in_pieces(spark: SparkSession, model: Word2VecModel) -> None:
    words = ["sea0"] * 9000 + ["hill0"] * 9000
    asked = spark.createDataFrame([(["hill1"],), (words,), (["sea1"],)], "words array<string>").coalesce(1)
    found = [row.features.toArray() for row in model.transform(asked).collect()]
    np.testing.assert_allclose(found[0], model.wv["hill1"])
    np.testing.assert_allclose(found[1], (model.wv["sea0"].astype(float) + model.wv["hill0"]) / 2)
    np.testing.assert_allclose(found[2], model.wv["sea1"])


def test_columns_are_checked_before_any_job(spark: SparkSession, model: Word2VecModel) -> None:
    frame = spark.createDataFrame([("a b", ["a"], 1.0)], "text string, words array<string>, features double")
    cases = [
        ({"inputCol": "word"}, InputError, r"input column 'word' is not in the DataFrame \(did you mean 'words'\?\)"),
        ({"inputCol": "text"}, InputError, "input column 'text' is string: must be array<string>; put a Tokenizer"),
        ({"inputCol": "features"}, InputError, "input column 'features' is double: must be array<string>"),
        ({"inputCol": "words"}, InputError, "output column 'features' is in the DataFrame already: set outputCol"),
        ({}, ParamError, "inputCol is not set: name the column of words"),
    ]
    for columns, kind, sentence in cases:
        estimator, copy = Word2Vec(outputCol="features", **columns), model.copy()
        copy.clear(copy.inputCol)
        with pytest.raises(kind, match=sentence):
            estimator.fit(frame)
        with pytest.raises(kind, match=sentence):
            copy._set(**columns).transform(frame)


def test_only_dataframes_are_taken(model: Word2VecModel) -> None:
    for method, given, kind in ((Word2Vec(inputCol="words").fit, [["a"]], "list"), (model.transform, "a b", "str")):
        with pytest.raises(InputError, match=f"^{method.__name__} takes a Spark DataFrame, not {kind}: sentences in "):
            method(given)


def test_fit_works_below_its_directory(
    spark: SparkSession, sentences: DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimator = Word2Vec(inputCol="words", workDir=str(tmp_path / "rounds"), minCount=10_000)
    with pytest.raises(InputError, match="none occurs 10000 times"):
        estimator.fit(sentences)
    assert not list((tmp_path / "rounds").iterdir()), "a failed fit leaves nothing"
    before = spark.conf.getAll
    fitted = estimator.fit(sentences, {estimator.minCount: 1, estimator.vectorSize: 4})
    (directory,) = (tmp_path / "rounds").iterdir()
    assert fitted.directory == directory.as_uri().replace("file:///", "file:/")
    assert {path.name for path in directory.iterdir()} >= {"model.json", "vectors", "metrics"}
    assert not (directory / "work").exists()
    assert fitted.getVectorSize() == 4
    assert spark.conf.getAll == before
    assert SparkSession.active()._jsparkSession.equals(spark._jsparkSession)
    monkeypatch.setattr(workplace, "is_local", lambda spark: False)
    with pytest.raises(ParamError, match="set workDir, or a checkpoint directory by spark.checkpoint.dir"):
        Word2Vec(inputCol="words").fit(sentences)


def test_the_pipeline_that_the_documentation_shows(spark: SparkSession, tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "estimator.md").read_text()
    shown = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0].replace("hdfs:///", f"{tmp_path.as_uri()}/")
    royal = {"sea0": "king", "sea1": "woman", "sea2": "man"}
    rows = [(label, " ".join(royal.get(word, word) for word in words)) for label, words in _sentences()]
    texts = spark.createDataFrame(rows, "label double, text string")
    found: dict[str, Any] = {"texts": texts}
    exec(shown, found)
    loaded = PipelineModel.load(str(tmp_path / "models" / "topics"))
    assert isinstance(loaded.stages[1], Word2VecModel)
    assert [row.prediction for row in loaded.transform(texts).collect()] == [label for label, _ in rows]
    assert found["fitted"].stages[1].getMaxIter() == 3


def test_the_output_of_a_run_is_loaded(spark: SparkSession, model: Word2VecModel, tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "estimator.md").read_text()
    shown = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[1].replace("out/en", model.directory)
    texts = spark.createDataFrame([("Sea0 sea1 hill0",)], "text string")
    names: dict[str, Any] = {"Word2VecModel": Word2VecModel, "Pipeline": Pipeline, "Tokenizer": feature.Tokenizer}
    exec(shown, {"texts": texts} | names, found := dict[str, Any]())
    loaded = found["model"]
    assert loaded.summary == model.summary
    for name in ("vectorSize", "minCount", "maxIter", "stepSize", "numReplicas", "threadsPerReplica", "negative"):
        assert loaded.getOrDefault(name) == model.getOrDefault(name), name
    saved = tmp_path / "pipeline"
    Pipeline(stages=[feature.Tokenizer(inputCol="text", outputCol="words"), loaded]).fit(texts).save(str(saved))
    mean = PipelineModel.load(str(saved)).transform(texts).head().features.toArray()
    np.testing.assert_allclose(mean, model.wv[["sea0", "sea1", "hill0"]].astype(float).mean(axis=0))


def test_files_that_the_manifest_does_not_name_are_not_read(model: Word2VecModel, tmp_path: Path) -> None:
    directory = shutil.copytree(model.directory.removeprefix("file:"), tmp_path / "model")
    for folder in ("vectors", "metrics"):
        named = next((directory / folder).glob("*.parquet"))
        shutil.copy(named, named.with_name("left-behind.parquet"))
    loaded = Word2VecModel.load(str(directory))
    assert [row.word for row in loaded.getVectors().collect()] == model.wv.index_to_key
    assert loaded.findSynonyms("sea0", 1000).count() == 11
    assert loaded.summary == replace(model.summary, directory=loaded.directory)
    assert loaded.summary.rounds.count() == model.summary.rounds.count()


@pytest.mark.slow
def test_cross_validation_fits_in_threads(spark: SparkSession, sentences: DataFrame) -> None:
    word2vec = Word2Vec(inputCol="words", outputCol="features", **{**TRAINED, "maxIter": 4})
    grid = ParamGridBuilder().addGrid(word2vec.vectorSize, [2, 8]).build()
    before = spark.conf.getAll
    validator = CrossValidator(
        estimator=Pipeline(stages=[word2vec, LogisticRegression(maxIter=5)]),
        estimatorParamMaps=grid,
        evaluator=MulticlassClassificationEvaluator(metricName="accuracy"),
        numFolds=2,
        parallelism=2,
        seed=1,
    )
    found = validator.fit(sentences)
    assert len(found.avgMetrics) == 2
    assert max(found.avgMetrics) > 0.95
    assert found.bestModel.stages[0].getVectorSize() in (2, 8)
    assert spark.conf.getAll == before


# the examples that print trained numbers, and what is asked instead
REPLACED = {
    "model.getVectors().show()\n": (
        "sorted(r.word for r in model.getVectors().collect()), model.getVectors().head().vector.size\n",
        "(['a', 'b', 'c'], 5)\n",
    ),
    'model.findSynonymsArray("a", 2)\n': (
        "found = model.findSynonymsArray('a', 2)\nsorted(w for w, _ in found), 1 >= found[0][1] >= found[1][1] >= -1\n",
        "(['b', 'c'], True)\n",
    ),
    'model.findSynonyms("a", 2).select("word", fmt("similarity", 5).alias("similarity")).show()\n': (
        "rows = model.findSynonyms('a', 2).select('word', fmt('similarity', 5).alias('similarity')).collect()\n"
        "[(r.word, r.similarity) for r in rows] == [(w, f'{s:.5f}') for w, s in found]\n",
        "True\n",
    ),
    "model.transform(doc).head().model\n": (
        "type(model.transform(doc).head().model).__name__, model.transform(doc).head().model.size\n",
        "('DenseVector', 5)\n",
    ),
}


def test_pysparks_own_examples(spark: SparkSession, tmp_path: Path) -> None:
    names = {"spark": spark, "temp_path": str(tmp_path), "Word2Vec": Word2Vec, "Word2VecModel": Word2VecModel}
    test = doctest.DocTestParser().get_doctest(feature.Word2Vec.__doc__ or "", names, "Word2Vec", None, 0)
    assert [e.source for e in test.examples if e.source in REPLACED] == list(REPLACED)
    examples = []
    for example in test.examples:
        *sources, last = REPLACED.get(example.source, (example.source, example.want))[0].splitlines(keepends=True)
        want = REPLACED.get(example.source, (example.source, example.want))[1]
        examples += [doctest.Example(source, "") for source in sources] + [doctest.Example(last, want)]
    test.examples = examples
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert runner.run(test, out=told.append).failed == 0, "".join(told)


def test_spark_connect_is_refused_in_a_sentence() -> None:
    frame_of_connect = object.__new__(type("DataFrame", (DataFrame,), {"sparkSession": type("SparkSession", (), {})()}))
    type(frame_of_connect.sparkSession).__module__ = "pyspark.sql.connect.session"
    with pytest.raises(W2VError, match="Spark Connect session has none: start it with a master"):
        Word2Vec(inputCol="words")._fit(frame_of_connect)

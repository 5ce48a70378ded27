"""Saving and loading of the Estimator and its model, also across processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from file_systems import LikeAnObjectStore, OnDisk, place_of
from pyspark.ml import PipelineModel
from pyspark.ml.feature import Tokenizer
from pyspark.sql import SparkSession

import w2v_spark
from w2v_spark import Word2Vec, Word2VecModel
from w2v_spark.errors import FormatError, InputError, OutputError
from w2v_spark.ml import files
from w2v_spark.ml.copying import copy_file
from w2v_spark.ml.summary import Word2VecSummary
from w2v_spark.place import Place
from w2v_spark.vectors.save import write_model

WORDS = ["le mot", "two\nlines", "词"]

LOAD = """
import json, sys
from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession
from w2v_spark.ml.workplace import fresh_directory
builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
spark = builder.config("spark.checkpoint.dir", sys.argv[2]).getOrCreate()
model = PipelineModel.load(sys.argv[1]).stages[0]
frame = spark.createDataFrame([(["le mot", "two\\nlines", "?"],)], "words array<string>")
print(json.dumps({
    "class": f"{type(model).__module__}.{type(model).__name__}", "uid": model.uid,
    "mean": model.transform(frame).head().features.toArray().tolist(), "summary": model.summary.to_dict(),
    "window": model.getWindowSize(), "fits": fresh_directory(spark, None).__enter__(),
    "near": model.findSynonyms("le mot", 1).head().word,
}))
"""


@pytest.fixture
def model(tmp_path: Path) -> Word2VecModel:
    """A model that was not trained here: three words in a directory of their own."""
    directory = str(tmp_path / "trained")
    matrix = np.array([[1, 0, 0.5], [1, 1, 0], [-1, 0, 0]], np.float32)
    write_model(w2v_spark.Vectors(WORDS, matrix, np.array([9, 5, 2])), directory, {})
    found = Word2VecModel(directory, Word2VecSummary(directory, 3, 16, 12.5, None))
    return found._set(vectorSize=3, windowSize=2, inputCol="words", outputCol="features")


@pytest.mark.slow
def test_another_process_loads_it(spark: SparkSession, model: Word2VecModel, tmp_path: Path) -> None:
    from pyspark.ml import PipelineModel

    path = str(tmp_path / "pipeline")
    PipelineModel([model]).save(path)
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, path, str(tmp_path / "checkpoints")],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert f"{tmp_path}/checkpoints/" in told.pop("fits"), "the checkpoint directory is where fits work"
    assert told == {
        "class": "w2v_spark.Word2VecModel",
        "uid": model.uid,
        "mean": pytest.approx([2 / 3, 1 / 3, 0.5 / 3]),
        "summary": {"words": 3, "totalCount": 16, "wordsPerSecond": 12.5, "loss": None},
        "window": 2,
        "near": "two\nlines",
    }


def test_a_pipeline_that_overwrites_the_vectors_of_its_own_model(
    spark: SparkSession, model: Word2VecModel, tmp_path: Path
) -> None:
    path = str(tmp_path / "pipeline")
    PipelineModel([model]).write().overwrite().save(path)
    loaded = PipelineModel.load(path)
    with pytest.raises(OutputError, match=r"^.* overwrite\(\) has deleted them before it saved: a model that"):
        loaded.write().overwrite().save(path)
    PipelineModel([model]).write().overwrite().save(path)


def test_a_place_that_cannot_be_written_is_named(spark: SparkSession, model: Word2VecModel, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"^\S+/file/below cannot be written: ") as refused:
        model.save(str(tmp_path / "file" / "below"))
    assert len(str(refused.value).splitlines()) == 1 and "file" in str(refused.value).partition(": ")[2]


def test_a_saved_model_needs_its_source_no_more(spark: SparkSession, model: Word2VecModel, tmp_path: Path) -> None:
    path = tmp_path / "saved model"
    model.save(str(path))
    assert sorted(p.name for p in path.iterdir()) == ["data", "metadata"]
    assert sorted(p.name for p in (path / "data").iterdir()) == ["model.json", "vectors", "vocab"]
    assert (path / "data" / "model.json").read_bytes() == (tmp_path / "trained" / "model.json").read_bytes()
    assert not any(p.suffix in (".pkl", ".pickle") for p in path.rglob("*"))
    (tmp_path / "trained").rename(tmp_path / "moved")
    loaded = Word2VecModel.load(str(path))
    assert loaded.wv.index_to_key == WORDS
    assert [row.word for row in loaded.getVectors().collect()] == WORDS
    assert (loaded.summary.words, loaded.getVectorSize(), loaded.uid) == (3, 3, model.uid)
    with pytest.raises(OutputError, match=r"is there already: give another path, or use write\(\).overwrite"):
        model.save(str(path))
    for own in (path, path / "data", tmp_path):
        with pytest.raises(OutputError, match="holds the vectors of this very model"):
            loaded.write().overwrite().save(str(own))
    loaded.copy().save(str(tmp_path / "again"))
    loaded.write().overwrite().save(str(tmp_path / "again"))
    assert len(Word2VecModel.read().load(str(tmp_path / "again")).wv) == 3


class Unreadable(OnDisk):
    """Opens files, and then gives nothing of them."""

    def open_input_stream(self, path: str) -> Any:
        file = super().open_input_stream(path)
        file.close()
        return file


def test_an_attempt_that_fails_leaves_the_file_of_another_whole(tmp_path: Path) -> None:
    source, target, stored = tmp_path / "source", tmp_path / "target", tmp_path / "stored"
    source.mkdir()
    (source / "part").write_bytes(b"vectors")
    copy_file(Place.open(source), Place.open(target), "part", ".drafts")
    with pytest.raises((OSError, ValueError)):
        copy_file(place_of(Unreadable(), source), Place.open(target), "part", ".drafts")
    assert (target / "part").read_bytes() == b"vectors"
    # it renames nothing
    copy_file(Place.open(source), place_of(LikeAnObjectStore(), stored), "part", ".drafts")
    assert [path.name for path in stored.iterdir()] == ["part"]


def test_a_copy_that_lacks_something_is_no_model(spark: SparkSession, model: Word2VecModel, tmp_path: Path) -> None:
    path = tmp_path / "saved"
    (file,) = (tmp_path / "trained" / "vectors").iterdir()
    size = file.stat().st_size
    with file.open("ab") as end:
        end.write(b"more")
    with pytest.raises(OutputError) as caught:
        model.save(str(path))
    assert str(caught.value) == (
        f"file:{path}/data/vectors/{file.name} has {size + 4} bytes, the manifest says {size} bytes: the model was not "
        "copied whole; save it again, to a new directory"
    )
    assert sorted(p.name for p in (path / "data").iterdir()) == ["vectors", "vocab"]
    with pytest.raises(FormatError) as unfinished:
        Word2VecModel.load(str(path))
    assert str(unfinished.value) == (
        f"{path} was not saved whole: it lacks data/model.json, which is written last; save the model again"
    )
    (path / "data" / "model.json").write_text("{}")
    with pytest.raises(FormatError, match="/data/model.json was not written by w2v_spark$"):
        Word2VecModel.load(str(path))


@pytest.mark.parametrize(("connect", "given"), [(False, "vectors"), (True, "")])
def test_a_converted_model_is_loaded(
    spark: SparkSession,
    model: Word2VecModel,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    connect: bool,
    given: str,
) -> None:
    # what a client of Spark Connect cannot see, an executor looks at
    monkeypatch.setattr(files, "is_connect", lambda spark: connect)
    # nor is a name taken for a pattern
    directory = (tmp_path / "trained").rename(tmp_path / "[1] trained")
    loaded = Word2VecModel.load(str(directory / given))
    assert [row.word for row in loaded.getVectors().collect()] == WORDS
    assert loaded.summary.to_dict() == {"words": 3, "totalCount": 16, "wordsPerSecond": None, "loss": None}
    assert (loaded.getVectorSize(), loaded.isDefined("inputCol")) == (3, False)
    with pytest.raises(InputError, match="trained has no metrics of rounds: it was converted, not trained$"):
        _ = loaded.summary.rounds
    with pytest.raises(FormatError, match="^no vectors at file:/nowhere: there is no such directory; give"):
        Word2VecModel.load("/nowhere")
    manifest = (directory / "model.json").read_text()
    (directory / "model.json").write_text(manifest.replace("part-00000", "../part-00000"))
    with pytest.raises(FormatError, match="which lies outside of it: the directory is not ours$"):
        loaded.getVectors()


def test_an_estimator_is_not_read_from_a_model(spark: SparkSession, model: Word2VecModel, tmp_path: Path) -> None:
    model.save(str(tmp_path / "model"))
    says = f"{tmp_path}/model holds a w2v_spark.Word2VecModel, not a w2v_spark.Word2Vec: load it with its own class"
    with pytest.raises(FormatError, match=f"^{says}$"):
        Word2Vec.load(str(tmp_path / "model"))
    says = f"{tmp_path}/none holds no w2v_spark.Word2Vec; Word2VecModel.load reads what a training run wrote"
    with pytest.raises(FormatError, match=f"^{says}$"):
        Word2Vec.load(str(tmp_path / "none"))


def test_the_estimator_and_foreign_directories(spark: SparkSession, tmp_path: Path) -> None:
    estimator = Word2Vec(vectorSize=7, numReplicas=2, inputCol="words").setNumReplicas("auto")
    estimator.save(str(tmp_path / "estimator"))
    loaded = Word2Vec.load(str(tmp_path / "estimator"))
    assert (loaded.uid, loaded.extractParamMap()) == (estimator.uid, estimator.extractParamMap())
    Tokenizer().save(str(tmp_path / "other"))
    with pytest.raises(
        FormatError, match="holds a org.apache.spark.ml.feature.Tokenizer, not a w2v_spark.Word2VecModel"
    ):
        Word2VecModel.load(str(tmp_path / "other"))

"""The Params of the Estimator: those of pyspark's Word2Vec and of w2v_spark.train, under the names Spark gives them."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from pyspark.ml import feature
from pyspark.ml.param import shared
from pyspark.sql import SparkSession

from w2v_spark import Word2Vec, Word2VecModel, params
from w2v_spark.errors import ParamError
from w2v_spark.ml.params import _NOT_HERE, camel_case, settings

PYSPARKS = (
    "vectorSize minCount numPartitions stepSize maxIter seed inputCol outputCol windowSize maxSentenceLength".split()
)


def _public(cls: type) -> set[str]:
    return {name for name in dir(cls) if not name.startswith("_")}


def test_everything_public_in_pyspark_is_here() -> None:
    assert _public(feature.Word2Vec) <= _public(Word2Vec)
    assert _public(feature.Word2VecModel) <= _public(Word2VecModel)


def test_defaults_are_pysparks(spark: SparkSession) -> None:
    theirs, ours = feature.Word2Vec(), Word2Vec()
    chosen_here = {"seed", "numPartitions"}  # theirs: a hash of the class's name; 1, as more cost quality there
    for name in set(PYSPARKS) - {"inputCol", "outputCol"} - chosen_here:
        assert ours.getOrDefault(name) == theirs.getOrDefault(name), name
    assert (ours.getSeed(), ours.getNumPartitions(), ours.getSample()) == (1, None, 0.0)
    assert ours.getOutputCol() == f"{ours.uid}__output"
    assert not ours.isDefined("inputCol")


def test_every_training_parameter_that_words_leave_open_is_a_param() -> None:
    ours = {param.name for param in Word2Vec().params}
    assert ours - {"inputCol", "outputCol", "numPartitions", "workDir"} == {
        camel_case(name) for name in params.specs() if name not in _NOT_HERE
    }


def test_setters_getters_and_documentation() -> None:
    stage = Word2Vec(vectorSize=7)
    assert stage.setWindowSize(3).setNegative(9).setWorkDir("rounds") is stage
    assert (stage.getVectorSize(), stage.getWindowSize(), stage.getNegative()) == (7, 3, 9)
    assert stage.getWorkDir() == "rounds"
    assert stage.setParams(maxIter=4, inputCol="words").getMaxIter() == 4
    assert "an integer from 1 to 1,024 (default: 100, current: 7)" in stage.explainParams()
    assert stage.setWindowSize.__doc__.startswith("Set windowSize")
    shown = inspect.signature(Word2Vec).parameters
    assert set(PYSPARKS) <= set(shown)
    assert shown["stepSize"].default == 0.025


def test_none_takes_a_value_back() -> None:
    stage = Word2Vec(vectorSize=None, seed=None, inputCol=None, numReplicas=3)
    assert (stage.getVectorSize(), stage.getSeed(), stage.isDefined("inputCol")) == (100, 1, False)
    assert stage.setNumReplicas(None).getNumReplicas() is None
    assert stage.setNumReplicas("auto").getNumReplicas() is None
    assert stage.copy().getNumReplicas() is None


def test_values_are_checked_and_numpy_numbers_taken() -> None:
    stage = Word2Vec(vectorSize=np.int32(7), stepSize=np.float32(0.5))
    assert type(stage.getVectorSize()) is int
    expected = "parameter vectorSize given invalid value -5: must be an integer from 1 to 1,024"
    for wrong in (lambda: Word2Vec(vectorSize=-5), lambda: stage.setVectorSize(-5)):
        with pytest.raises(ParamError, match=expected):
            wrong()
    with pytest.raises(ParamError, match=expected):
        stage.copy({stage.vectorSize: -5})
    with pytest.raises(ParamError, match="unknown parameter 'vectorsize' .did you mean 'vectorSize'."):
        Word2Vec(vectorsize=5)


def test_gensims_first_call_is_told_where_sentences_go() -> None:
    with pytest.raises(TypeError) as error:
        Word2Vec([["king", "queen"]], vector_size=100)
    assert str(error.value) == (
        "Word2Vec was given a value of type list without a name: it takes parameters by name, "
        "Word2Vec(inputCol='words', vectorSize=100), and sentences by .fit(dataframe); w2v_spark.train(paths, output) "
        "trains on files"
    )


@pytest.mark.parametrize("kind", [shared.HasStepSize, shared.HasMaxIter, shared.HasSeed])
def test_generic_code_finds_what_pyspark_has(kind: type) -> None:
    assert issubclass(feature.Word2Vec, kind) and issubclass(feature.Word2VecModel, kind)
    assert issubclass(Word2Vec, kind) and issubclass(Word2VecModel, kind)


def test_pysparks_params_do_not_replace_ours() -> None:
    stage = Word2Vec(stepSize=np.float32(0.5), maxIter="3", seed=None)
    assert (stage.getStepSize(), stage.getMaxIter(), stage.getSeed()) == (0.5, 3, 1)
    for name, setting in settings().items():
        assert stage.getParam(name).doc == f"{setting.spec.help}; {setting.spec.allowed()}", name
        assert stage._defaultParamMap[stage.getParam(name)] == setting.default, name


def test_what_training_gets() -> None:
    given = Word2Vec(minCount=0, seed=-2, numPartitions=3, workDir="x")._training_params()
    assert (given["min_count"], given["seed"], given["num_replicas"]) == (1, 2**63 - 2, 3)
    assert params.Params.from_dict(given).step_size == 0.025
    assert Word2Vec(numReplicas=2, numPartitions=2)._training_params()["num_replicas"] == 2
    with pytest.raises(ParamError, match="numReplicas is 2 and numPartitions 3"):
        Word2Vec(numReplicas=2, numPartitions=3)._training_params()

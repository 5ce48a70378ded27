"""Parameters: their ranges, their messages, and that every place shows the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from w2v_spark import params
from w2v_spark.errors import ParamError
from w2v_spark.params import Params

WRONG = [
    ("vector_size", 0, "an integer from 1 to 1,024"),
    ("vector_size", 1025, "an integer from 1 to 1,024"),
    ("vector_size", 1.5, "an integer from 1 to 1,024"),
    ("vector_size", "many", "an integer from 1 to 1,024"),
    ("vector_size", None, "an integer from 1 to 1,024"),
    ("vector_size", True, "an integer from 1 to 1,024"),
    ("vector_size", 10**400, "an integer from 1 to 1,024"),
    ("vector_size", "1" + "0" * 400, "an integer from 1 to 1,024"),
    ("phrases", 11, "an integer from 0 to 10"),
    ("phrase_min_count", 0, "an integer of at least 1"),
    ("phrase_threshold", 0, "a number of at least 1e-06"),
    ("vectors", "syn1", "one of input, output, mean"),
    ("window_size", 0, "an integer from 1 to 20"),
    ("window_size", 21, "an integer from 1 to 20"),
    ("min_count", 0, "an integer of at least 1"),
    ("max_vocab", 0, "an integer of at least 1, or none"),
    ("negative", 0, "an integer from 1 to 32"),
    ("negative", 33, "an integer from 1 to 32"),
    ("noise_exponent", 2.1, "a number from -2 to 2"),
    ("noise_exponent", float("nan"), "a number from -2 to 2"),
    ("exclude_window", "always", "true or false"),
    ("sample", -0.1, "a number from 0 to 1"),
    ("step_size", 0, "a number from 1e-06 to 1"),
    ("step_size", 1.1, "a number from 1e-06 to 1"),
    ("step_size", 10**400, "a number from 1e-06 to 1"),
    ("min_step_size", -1, "a number from 0 to 1"),
    ("max_iter", 0, "an integer from 1 to 10,000"),
    ("seed", -1, "an integer from 0 to 9,223,372,036,854,775,807"),
    ("max_sentence_length", 1, "an integer from 2 to 1,000,000"),
    ("num_replicas", 0, "an integer from 1 to 1,024, or auto"),
    ("num_replicas", "some", "an integer from 1 to 1,024, or auto"),
    ("threads_per_replica", 0, "an integer from 1 to 256, or auto"),
    ("rounds_per_epoch", 0, "an integer from 1 to 10,000, or auto"),
    ("exchange", "flight", "one of storage, direct, auto"),
    ("architecture", "skipgram", "one of skip_gram, cbow"),
    ("loss", "ns", "one of negative_sampling, hierarchical_softmax, softmax"),
    ("cbow_mean", 1, "true or false"),
    ("device", "gpu", "one of auto, cpu, cuda"),
    ("merge_rule", "sum", "one of sequential, adasum, mean, mean_touched, count_weighted"),
    ("tokenizer", "", "one of words, whitespace, chinese, or module:function"),
    ("tokenizer", "nope", "one of words, whitespace, chinese, or module:function"),
    ("tokenizer", 5, "one of words, whitespace, chinese, or module:function"),
    ("lowercase", 1, "true or false"),
]


@pytest.mark.parametrize(("name", "value", "allowed"), WRONG)
def test_a_wrong_value_is_told(name: str, value: object, allowed: str) -> None:
    with pytest.raises(ParamError) as raised:
        Params.from_dict({name: value})
    hint = " (did you mean 'skip_gram'?)" if value == "skipgram" else ""
    assert str(raised.value) == f"parameter {name} given invalid value {value!r}: must be {allowed}{hint}"


def test_every_parameter_has_a_wrong_value_above() -> None:
    assert {name for name, _, _ in WRONG} == set(params.specs())


def test_what_is_taken() -> None:
    taken = Params(
        vector_size=np.int64(5), sample=np.float32(0.5), seed=2**63 - 1, num_replicas="auto", max_vocab="none",
        lowercase="false", step_size="0.1", max_iter=3.0,
    )  # type: ignore[arg-type]  # fmt: skip
    assert (taken.vector_size, taken.sample, taken.num_replicas, taken.max_vocab) == (5, 0.5, None, None)
    assert (taken.lowercase, taken.step_size, taken.max_iter, taken.seed) == (False, 0.1, 3, 2**63 - 1)
    assert Params.from_dict(taken.to_dict()) == taken


def test_the_smaller_step_is_the_smaller() -> None:
    with pytest.raises(
        ParamError, match=r"min_step_size given invalid value 0\.1: must be at most step_size \(0\.05\)"
    ):
        Params(min_step_size=0.1)


def test_a_run_has_no_more_rounds_than_a_driver_can_plan() -> None:
    assert Params(max_iter=10_000, rounds_per_epoch=10).rounds_per_epoch == 10
    with pytest.raises(
        ParamError,
        match="^parameter rounds_per_epoch given invalid value 11: with max_iter 10000 that makes 110,000 rounds, and "
        "a run may have 100,000$",
    ):
        Params(max_iter=10_000, rounds_per_epoch=11)


def test_toml(tmp_path: Path) -> None:
    file = tmp_path / "train.toml"
    file.write_text('vector_size = 50\nnum_replicas = "auto"\n')
    assert params.read_toml(file) == {"vector_size": 50, "num_replicas": "auto"}
    file.write_text("vectorsize = 50\n")
    with pytest.raises(
        ParamError, match=r"unknown parameter 'vectorsize' in .*train.toml \(did you mean 'vector_size'\?\)"
    ):
        params.read_toml(file)
    file.write_text("vector_size 50\n")
    with pytest.raises(ParamError, match="is not valid TOML"):
        params.read_toml(file)
    with pytest.raises(ParamError, match="cannot read the configuration .*: No such file"):
        params.read_toml(tmp_path / "missing.toml")


def test_what_toml_says_is_checked_beside_the_options(tmp_path: Path) -> None:
    file = tmp_path / "train.toml"
    file.write_text('vectors = "output"\nloss = "hierarchical_softmax"\nmin_step_size = 0.06\n')
    options = {"loss": "negative_sampling", "step_size": 0.1}
    together = Params.from_dict(params.read_toml(file) | options)
    assert (together.vectors, together.min_step_size) == ("output", 0.06)
    with pytest.raises(ParamError, match=r"min_step_size given invalid value 0\.06: must be at most step_size"):
        Params.from_dict(params.read_toml(file))
    file.write_text("step_size = 2\n")
    with pytest.raises(ParamError, match="step_size given invalid value 2: must be a number from 1e-06 to 1"):
        params.read_toml(file)


def test_the_readme_shows_each_parameter() -> None:
    rows = ["| parameter | default | allowed | what it does |", "|---|---|---|---|"]
    for name, spec in params.specs().items():
        default = params.spelt(name, params.default(name))
        rows.append(f"| `{name}` | {default} | {spec.allowed()} | {spec.help} |")
    assert "\n".join(rows) in (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("num_replicas", None, "auto"),
        ("max_vocab", None, "none"),
        ("vocab", None, "none"),
        ("lowercase", True, "true"),
        ("seed", 2**63 - 1, "9223372036854775807"),
        ("phrase_threshold", 10.0, "10"),
        ("sample", 1e-4, "0.0001"),
        ("step_size", 0.050000001, "0.050000001"),
    ],
)
def test_a_value_is_spelt_so_that_it_can_be_given(name: str, value: object, text: str) -> None:
    assert params.spelt(name, value) == text
    if name in params.specs():
        assert params.checked(name, params.specs()[name], text) == value


def test_counts_of_words_are_none_of_nodes() -> None:
    with pytest.raises(ParamError, match="must be another with loss hierarchical_softmax, as it weighs by counts"):
        Params(loss="hierarchical_softmax", merge_rule="count_weighted")

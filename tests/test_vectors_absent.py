"""Names of gensim's KeyedVectors that are not there: each tells what to use instead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from gensim.models import KeyedVectors

from w2v_spark.errors import ParamError, W2VError
from w2v_spark.vectors.absent import INSTEAD
from w2v_spark.vectors.vectors import Vectors


@pytest.fixture(scope="module")
def small() -> Vectors:
    return Vectors(["a", "b"], np.eye(2, dtype=np.float32), np.array([5, 3]))


def test_every_name_of_gensim_is_there_or_told(small: Vectors) -> None:
    theirs = {name for name in {*dir(KeyedVectors), *vars(KeyedVectors(2))} if not name.startswith("_")}
    # what their load and save keep to themselves, and logs
    own = {"add_lifecycle_event", "lifecycle_events", "next_index", "mapfile_path"}
    assert {name for name in theirs if not hasattr(small, name)} - own == set(INSTEAD)


@pytest.mark.parametrize("name", INSTEAD)
def test_what_to_use_instead(small: Vectors, name: str) -> None:
    assert not hasattr(small, name)
    with pytest.raises(AttributeError) as error:
        getattr(small, name)
    assert str(error.value) == f"'Vectors' object has no attribute {name!r}: {INSTEAD[name]}"
    assert f"`{name}`" in (ROOT / "docs" / "queries.md").read_text()


def test_load_is_told_on_the_class() -> None:
    assert not hasattr(Vectors, "load")
    with pytest.raises(AttributeError, match="has no attribute 'load': it reads pickle, which runs code; use Vectors"):
        Vectors.load("x.kv")


def test_other_names(small: Vectors) -> None:
    with pytest.raises(AttributeError, match="^'Vectors' object has no attribute 'colour'$"):
        _ = small.colour  # wrong on purpose
    assert not hasattr(small, "__array__")


@pytest.mark.parametrize(
    ("given", "default"),
    [
        ({"total_vec": 3}, "None"),
        ({"write_header": False}, "True"),
        ({"prefix": "*"}, "''"),
        ({"append": True}, "False"),
        ({"sort_attr": "colour"}, "'count'"),
    ],
)
def test_what_saving_does_not_know(small: Vectors, tmp_path: Path, given: dict[str, object], default: str) -> None:
    ((name, value),) = given.items()
    with pytest.raises(ParamError) as error:
        small.save_word2vec_format(tmp_path / "x.txt", **given)  # wrong on purpose
    assert str(error.value) == (
        f"{name} must be {default} in save_word2vec_format, got {value!r}: vectors.to_gensim() gives a KeyedVectors "
        "that knows others"
    )
    assert not list(tmp_path.iterdir())


def test_saving_with_gensims_defaults(small: Vectors, tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    small.save_word2vec_format(path, None, False, None, True, "", False, "count")
    assert Vectors.load_word2vec_format(path).index_to_key == ["a", "b"]
    for again in (path, tmp_path / "y.txt.gz"):
        with pytest.raises(W2VError) as error:
            small.save_word2vec_format(again)
        assert isinstance(error.value, ValueError)

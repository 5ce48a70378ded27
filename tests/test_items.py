"""Items that are no words: walks on a graph give back its communities."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest
from conftest import ROOT

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="module")
def walks() -> ModuleType:
    """jobs/walks.py."""
    spec = importlib.util.spec_from_file_location("walks", ROOT / "jobs" / "walks.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look their annotations up
    spec.loader.exec_module(module)
    return module


def test_walks_go_along_edges(walks: ModuleType) -> None:
    draw = np.random.default_rng(3)
    graph, community = walks.planted_communities(60, 4, 3, 1, draw)
    assert np.bincount(community).tolist() == [15] * 4
    edges = {(i, int(j)) for i in range(60) for j in graph.neighbours[graph.starts[i] : graph.starts[i + 1]]}
    assert edges == {(j, i) for i, j in edges}
    found = walks.random_walks(graph, 2, 7, draw)
    assert found.shape == (120, 7) and np.bincount(found[:, 0]).tolist() == [2] * 60
    assert {(int(a), int(b)) for walk in found for a, b in zip(walk[:-1], walk[1:], strict=True)} <= edges
    assert walks.as_table(found)["walk"][5].as_py() == [f"n{i}" for i in found[5]]


@pytest.mark.parametrize(("length", "told"), [pytest.param(20, False, marks=pytest.mark.slow), (30, True)])
def test_nearest_neighbours_share_the_community(
    spark: SparkSession, walks: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], length: int, told: bool
) -> None:
    options = f"--nodes 500 --communities 10 --walks 10 --walk-length {length} --output {tmp_path / 'out'}"
    assert walks.main(options.split()) == 0
    shown = capsys.readouterr().out
    found = re.search(r"of the 10 nearest neighbours ([\d.]+) % are of the same community, by chance 10.0 %", shown)
    assert found and float(found[1]) > 90
    assert ("more than 20 steps apart are not paired" in shown) == told
    assert walks.main(options.split()) == 2
    told = "holds a finished model: give overwrite=True (--overwrite) to replace it, or another directory"
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--nodes 1", "--nodes must be at least 2, got 1"),
        ("--communities 0", "--communities must be at least 1, got 0"),
        ("--walks 0", "--walks must be at least 1, got 0"),
        ("--walk-length 1", "--walk-length must be at least 2, got 1"),
        ("--epochs 0", "--epochs must be at least 1, got 0"),
        ("--seed -1", "--seed must be at least 0, got -1"),
        (
            "--nodes 5",
            "--nodes must be at least --communities, a node for each of 10; got 5: give more --nodes or fewer "
            "--communities",
        ),
    ],
)
def test_numbers_of_which_nothing_comes_are_refused(
    walks: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: str, message: str
) -> None:
    monkeypatch.delattr(walks, "own_session")  # nothing of Spark is asked for
    assert walks.main(options.split()) == 2
    assert capsys.readouterr() == ("", f"error: {message}\n")


def test_options_are_spelt_in_full(walks: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        walks.main(["--walk-len", "3"])
    assert "unrecognized arguments: --walk-len 3" in capsys.readouterr().err

"""jobs/evaluate.py: tables, JSON, and what is wrong said in a line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from make_model_v1 import MODEL_V1

from w2v_spark.cli_evaluate import evaluate_main
from w2v_spark.vectors.evaluate import evaluate_analogies
from w2v_spark.vectors.vectors import Vectors

V1 = ["--vectors", str(MODEL_V1)]


def write_test_files(folder: Path) -> tuple[Path, Path]:
    """Analogies and rated pairs of words of model-v1, as files."""
    questions, pairs = folder / "questions.txt", folder / "pairs.txt"
    questions.write_text(
        ": family\nsusuki susukiri busamu busamuri\na b c d\n: gram1\nsusuki busamu futima fizeda\n: gram2\n"
    )
    pairs.write_text("susuki busamu 3\nbusamu futima 2\nsusuki fizeda 9\nx y 3\n")
    return questions, pairs


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return write_test_files(tmp_path)


def test_evaluate(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    questions, pairs = files
    assert evaluate_main([*V1, "--analogies", str(questions), "--pairs", str(pairs)]) == 0
    assert capsys.readouterr().out == (
        f"{questions}\n"
        "section    correct  asked  skipped  accuracy\n"
        "family           1      1        1   100.0 %\n"
        "gram1            0      1        0     0.0 %\n"
        "gram2            0      0        0         -\n"
        "--------------------------------------------\n"
        "semantic         1      1        1   100.0 %\n"
        "syntactic        0      1        0     0.0 %\n"
        "total            1      2        1    50.0 %\n"
        "1 of 3 questions skipped (33.3 %): a word is not among the 200 most frequent\n"
        "\n"
        "word pairs  pairs  skipped   share     rho       r\n"
        "pairs.txt       3        1  25.0 %  1.0000  0.9967\n"
    )


def test_evaluate_json(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    questions, pairs = map(str, files)
    arguments = [
        "--analogies",
        questions,
        "--analogies",
        questions,
        "--pairs",
        pairs,
        "--restrict-vocab",
        "150",
        "--json",
    ]
    assert evaluate_main([*V1, *arguments]) == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report) == ["analogies", "pairs", "odd"]
    assert report["analogies"][0] == report["analogies"][1]
    assert list(report["analogies"][0]) == ["file", "vocabulary", "sections", "semantic", "syntactic", "total"]
    assert (report["analogies"][0]["file"], report["analogies"][0]["vocabulary"]) == (questions, 150)
    assert report["analogies"][0]["sections"][2] == {
        "name": "gram2", "correct": 0, "asked": 0, "skipped": 0, "accuracy": None,
    }  # fmt: skip
    assert report["pairs"] == [
        {
            "file": pairs,
            "vocabulary": 150,
            "pairs": 3,
            "skipped": 1,
            "unknown": 0.25,
            "spearman": 1.0,
            "pearson": 0.996685,
        }
    ]
    assert report["odd"] == []


def test_evaluate_odd_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "odd.txt"
    path.write_text("susuki medoke fizeda busamu\nsusuki busamu x\n")
    assert evaluate_main([*V1, "--odd", str(path)]) == 0
    assert capsys.readouterr().out == (
        f"{path}\nodd one out  correct  asked  skipped  accuracy\n                   1      1        1   100.0 %\n"
    )
    assert evaluate_main([*V1, "--odd", str(path), "--json"]) == 0
    score = {"correct": 1, "asked": 1, "skipped": 1, "accuracy": 1.0}
    assert json.loads(capsys.readouterr().out) == {
        "analogies": [],
        "pairs": [],
        "odd": [
            {
                "file": str(path),
                "vocabulary": 200,
                "sections": [{"name": ""} | score],
                "total": {"name": "total"} | score,
            }
        ],
    }


def test_evaluate_by_cosmul(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate_main([*V1, "--analogies", str(files[0]), "--cosmul", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["analogies"][0]["total"]
    expected = evaluate_analogies(Vectors.open(MODEL_V1), files[0], method="mul").total
    assert (found["correct"], found["asked"]) == (expected.correct, expected.asked)


def test_evaluate_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.txt").write_text(": s\na b c\n")
    for arguments, message in (
        ([], "nothing to test with: give --analogies FILE, --pairs FILE or --odd FILE"),
        (["--pairs", "x", "--restrict-vocab", "0"], "--restrict-vocab must be at least 1, got 0"),
        (["--pairs", "/nowhere/x"], "cannot read /nowhere/x: No such file or directory"),
        (
            ["--analogies", f"{tmp_path}/bad.txt"],
            f"{tmp_path}/bad.txt, line 2: expected four words 'A B C D' (A is to B as C is to D) or ': section', "
            "got 'a b c'",
        ),
    ):
        assert evaluate_main([*V1, *arguments]) == 2
        assert capsys.readouterr() == ("", f"error: {message}\n")

"""jobs/query.py and jobs/evaluate.py as a user runs them: output, messages, exit status, and no Java."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from make_model_v1 import MODEL_V1, write_model

from w2v_spark.cli_query import evaluate_main, query_main
from w2v_spark.vectors.text import shown, table, width

JOBS = Path(__file__).resolve().parents[1] / "jobs"
V1 = ["--vectors", str(MODEL_V1)]


def query(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The output of a query that succeeds."""
    assert query_main([*V1, *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def run(name: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A job in a process of its own, without Java and without our package on the path."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "JAVA_HOME", "SPARK_HOME")}
    environment["PATH"] = "/nowhere"
    command = [sys.executable, str(JOBS / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)


# ---- query


def test_similar(capsys: pytest.CaptureFixture[str]) -> None:
    assert query(capsys, "similar", "susuki", "--top", "3") == "medoke  0.9244\nfizeda  0.9221\ntotone  0.9162\n"
    assert len(query(capsys, "similar", "susuki").splitlines()) == 10


def test_similar_to_several_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert query(capsys, "--top", "2", "similar", "susuki", "Busamu") == (
        "susuki\n  medoke  0.9244\n  fizeda  0.9221\n\nbusamu\n  zogesu  0.9822\n  nivuge  0.9769\n"
    )


def test_analogy(capsys: pytest.CaptureFixture[str]) -> None:
    # susukiri - susuki + busamu
    assert query(capsys, "analogy", "susukiri", "susuki", "busamu", "--top=1") == "busamuri  0.9859\n"


def test_similarity(capsys: pytest.CaptureFixture[str]) -> None:
    assert query(capsys, "similarity", "susuki", "medoke") == "0.9244\n"


def test_vector(capsys: pytest.CaptureFixture[str]) -> None:
    assert query(capsys, "vector", "susuki") == (
        "  0.333586  -0.789108  -2.725946   1.232981   1.828738   2.669657   4.195022   3.134711\n"
        "  1.696157   3.546750  -1.639852  -1.398403  -0.986908   1.119697   1.552143   0.745814\n"
    )


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = {"word": "medoke", "cosine": 0.924369}, {"word": "fizeda", "cosine": 0.922126}
    assert json.loads(query(capsys, "similar", "--json", "--top", "2", "SUSUKI")) == {
        "command": "similar",
        "queries": [{"word": "susuki", "neighbours": [first, second]}],
    }
    assert json.loads(query(capsys, "--json", "--top", "1", "analogy", "susukiri", "susuki", "busamu")) == {
        "command": "analogy",
        "positive": ["susukiri", "busamu"],
        "negative": ["susuki"],
        "answers": [{"word": "busamuri", "cosine": 0.985856}],
    }
    assert json.loads(query(capsys, "similarity", "susuki", "medoke", "--json")) == {
        "command": "similarity",
        "words": ["susuki", "medoke"],
        "cosine": 0.924369,
    }
    answer = json.loads(query(capsys, "vector", "susuki", "--json"))
    assert (answer["command"], answer["word"], len(answer["vector"])) == ("vector", "susuki", 16)
    assert answer["vector"][0] == 0.33358648


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [*V1, "similar", "susukki"],
            "word 'susukki' is not in the vocabulary of 200 words; near spellings: susuki, susukiri",
        ),
        ([*V1, "similar", "susuki", "q"], "word 'q' is not in the vocabulary of 200 words"),
        ([*V1, "--top", "0", "similar", "susuki"], "--top must be at least 1, got 0"),
        (["similar", "susuki"], "no vectors given: add --vectors DIR, the output of a training run"),
        (
            ["similar", "susuki", "--vectors", "/nowhere"],
            "no vectors at /nowhere: there is no such directory; give the --output of a training run",
        ),
    ],
)
def test_query_mistakes(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert query_main(arguments) == 2
    assert capsys.readouterr() == ("", f"error: {message}\n")


@pytest.mark.parametrize(
    "arguments", [[], ["nearest", "x"], ["similarity", "a"], ["similar"], ["similar", "--top", "x"]]
)
def test_query_usage(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        query_main([*V1, *arguments])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("usage: ")


@pytest.mark.parametrize("main", [query_main, evaluate_main])
def test_help_documents_json(capsys: pytest.CaptureFixture[str], main: object) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])  # type: ignore[operator]
    assert stop.value.code == 0
    assert "JSON (" in capsys.readouterr().out
    for command in ("similar", "analogy", "similarity", "vector"):
        with pytest.raises(SystemExit):
            query_main([command, "--help"])
        assert "--vectors DIR" in capsys.readouterr().out


def test_words_that_a_terminal_would_stumble_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["-dash", "東京", "new\nline", "e\u0301t"]
    out = write_model(tmp_path / "out", words, np.eye(4, dtype=np.float32) + 1)
    assert query_main(["--vectors", str(out), "similar", "--", "-dash"]) == 0
    assert capsys.readouterr().out == "東京       0.8571\nnew\\nline  0.8571\ne\u0301t         0.8571\n"


def test_table_is_aligned() -> None:
    assert table([["a", "1"], ["東京", "100"]]) == ["a       1", "東京  100"]
    assert (width("e\u0301"), width("한"), width("")) == (1, 2, 0)
    assert shown("a\x1b[31m\tb\u200b") == "a\\x1b[31m\\tb\\u200b"


# ---- evaluate


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    questions, pairs = tmp_path / "questions.txt", tmp_path / "pairs.txt"
    questions.write_text(
        ": family\nsusuki susukiri busamu busamuri\na b c d\n: gram1\nsusuki busamu futima fizeda\n: gram2\n"
    )
    pairs.write_text("susuki busamu 3\nbusamu futima 2\nsusuki fizeda 9\nx y 3\n")
    return questions, pairs


def test_evaluate(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    questions, pairs = files
    assert evaluate_main([*V1, "--analogies", str(questions), "--pairs", str(pairs)]) == 0
    blank = " " * len(str(pairs))
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
        f"word pairs{blank[10:]}  pairs  skipped   share     rho\n"
        f"{pairs}      3        1  25.0 %  1.0000\n"
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
    assert list(report) == ["analogies", "pairs"]
    assert report["analogies"][0] == report["analogies"][1]
    assert list(report["analogies"][0]) == ["file", "vocabulary", "sections", "semantic", "syntactic", "total"]
    assert (report["analogies"][0]["file"], report["analogies"][0]["vocabulary"]) == (questions, 150)
    assert report["analogies"][0]["sections"][2] == {
        "name": "gram2", "correct": 0, "asked": 0, "skipped": 0, "accuracy": None,
    }  # fmt: skip
    assert report["pairs"] == [{"file": pairs, "vocabulary": 150, "pairs": 3, "skipped": 1, "spearman": 1.0}]


def test_evaluate_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.txt").write_text(": s\na b c\n")
    for arguments, message in (
        ([], "nothing to test with: give --analogies FILE or --pairs FILE"),
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


# ---- as processes


def test_jobs_run_from_any_directory_without_java(tmp_path: Path, files: tuple[Path, Path]) -> None:
    done = run("query.py", *V1, "similarity", "susuki", "medoke", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0.9244\n", "")
    done = run("evaluate.py", *V1, "--pairs", str(files[1]), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    done = run("query.py", *V1, "vector", "kingg", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: word 'kingg' is not in the vocabulary of 200 words\n"


def test_jobs_import_no_pyspark(tmp_path: Path, files: tuple[Path, Path]) -> None:
    code = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as stop:
    assert stop.code == 0
found = {"pyspark", "py4j", "numba"} & set(sys.modules)
assert not found, found
"""
    for name, arguments in (
        ("query.py", ["similar", "susuki"]),
        ("evaluate.py", ["--analogies", str(files[0]), "--pairs", str(files[1])]),
    ):
        command = [sys.executable, "-c", code, str(JOBS / name), *V1, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")


def test_closed_pipe_is_quiet(tmp_path: Path) -> None:
    words = [f"word{i}" for i in range(20_000)]
    out = write_model(tmp_path / "out", words, np.random.default_rng(0).normal(size=(20_000, 2)).astype(np.float32))
    command = [sys.executable, str(JOBS / "query.py"), "--vectors", str(out), "similar", "word1", "--top", "20000"]
    job = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert job.stdout is not None and job.stderr is not None
    assert len(job.stdout.read(10)) == 10
    job.stdout.close()
    assert job.stderr.read() == b""
    assert job.wait() == 0


def test_output_in_a_narrow_encoding(tmp_path: Path) -> None:
    out = write_model(tmp_path / "out", ["a", "東"], np.eye(2, dtype=np.float32) + 1)
    command = [sys.executable, str(JOBS / "query.py"), "--vectors", str(out), "similar", "a"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\\u6771  0.8000\n", "")

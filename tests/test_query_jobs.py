"""jobs/query.py as a user runs it: output, messages, exit status; the jobs as processes, and no Java."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from make_model_v1 import MODEL_V1, write_model
from test_evaluate_jobs import write_test_files

from w2v_spark.cli import main as w2v_main
from w2v_spark.cli_common import guarded
from w2v_spark.cli_evaluate import evaluate_main
from w2v_spark.cli_query import query_main
from w2v_spark.vectors.text import shown, table, width
from w2v_spark.vectors.vectors import Vectors

JOBS = Path(__file__).resolve().parents[1] / "jobs"


V1 = ["--vectors", str(MODEL_V1)]


def query(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The output of a query that succeeds."""
    assert query_main([*V1, *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def run(name: str, *arguments: str, cwd: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """A job in a process of its own, without Java and without our package on the path."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "JAVA_HOME", "SPARK_HOME")}
    environment["PATH"] = "/nowhere"
    command = [sys.executable, str(JOBS / name), *arguments]
    done = subprocess.run(command, capture_output=True, input=stdin, cwd=cwd, env=environment)
    return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())


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


@pytest.mark.parametrize("metric", ["dot", "euclidean", "manhattan", "chebyshev"])
def test_metrics(capsys: pytest.CaptureFixture[str], metric: str) -> None:
    a, b = (row.astype(float) for row in Vectors.open(MODEL_V1)[["susuki", "medoke"]])
    apart = abs(a - b)
    value = {"dot": a @ b, "euclidean": (apart @ apart) ** 0.5, "manhattan": apart.sum(), "chebyshev": apart.max()}[
        metric
    ]
    assert query(capsys, "similarity", "susuki", "medoke", "--metric", metric) == f"{value:.4f}\n"
    answer = json.loads(query(capsys, "similarity", "susuki", "medoke", "--json", "--metric", metric))
    assert list(answer) == ["command", "words", metric]
    first = json.loads(query(capsys, "--metric", metric, "similar", "susuki", "--json"))["queries"][0]["neighbours"]
    numbers = [neighbour[metric] for neighbour in first]
    assert numbers == sorted(numbers, reverse=metric == "dot")
    assert query(capsys, "analogy", "susukiri", "susuki", "busamu", "--metric", metric, "--top", "1").split()


def test_vector(capsys: pytest.CaptureFixture[str]) -> None:
    assert query(capsys, "vector", "susuki") == (
        "  0.333586  -0.789108  -2.725946   1.232981   1.828738   2.669657   4.195022   3.134711\n"
        "  1.696157   3.546750  -1.639852  -1.398403  -0.986908   1.119697   1.552143   0.745814\n"
    )


def test_vectors_of_several_words_are_lines_of_word2vecs_text(capsys: pytest.CaptureFixture[str]) -> None:
    lines = query(capsys, "vector", "MEDOKE", "susuki").splitlines()
    assert [line.split()[0] for line in lines] == ["medoke", "susuki"]
    found = np.array([line.split()[1:] for line in lines], np.float32)
    assert np.array_equal(found, Vectors.open(MODEL_V1)[["medoke", "susuki"]])


def test_words_from_standard_input(tmp_path: Path) -> None:
    for command in ("vector", "similar"):
        given = run("query.py", *V1, command, "susuki", "medoke", cwd=tmp_path)
        piped = run("query.py", *V1, command, "-", cwd=tmp_path, stdin=b"susuki\r\n\nmedoke\n")
        assert (piped.returncode, piped.stdout, piped.stderr) == (0, given.stdout, "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (b" \n", "standard input has no words: give one a line"),
        (b"susuki\n\xff\n", "the words on standard input are not UTF-8: byte 7 is 0xff"),
        (b"susuki\nq\n", "word 'q' is not in the vocabulary of 200 words"),
    ],
)
def test_mistakes_on_standard_input(tmp_path: Path, words: bytes, message: str) -> None:
    done = run("query.py", *V1, "vector", "-", cwd=tmp_path, stdin=words)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {message}\n")


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
    [of_word] = answer.pop("vectors")
    assert answer == {"command": "vector"} and list(of_word) == ["word", "vector"]
    assert (of_word["word"], len(of_word["vector"]), of_word["vector"][0]) == ("susuki", 16, 0.33358648)


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "m5", "similar", "king"], "unrecognized option --model"),
        (["--topn", "3", "similar", "king"], "unrecognized option --topn (did you mean '--top'?)"),
    ],
)
def test_options_that_are_not_known_before_the_command(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    for main, before in ((query_main, []), (w2v_main, ["query"])):
        with pytest.raises(SystemExit) as stop:
            main([*before, *arguments])
        assert stop.value.code == 2
        assert capsys.readouterr().err.endswith(f"error: {message}\n")


def test_ctrl_c_ends_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def run(args: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    assert guarded(run, argparse.Namespace()) == 130
    assert capsys.readouterr() == ("", "interrupted\n")


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


# ---- as processes


def test_jobs_run_from_any_directory_without_java(tmp_path: Path) -> None:
    _, pairs = write_test_files(tmp_path)
    done = run("query.py", *V1, "similarity", "susuki", "medoke", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0.9244\n", "")
    done = run("evaluate.py", *V1, "--pairs", str(pairs), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    done = run("query.py", *V1, "vector", "kingg", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: word 'kingg' is not in the vocabulary of 200 words\n"


def test_jobs_import_no_pyspark(tmp_path: Path) -> None:
    questions, pairs = write_test_files(tmp_path)
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
        ("evaluate.py", ["--analogies", str(questions), "--pairs", str(pairs)]),
        ("convert.py", ["--output", str(tmp_path / "v.txt")]),
    ):
        command = [sys.executable, "-c", code, str(JOBS / name), *V1, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("job", sorted(JOBS.glob("*.py")), ids=lambda job: job.stem)
def test_a_python_without_the_packages_is_told_of_ours(job: Path) -> None:
    # -S: a Python without installed packages, as the system's may be
    done = subprocess.run([sys.executable, "-I", "-S", str(job), "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    advice = "run it with .venv/bin/python, which ./spark-submit.sh makes"
    assert re.fullmatch(rf"error: No module named '(w2v_spark|numpy|pyarrow)': {re.escape(advice)}\n", done.stderr)


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

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

from w2v_spark.cli_convert import convert_main
from w2v_spark.cli_query import evaluate_main, query_main
from w2v_spark.vectors.evaluate import evaluate_analogies
from w2v_spark.vectors.formats import FORMATS
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
        f"word pairs{blank[10:]}  pairs  skipped   share     rho       r\n"
        f"{pairs}      3        1  25.0 %  1.0000  0.9967\n"
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


# ---- convert


def convert(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = convert_main([str(argument) for argument in arguments])
    return status, *capsys.readouterr()


@pytest.mark.parametrize("name", FORMATS)
def test_convert_there_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    file = tmp_path / f"v{(FORMATS[name].endings or ('.gensim',))[0]}"
    status, out, err = convert(capsys, *V1, "--to", name, "--output", file)
    assert (status, err) == (0, "")
    assert out.startswith(f"200 vectors of 16 numbers: {file}")
    assert sorted(tmp_path.iterdir()) == sorted(map(Path, out.split(": ")[1].strip().split(", ")))
    status, out, err = convert(capsys, "--input", file, "--from", name, "--output", tmp_path / "model")
    assert (status, out, err) == (0, f"200 vectors of 16 numbers: {tmp_path / 'model'}\n", "")
    ours, back = Vectors.open(MODEL_V1), Vectors.open(tmp_path / "model")
    assert back.index_to_key == ours.index_to_key
    assert np.array_equal(back.vectors, ours.vectors)
    if name.startswith("word2vec"):
        assert back.counts is None
    else:
        assert np.array_equal(back.counts, ours.counts)
    manifest = json.loads((tmp_path / "model" / "model.json").read_text())
    assert manifest["converted"] == {"from": file.name, "format": name}
    # the ending tells the format, and an output that is there is left alone
    status, out, err = convert(capsys, *V1, "--to", name, "--output", file)
    assert (status, out) == (2, "")
    assert err == f"error: output {file} is there already: give another name, or remove it first\n"
    status, out, err = convert(capsys, "--input", file, "--from", name, "--output", tmp_path / "model")
    assert (status, out) == (2, "")
    assert err == f"error: output {tmp_path / 'model'} is there already: give a new or empty directory\n"


def test_convert_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = convert(capsys, *V1, "--output", tmp_path / "v.npy", "--dtype", "float16", "--limit", "7")
    assert (status, out.split(":")[0]) == (0, "7 vectors of 16 numbers")
    opened = Vectors.open(tmp_path / "v.npy", dtype="float16", mmap=True)
    assert (len(opened), opened.vectors.dtype) == (7, np.float16)
    assert convert(capsys, "--input", tmp_path / "v.npy", "--output", tmp_path / "m", "--limit", "3")[0] == 0
    assert len(Vectors.open(tmp_path / "m")) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*V1, "--output", "{}/x.foo"], "the ending of {}/x.foo tells no format: give one of " + ", ".join(FORMATS)),
        (
            [*V1, "--output", "{}/none/x.txt"],
            "output {}/none/x.txt cannot be written: No such file or directory",
        ),
        ([*V1, "--to", "numpy", "--output", "{}/x"], "a file of format numpy must end in .npy, got {}/x"),
        (
            [*V1, "--output", "s3://bucket/x.npy"],
            "s3://bucket/x.npy: only our Parquet models lie at a URI; files of other formats are local",
        ),
        (
            [*V1, "--output", "{}/x.vec.gz"],
            "{}/x.vec.gz: packed files are read but not written; write it without .gz and run gzip",
        ),
        (
            [*V1, "--output", "{}/x.vec", "--dtype", "float16"],
            "dtype must be float32, or float16 for the formats numpy, safetensors; got 'float16' for word2vec-text",
        ),
        (
            [*V1, "--output", "{}/x.npy", "--replace-spaces", "_"],
            "format numpy holds words with spaces as they are: leave --replace-spaces out",
        ),
        ([*V1, "--output", "{}/x.npy", "--limit", "0"], "--limit must be at least 1, got 0"),
        (
            [*V1, "--output", "{}/x.npy", "--from", "numpy"],
            "--from goes with --input: leave it out, or give --input",
        ),
        (["--input", "{}/x.npy", "--output", "{}/m"], "cannot read {}/x.npy: No such file or directory"),
        (
            ["--input", "{}/x.kv", "--output", "{}/m"],
            "{}/x.kv is a pickle of gensim, which runs code when it is read: in gensim, write it anew with "
            "KeyedVectors.load('x.kv').save_word2vec_format('x.bin', binary=True)",
        ),
    ],
)
def test_convert_mistakes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    status, out, err = convert(capsys, *(a.replace("{}", str(tmp_path)) for a in arguments))
    assert (status, out, err) == (2, "", "error: " + message.replace("{}", str(tmp_path)) + "\n")
    assert list(tmp_path.iterdir()) == []


def test_words_that_a_format_cannot_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = write_model(tmp_path / "out", ["a", "new york", "new_york"], np.eye(3, dtype=np.float32))
    vectors = ["--vectors", out, "--output", tmp_path / "x.txt"]
    assert convert(capsys, *vectors)[2] == (
        "error: word 'new york' cannot be written as word2vec-text: white space ends a word there; replace white "
        "space with --replace-spaces TEXT\n"
    )
    assert convert(capsys, *vectors, "--replace-spaces", "_")[2] == (
        "error: words 'new york' and 'new_york' would both be written as 'new_york': replace by another\n"
    )
    assert convert(capsys, *vectors, "--replace-spaces", "~")[0] == 0
    assert (tmp_path / "x.txt").read_text() == "3 3\na 1 0 0\nnew~york 0 1 0\nnew_york 0 0 1\n"


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
        ("convert.py", ["--output", str(tmp_path / "v.txt")]),
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

"""jobs/convert.py: there and back, options, and what is wrong said in a line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from make_model_v1 import MODEL_V1, write_model

from w2v_spark.cli_convert import convert_main
from w2v_spark.vectors.formats import FORMATS
from w2v_spark.vectors.vectors import Vectors

V1 = ["--vectors", str(MODEL_V1)]


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
        (
            [*V1, "--output", "{}/x.foo"],
            "the ending of {}/x.foo tells no format: name it (--to), one of " + ", ".join(FORMATS),
        ),
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
        (
            [*V1, "--output", "{}/x.kv"],
            "{}/x.kv: no pickle is written, as it runs code when it is read: give --to gensim and another name, which "
            "gensim reads by KeyedVectors.load_word2vec_format(NAME, fvocab=NAME.vocab, binary=True)",
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

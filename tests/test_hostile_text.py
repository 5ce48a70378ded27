"""Text that nobody would write on purpose: through the tokenisers, and through counting and training in Spark."""

from __future__ import annotations

import gzip
import json
import logging
import os
import re
import resource
import subprocess
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

import w2v_spark
from w2v_spark.corpus import tokens
from w2v_spark.corpus.vocab import encode
from w2v_spark.errors import ParamError
from w2v_spark.vectors.vectors import Vectors
from w2v_spark.workdir.corpus import unpacked

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SMALL: dict[str, Any] = {"vector_size": 4, "min_count": 1, "sample": 0.0, "max_iter": 1, "threads_per_replica": 1}


# ---- tokenisers


def raw_texts(texts: list[bytes | None]) -> pa.StringArray:
    """Strings of any bytes, as Spark hands them on."""
    binary = pa.array(texts, pa.binary())
    return pa.Array.from_buffers(pa.string(), len(binary), binary.buffers())


NASTY = "".join(
    map(chr, [0, 9, 10, 13, 32, 39, 0x301, 0xAD, 0x5E9, 0x200B, 0x200D, 0x2019, 0x2028, 0x202E, 0xFEFF, 0xFFFD])
)
documents = st.one_of(
    st.none(),
    st.binary(max_size=20),
    st.text(max_size=20).map(str.encode),
    st.text(NASTY + "aB1\ufffd", max_size=20).map(str.encode),
)


@settings(deadline=None, max_examples=400)
@given(st.lists(documents, max_size=5), st.sampled_from(["words", "whitespace"]), st.booleans())
def test_any_text_becomes_words(texts: list[bytes | None], name: str, lowercase: bool) -> None:
    flat, lengths = tokens.flatten(tokens.make_tokenizer(name, lowercase)(raw_texts(texts)))
    flat.validate(full=True)
    words = flat.to_pylist()
    assert len(lengths) == len(texts) and lengths.sum() == len(words) and (lengths >= 0).all()
    assert all(words) and not any(re.search(r"\s", word, re.ASCII) for word in words)
    if name == "words":
        assert not any(c in word for word in words for c in "\ufffd\0\u202e\ufeff\u2028")
    assert 0 <= tokens.unreadable_share(pa.array([t and t.decode("utf-8", "replace") for t in texts], pa.string())) <= 1
    tokens.unsegmented_hint(pa.array([t and t.decode("utf-8", "replace") for t in texts], pa.string()))
    # and the words become ids and words again
    encoded = flat.dictionary_encode()
    ids, offsets = unpacked(encode(encoded.indices.to_numpy(), lengths, 3))
    assert encoded.dictionary.take(pa.array(ids)).to_pylist() == words
    assert (np.diff(offsets) > 0).all() and (np.diff(offsets) <= 3).all()


def test_what_is_not_utf8_ends_a_word() -> None:
    flat, _ = tokens.flatten(tokens.make_tokenizer("words", True)(raw_texts([b"caf\xe9 \xc9COLE a\xffb", None, b"ok"])))
    assert flat.to_pylist() == ["caf", "cole", "a", "b", "ok"]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda _: ["\ud800"], "the tokenizer returned something else than a list of words (str): 'utf-8' codec can't"),
        (lambda _: [1], "the tokenizer returned something else than a list of words (str): Expected bytes, got"),
        (lambda _: [["a"]], "the tokenizer returned something else than a list of words (str): Expected bytes, got"),
        (lambda _: None, "the tokenizer failed on a document: TypeError: 'NoneType' object is not iterable"),
        (lambda _: 1 / 0, "the tokenizer failed on a document: ZeroDivisionError: division by zero"),
    ],
)
def test_a_function_that_returns_no_words(function: Any, message: str) -> None:
    sys.modules["odd_tokens"] = module = types.ModuleType("odd_tokens")
    module.split = function  # type: ignore[attr-defined]
    with pytest.raises(ParamError) as error:
        tokens.make_tokenizer("odd_tokens:split", True)(pa.array(["text"]))
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("raise RuntimeError('no\\nway')", "RuntimeError: no way"),
        ("def f(:", "SyntaxError: "),
        ("exit()", "SystemExit"),
    ],
)
def test_a_module_that_cannot_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    name = f"broken_{abs(hash(source))}"
    (tmp_path / f"{name}.py").write_text(source)
    with pytest.raises(ParamError) as error:
        tokens.load_function(f"{name}:f")
    assert str(error.value).startswith(f"tokenizer '{name}:f' cannot be loaded: {message}")


# ---- whole runs


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def long_line(size: int, distinct: int) -> bytes:
    """One line of about so many bytes, with so many distinct words in it."""
    words = [b"w%d" % i for i in range(distinct)]
    line = b" ".join(words) + b" "
    return line * max(1, size // len(line)) + b"\n"


def test_nasty_files_together(spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "w2v_spark")
    folder = tmp_path / "in"
    put(folder / "a bom.txt", b"\xef\xbb\xbffirst second\n")
    put(folder / "b newlines.txt", b"one two\rthree four\r\nfive\xe2\x80\xa8six\n\n\r")
    put(folder / "c invalid.txt", b"caf\xe9 \xed\xa0\x80 \xc3\n")
    put(folder / "d nul.txt", b"nul\0between\0\0\n")
    put(folder / "e scripts.txt", "שָׁלוֹם עולם e\u0301cole \u202eabc\u202c\n".encode())
    put(folder / "f one token.txt", b"only\n" * 1000)
    put(folder / "g empty.txt", b"")
    put(folder / "h packed.txt.gz", gzip.compress(b"packed\n"))
    put(folder / "i long.txt", long_line(20 << 20, 300_000))
    trained = w2v_spark.train(folder, tmp_path / "out", **SMALL)
    rows = pq.read_table(tmp_path / "out" / "vocab", columns=["word", "count"]).to_pylist()
    counts = {row["word"]: row["count"] for row in rows}
    words = "first second one two three four five six caf nul between école abc עולם packed".split()
    assert [counts.pop(word) for word in words] == [1] * len(words)
    assert counts.pop("only") == 1000
    long = {word: number for word, number in counts.items() if re.fullmatch(r"w\d+", word)}
    assert len(long) == 300_000 and len(set(long.values())) == 1
    assert len(counts) == 300_001  # and the Hebrew word with its points
    assert np.isfinite(finite_sample(trained.wv)).all()
    assert any("are null, empty or without a word, and are skipped" in message for message in caplog.messages)


def finite_sample(vectors: Vectors) -> npt.NDArray[np.float32]:
    """Some of the vectors, the first and the last among them."""
    return np.asarray(vectors.vectors[:: max(1, len(vectors) // 1000)], np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "distinct"), [(100 << 20, 1000), (0, 10_000_000)], ids=["a line of 100 MB", "10 M distinct words"]
)
def test_much_of_it_by_the_command(tmp_path: Path, size: int, distinct: int) -> None:
    path = put(tmp_path / "in.txt", long_line(size, distinct))
    options = ["--vector-size", "4", "--min-count", "1", "--max-iter", "1", "--sample", "0"]
    command = [ROOT / "spark-submit.sh", "jobs/train.py", "--input", path, "--output", tmp_path / "out", *options]
    # without the settings for small texts, by which it would spill 500 times
    environ = {name: value for name, value in os.environ.items() if name != "SPARK_SUBMIT_OPTS"}
    run = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=1500)
    assert run.returncode == 0, run.stderr[-3000:]
    assert json.loads(run.stdout.splitlines()[-1])["words_per_second"] > 0
    vectors = Vectors.open(tmp_path / "out")
    assert len(vectors) == distinct
    assert np.isfinite(finite_sample(vectors)).all()
    # of any one of its processes
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 5 << 20

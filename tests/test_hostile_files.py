"""Files of vectors that somebody else made, in every format: whatever the bytes are, there is an answer or a sentence,
soon and in little memory, and no code is run.
"""

from __future__ import annotations

import gzip
import json
import os
import pickle
import struct
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from w2v_spark.errors import FormatError, InputError, W2VError
from w2v_spark.vectors.formats import FORMATS, read_file, write_file
from w2v_spark.vectors.vectors import Vectors

fuzzed = settings(
    deadline=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
# pieces that readers take for something, so that random files get past their first checks
PIECES = [
    *(b"\n", b"\r\n", b"\r", b" ", b"\t", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xed\xa0\x80"),
    *(b"2 2\n", b"0 0\n", b"1 0\n", b"999999999 999999\n", b"9" * 5000, b"-1", b"1e999", b"nan", b"word", b"a 1 2\n"),
    *(b"word\tcount\n", b"a\t1\n", b"{", b"[", b'"', b":", b"= ", b"[[", b"\\u", b"'", b"1", b"1.5", b"\x93NUMPY"),
    b"\xc3",
]  # fmt: skip
garbage = st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=8)), max_size=30).map(b"".join)


def sentence_or(read: Callable[[], object], lines: int = 1) -> str | None:
    """What a reader says against its input, None where it can read it; any other end fails the test."""
    try:
        read()
    except W2VError as e:
        assert len(str(e).splitlines()) <= lines and len(str(e)) < 2000
        return str(e)
    return None


def small() -> Vectors:
    numbers = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    return Vectors(["one", "two", "three"], numbers, np.array([9, 5, 2]), lowercase=True)


def file_of(folder: Path, name: str) -> Path:
    return folder / f"v{(FORMATS[name].endings or ('.w2v',))[0]}"


# ---- any bytes


@pytest.mark.parametrize("name", FORMATS)
@fuzzed
@given(data=st.data())
def test_any_bytes_as_vectors(tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject) -> None:
    path = file_of(tmp_path_factory.mktemp("f"), name)
    write_file(small(), path, name)
    for file in FORMATS[name].files(path):
        whole = file.read_bytes()
        kind = data.draw(st.sampled_from(["whole", "spliced", "garbage"]))
        if kind == "garbage":
            file.write_bytes(data.draw(garbage))
        elif kind == "spliced":
            at, skipped = data.draw(st.integers(0, len(whole))), data.draw(st.integers(0, 20))
            file.write_bytes(whole[:at] + data.draw(garbage) + whole[at + skipped :])
    limit = data.draw(st.sampled_from([None, 2]))
    errors = data.draw(st.sampled_from(["strict", "replace", "ignore"]))
    sentence_or(lambda: read_file(path, name, limit=limit, unicode_errors=errors))
    if FORMATS[name].half:
        sentence_or(lambda: read_file(path, name, mmap=True))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["name", "bytes", "x"]), inner),
    max_leaves=8,
)
SIZES = st.one_of(st.integers(-3, 60), st.sampled_from([0, 24, 48, 2**62, 2**63, 10**30, 1e300, 2.0, True, None, "3"]))


@fuzzed
@given(
    tensors=st.dictionaries(
        st.sampled_from(["vectors", "embeddings", "counts", "other", "__metadata__"]),
        st.one_of(
            JSON,
            st.fixed_dictionaries(
                {
                    "dtype": st.sampled_from(["F32", "F16", "F64", "I64", "BF16", 3, None, []]),
                    "shape": st.one_of(JSON, st.lists(SIZES, max_size=3), st.just([3, 4]), st.just([-3, -4])),
                    "data_offsets": st.one_of(JSON, st.lists(SIZES, max_size=3), st.just([0, 48]), st.just([0, 24])),
                }
            ),
        ),
        max_size=4,
    )
)
def test_any_header_of_safetensors(tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("f") / "v.safetensors"
    header = json.dumps(tensors).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(72))
    path.with_suffix(".vocab.json").write_text('["one", "two", "three"]')
    for mmap in (False, True):
        sentence_or(lambda mapped=mmap: read_file(path, mmap=mapped))  # type: ignore[misc]


# ---- files that lie about their sizes, read with little memory


def lying_files(folder: Path) -> dict[str, bytes]:
    """Files of a few bytes that say that they are large."""
    shape = "{'descr': '<f4', 'fortran_order': False, 'shape': (4000000000, 300), }"
    header = json.dumps({"vectors": {"dtype": "F32", "shape": [10**9, 300], "data_offsets": [0, 12 * 10**11]}}).encode()
    files = {
        "header.bin": b"999999999 999999\na " + bytes(40),
        "header.bin.gz": gzip.compress(b"999999999 999999\na " + bytes(40)),
        "plausible.bin.gz": gzip.compress(b"4000000 300\na " + bytes(40)),
        "numbers.bin": b"0 99999999999999999999\n",
        "digits.bin": b"9" * 99 + b" 5\n",
        "header.txt": b"999999999 999999\na 1 2\n",
        "header.txt.gz": gzip.compress(b"4000000 300\na 1 2\n"),
        "bomb.txt.gz": gzip.compress(b"a" * (200 << 20), 1),
        "bomb.bin.gz": gzip.compress(b"2 2\n" + b"a" * (200 << 20), 1),
        "shape.npy": b"\x93NUMPY\x01\0" + struct.pack("<H", len(shape) + 1) + shape.encode() + b"\n" + bytes(48),
        "length.npy": b"\x93NUMPY\x02\0" + struct.pack("<I", 2**32 - 1) + b"{}",
        "length.safetensors": struct.pack("<Q", 2**63) + b"{}",
        "long.safetensors": struct.pack("<Q", 99_000_000) + b"{}",
        "shape.safetensors": struct.pack("<Q", len(header)) + header + bytes(48),
        "deep.safetensors": struct.pack("<Q", 100_000) + b"[" * 100_000,
        "wide.tsv": b"1\t" * 100_000 + b"1\n",
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "wide.metadata.tsv").write_bytes(b"a\n" * 100_000)
    for name in ("shape", "length"):
        (folder / f"{name}.words.txt").write_bytes(b"a\n")
    return files


READ_IN_LITTLE_MEMORY = """
import resource, sys
from w2v_spark.errors import W2VError
from w2v_spark.vectors.formats import read_file
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (160 << 20),) * 2)
for path in sys.argv[1:]:
    try:
        print("read", read_file(path))
    except W2VError as e:
        print(e)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_files_that_lie_about_their_size_get_no_memory(tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in lying_files(tmp_path)]
    command = [sys.executable, "-c", READ_IN_LITTLE_MEMORY, *paths]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    told = dict(zip(lying_files(tmp_path), run.stdout.splitlines(), strict=True))
    assert all(line.startswith(str(tmp_path)) for line in told.values()), told
    # none of them came to ask for memory
    assert not [line for line in told.values() if "memory" in line], told
    first_line = "vectors of {} numbers that its first line says"
    assert f"is too short for the 999999999 {first_line.format(999999)}" in told["header.bin"]
    assert f"is too short for the 4000000 {first_line.format(300)}" in told["plausible.bin.gz"]
    assert told["bomb.txt.gz"].endswith("is no text of vectors: it has a line of more than 4,194,304 bytes")
    assert "is cut or damaged after 0 vectors" in told["bomb.bin.gz"]
    assert "numpy can read without pickle: mmap length is greater than file size" in told["shape.npy"]
    assert told["deep.safetensors"].endswith("is no safetensors file: it has no header that can be read")


@pytest.mark.parametrize("form", ["word2vec-binary", "word2vec-text"])
def test_a_packed_file_that_is_cut_off_or_flipped(tmp_path: Path, form: str) -> None:
    write_file(small(), tmp_path / "plain", form)
    name, whole = f"v{FORMATS[form].endings[0]}.gz", gzip.compress((tmp_path / "plain").read_bytes())
    for data in (whole[: len(whole) // 2], whole[:-4], whole[:20] + b"\xff\xff\xff" + whole[23:]):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(W2VError, match=rf"^(cannot read )?{tmp_path / name}"):
            read_file(tmp_path / name)


def test_tensors_that_share_bytes(tmp_path: Path) -> None:
    tensors = {
        name: {"dtype": "F32", "shape": [3, 4], "data_offsets": [at, at + 48]} for name, at in (("a", 0), ("b", 8))
    }
    header = json.dumps(tensors).encode()
    (tmp_path / "v.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(56))
    with pytest.raises(FormatError, match=r"v\.safetensors is damaged: two of its tensors share bytes$"):
        read_file(tmp_path / "v.safetensors")


def test_words_that_are_no_text(tmp_path: Path) -> None:
    write_file(small(), tmp_path / "v.safetensors", "safetensors")
    (tmp_path / "v.vocab.json").write_text('["a", "\\ud800", "c"]')
    with pytest.raises(InputError, match=r"a word holds half of a surrogate pair, '\\ud800': it is no text$"):
        read_file(tmp_path / "v.safetensors")


class Opened:
    """A pickle of it makes a file when it is read."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("name", ["v.npy", "v.kv", "v.model", "v.pkl", "v.bin", "v.txt", "v.tsv", "v.safetensors"])
def test_nothing_is_unpickled(tmp_path: Path, name: str) -> None:
    mark, path = tmp_path / "run", tmp_path / name
    if name == "v.npy":
        np.save(path, np.array([Opened(mark)], object), allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(Opened(mark)))
    (tmp_path / "v.metadata.tsv").write_bytes(pickle.dumps(Opened(mark)))
    (tmp_path / "v.words.txt").write_bytes(b"a\n")
    assert sentence_or(lambda: read_file(path))
    assert not mark.exists()


def test_one_very_long_line_as_vectors(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_bytes(b"1 1\n" + b"a" * (5 << 20) + b" 1\n")
    with pytest.raises(FormatError, match=r"v\.txt is no text of vectors: it has a line of more than 4,194,304 bytes$"):
        read_file(tmp_path / "v.txt")
    (tmp_path / "v.txt").write_text(textwrap.dedent(f"1 1\n{'é' * 1_000_000} 1\n"))
    assert len(read_file(tmp_path / "v.txt").index_to_key[0]) == 1_000_000

"""What somebody else made: models that lie or are damaged, names of paths, TOML and parameters, test sets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from test_hostile_files import JSON, SIZES, fuzzed, garbage, sentence_or, small

from w2v_spark import store
from w2v_spark.errors import FormatError, InputError, ParamError, W2VError
from w2v_spark.params import Params, read_toml
from w2v_spark.place import FileEntry, Place
from w2v_spark.vectors import testsets
from w2v_spark.vectors.formats import FORMATS, read_file, write_file
from w2v_spark.vectors.save import write_model
from w2v_spark.vectors.vectors import Vectors

# ---- models


def model_with(folder: Path, **changes: Any) -> Path:
    """A model whose manifest has been changed."""
    write_model(small(), str(folder / "model"), {})
    manifest = json.loads((folder / "model" / store.MANIFEST).read_text())
    (folder / "model" / store.MANIFEST).write_text(json.dumps({**manifest, **changes}))
    return folder / "model"


@pytest.mark.parametrize("name", ["../../secret.parquet", "../secret.parquet", "a/../../../secret.parquet", ".."])
def test_a_model_names_no_files_outside_of_it(tmp_path: Path, name: str) -> None:
    table = pq.read_table(write_model_files(tmp_path / "other"))
    pq.write_table(table, tmp_path / "secret.parquet")
    size = (tmp_path / "secret.parquet").stat().st_size
    model = model_with(tmp_path, files={"vectors": [{"name": name, "bytes": size}]})
    with pytest.raises(FormatError) as error:
        Vectors.open(model)
    assert str(error.value) == (
        f"{model}/vectors names the file {name!r}, which lies outside of it: the directory is not ours"
    )
    with pytest.raises(FormatError, match="which lies outside of it"):
        store.read_files(Place.open(model).child(store.VECTORS), [FileEntry(name, size)])


def write_model_files(folder: Path) -> Path:
    write_model(small(), str(folder), {})
    return next((folder / store.VECTORS).glob("*.parquet"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"params": {"vector_size": "four"}}, "model.json says params.vector_size 'four', must be at least 1"),
        ({"params": {"vector_size": 0}}, "model.json says params.vector_size 0, must be at least 1"),
        ({"params": {"vector_size": 10**12}}, "the vector of 'one' has not 1000000000000 numbers"),
        ({"files": {"vectors": "x"}}, "files.vectors of model.json is no list of names and bytes"),
        ({"files": {"vectors": [1]}}, "files.vectors of model.json is no list of names and bytes"),
        ({"files": {"vectors": [{"name": "x"}]}}, "files.vectors of model.json is no list of names and bytes"),
        ({"files": {"vectors": [{"name": 1}]}}, "files.vectors of model.json is no list of names and bytes"),
    ],
)  # fmt: skip
def test_manifests_that_lie(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    model = model_with(tmp_path, **changes)
    with pytest.raises(FormatError) as error:
        Vectors.open(model)
    assert str(error.value).endswith(f" is damaged: {message}")


def test_a_model_that_memory_does_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError

    model = model_with(tmp_path)
    monkeypatch.setattr(np, "empty", no_memory)
    with pytest.raises(FormatError) as error:
        Vectors.open(model)
    assert str(error.value) == f"{model}/vectors holds more vectors than this machine's memory does: 3 of 4 numbers"


FLIP_BITS_OF_THE_FOOTER = """
import sys
from pathlib import Path
from test_hostile_models import Vectors, model_with, sentence_or, store
model = model_with(Path(sys.argv[1]))
part = next((model / store.VECTORS).glob("*.parquet"))
whole = part.read_bytes()
refused = 0
for at in range(len(whole) - 8 - int.from_bytes(whole[-8:-4], "little"), len(whole) - 8):
    for flipped in (1, 4):
        part.write_bytes(whole[:at] + bytes([whole[at] ^ flipped]) + whole[at + 1 :])
        refused += sentence_or(lambda: Vectors.open(model), lines=4) is not None
print(refused)
"""


def test_no_bit_of_a_footer_ends_the_process(tmp_path: Path) -> None:
    """As pyarrow does by RowGroupMetaData.column where the statistics of a column are of another size."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("", "conf", "tests"))}
    command = [sys.executable, "-c", FLIP_BITS_OF_THE_FOOTER, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100


def test_a_manifest_deeper_than_json_goes(tmp_path: Path) -> None:
    model = model_with(tmp_path)
    (model / store.MANIFEST).write_bytes(b"[" * 100_000)
    with pytest.raises(FormatError, match=r"model\.json is not valid JSON: maximum recursion depth exceeded"):
        Vectors.open(model)


@fuzzed
@given(data=st.data())
def test_any_bytes_in_a_model(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("f")
    model = model_with(folder)
    part = next((model / store.VECTORS).glob("*.parquet"))
    if data.draw(st.booleans()):
        whole = part.read_bytes()
        at = data.draw(st.integers(0, len(whole) - 1))
        changed = data.draw(st.binary(min_size=1, max_size=4))[: len(whole) - at]  # the size is as the manifest says
        part.write_bytes(whole[:at] + changed + whole[at + len(changed) :])
    else:
        values = data.draw(JSON)
        manifest = json.loads((model / store.MANIFEST).read_text())
        manifest["files"]["vectors"] = values
        (model / store.MANIFEST).write_text(json.dumps(manifest))
    sentence_or(lambda: Vectors.open(model), lines=4)  # Arrow tells what is wrong with a page in several


# ---- names of paths


@fuzzed
@given(name=st.text(max_size=20).filter(lambda name: "://" not in name))
def test_any_path_of_a_model(name: str) -> None:
    try:
        Vectors.open(os.path.join("no such folder", name))
    except W2VError as e:
        assert len(str(e)) < 1000
    except OSError as e:  # the system's own words, which the commands print as they are
        assert e.strerror or str(e)


@pytest.mark.parametrize("name", ["a b", "a'b\"c", "#1%20%", "日本 ü", "-dash", "line\nend", "a[1]{2}*?", "c:d", "~"])
def test_odd_names_of_models_and_files(tmp_path: Path, name: str) -> None:
    write_model(small(), str(tmp_path / name), {})
    assert Vectors.open(tmp_path / name).index_to_key == ["one", "two", "three"]
    for kind in FORMATS:
        path = tmp_path / f"{name}{(FORMATS[kind].endings or ('.w2v',))[0]}"
        write_file(small(), path, kind)
        assert read_file(path, kind).index_to_key == ["one", "two", "three"]


def test_names_that_are_no_text(tmp_path: Path) -> None:
    for name in ("\udcff", "\ud800"):
        with pytest.raises(InputError, match=r"^cannot open .*\\ud.*codec can't"):
            Vectors.open(tmp_path / name)


# ---- parameters and test sets


@fuzzed
@given(text=st.one_of(garbage, st.text(max_size=60).map(lambda t: t.encode("utf-8", "surrogatepass"))))
def test_any_bytes_as_toml_and_test_sets(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    path = tmp_path_factory.mktemp("f") / "file"
    for data in (text, b"seed = " + text, b": section\n" + text):
        path.write_bytes(data)
        for read in (read_toml, testsets.read_questions, testsets.read_odd_ones, testsets.read_pairs):
            sentence_or(lambda reader=read: reader(path))  # type: ignore[misc]


@fuzzed
@given(name=st.sampled_from(list(Params().to_dict())), value=st.one_of(JSON, st.binary(), st.dates(), SIZES))
def test_any_value_of_a_parameter(name: str, value: object) -> None:
    sentence_or(lambda: Params.from_dict({name: value}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"\xff", "the configuration {} is not valid TOML: 'utf-8' codec can't decode byte 0xff in position 0: "),
        (b"seed = 1\0", "the configuration {} is not valid TOML: Expected newline or end of document "),
        (b"seed = " + b"[" * 20_000, "the configuration {} is not valid TOML: "),
        (b"seed = " + b"9" * 5_000, "the configuration {} is not valid TOML: Exceeds the limit"),
        (b"seed = 0x" + b"F" * 5_000, "parameter seed given invalid value int too large to show: must be an "),
        (b'seed = "' + b"x" * 5_000 + b'"', "parameter seed given invalid value 'xxxx"),
        (b"x" * 5_000 + b" = 1", "unknown parameter 'xxxxx"),
        (b"#" * (1 << 20) + b"\n", "the configuration {} is no list of parameters: it is longer than 1,048,576 bytes"),
        (b"seed = 2020-01-01", "parameter seed given invalid value datetime.date(2020, 1, 1): must be an integer from"),
        (b"step_size = nan", "parameter step_size given invalid value nan: must be a number from 1e-06 to 1"),
        (b"[seed]\nx = 1", "parameter seed given invalid value {{'x': 1}}: must be an integer from 0 to"),
    ],
)  # fmt: skip
def test_hostile_toml(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "train.toml"
    path.write_bytes(text)
    with pytest.raises(ParamError) as error:
        read_toml(path)
    assert str(error.value).startswith(message.format(path))
    assert len(str(error.value)) < 1500


def test_toml_of_windows(tmp_path: Path) -> None:
    (tmp_path / "train.toml").write_bytes(b"\xef\xbb\xbfseed = 7\r\nlowercase = false\r\n")
    assert read_toml(tmp_path / "train.toml") == {"seed": 7, "lowercase": False}

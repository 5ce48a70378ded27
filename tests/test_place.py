"""Directories on file systems of several kinds: JSON that is replaced, directories that move, storage that fails."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from file_systems import LikeAnObjectStore, LikeHdfs, OnDisk, OverANetwork, place_of

from w2v_spark import store
from w2v_spark.errors import FormatError, InputError, OutputError, StorageError
from w2v_spark.place import FileEntry, Place
from w2v_spark.spark import lease

KINDS = (OnDisk, LikeHdfs, LikeAnObjectStore)


class Ended(BaseException):
    """Stands for the end of a driver."""


class Steps:
    """Calls `at_each` before each operation that changes something, or ends the driver before number `last`."""

    def __init__(self, at_each: Callable[[], object] = lambda: None, last: int | None = None):
        self.at_each, self.last, self.done, self.within = at_each, last, list[str](), False

    def __call__(self, operation: str, path: str) -> None:
        if operation in ("open", "list") or self.within:
            return
        if len(self.done) == self.last:
            raise Ended
        self.within = True
        self.at_each()
        self.within = False
        self.done.append(operation)


def put(directory: Path, *names: str, text: str = "{}") -> None:
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_reads_while_json_is_replaced_reads_the_old_or_the_new(tmp_path: Path, kind: type[OnDisk]) -> None:
    seen, steps = [], Steps(lambda: seen.append(place.read_json("a.json")["x"]))
    place = place_of(kind(steps), tmp_path)
    steps.within = True
    place.write_json("a.json", {"x": 1})
    steps.within = False
    for x in (2, 3):
        place.write_json("a.json", {"x": x})
        assert place.read_json("a.json") == {"x": x} and place.names() == ["a.json"]
    assert seen == sorted(seen) and set(seen) <= {1, 2, 3}
    assert kind is not LikeHdfs or steps.done.count("delete") == 2  # there is a moment without it


@pytest.mark.parametrize("kind", KINDS)
def test_a_writer_of_json_that_dies_leaves_the_old_or_the_new(tmp_path: Path, kind: type[OnDisk]) -> None:
    whole = Steps()
    (tmp_path / "whole").mkdir()
    for x in (1, 2):
        place_of(kind(whole), tmp_path / "whole").write_json("a.json", {"x": x})
    for last in range(len(whole.done)):
        (tmp_path / str(last)).mkdir()
        dying = place_of(kind(Steps(last=last)), tmp_path / str(last))
        with pytest.raises(Ended):
            for x in (1, 2):
                dying.write_json("a.json", {"x": x})
        place = place_of(kind(), tmp_path / str(last))
        if last >= len(whole.done) // 2:  # the first was there
            assert place.read_json("a.json")["x"] in (1, 2)
        place.write_json("a.json", {"x": 3})
        assert place.read_json("a.json") == {"x": 3}
        place.delete("a.json")
        with pytest.raises(FileNotFoundError):
            place.read_json("a.json")


def test_json_in_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file or directory"):
        Place.open(tmp_path / "missing").write_json("a.json", {})


@pytest.mark.parametrize("kind", KINDS)
def test_a_directory_takes_the_place_of_another(tmp_path: Path, kind: type[OnDisk]) -> None:
    def look() -> None:
        seen.append(sorted(path.name for path in (tmp_path / "out" / "vectors").glob("*")))

    put(tmp_path / "out", "vectors/old-1", "vectors/old-2")
    put(tmp_path / "draft", "vectors/new-1", "vectors/below/new-2", "report.html")
    seen = list[list[str]]()
    output, draft = (place_of(kind(Steps(look)), tmp_path / name) for name in ("out", "draft"))
    output.take("vectors", draft)
    look()
    old, new = ["old-1", "old-2"], ["below", "new-1"]
    assert seen[-1] == new and (tmp_path / "out" / "vectors" / "below" / "new-2").exists()
    if kind is not LikeAnObjectStore:
        assert seen == [old, [], new]
    output.take("report.html", draft)
    assert output.names() == ["report.html", "vectors"]
    assert [n for n in draft.names() if not n.endswith(".before")] == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_there_is_told_from_what_cannot_be_seen(tmp_path: Path, kind: type[OnDisk]) -> None:
    def fail(operation: str, path: str) -> None:
        if operation in failing:
            raise OSError(errno.ETIMEDOUT, "Connection timed out")

    failing = set[str]()
    place = place_of(kind(fail), tmp_path)
    assert place.child("missing").names() == [] and place.child("missing").files() == []
    put(tmp_path, "a.json", "lease.json")
    failing = {"list", "open"}
    with pytest.raises(StorageError, match=r"cannot be listed: .*Connection timed out"):
        place.files()
    with pytest.raises(StorageError, match=r"a\.json cannot be read: .*Connection timed out"):
        place.read_json("a.json")
    with pytest.raises(StorageError, match=r"lease\.json cannot be read"):
        lease.read_lease(place)
    with pytest.raises(FileNotFoundError):
        place_of(kind(), tmp_path).open_file("missing")


def test_damage_is_told_from_storage_that_fails(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": range(50_000)}), tmp_path / "a.parquet", use_dictionary=False, row_group_size=9_000)
    whole, network = (tmp_path / "a.parquet").read_bytes(), OverANetwork()
    place, entry = place_of(network, tmp_path), FileEntry("a.parquet", len(whole))
    assert len(store.read_files(place, [entry])) == 50_000 and network.answered > 5
    for last in range(network.answered):
        network.answered, network.last = 0, last
        with pytest.raises(StorageError, match=r"a\.parquet cannot be read: AWS Error NETWORK_CONNECTION"):
            store.read_files(place, [entry])
    network.last = 1_000_000
    at = len(whole) // 2
    for data, message in (
        (
            whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :],
            "cannot be read as Parquet: Corrupt snappy compressed data",
        ),
        (whole[:-4] + b"none", "cannot be read as Parquet: .*magic bytes"),
        (whole[:-4], rf"has {len(whole) - 4} bytes, the manifest says {len(whole)} bytes: the directory is damaged"),
        (None, rf"is missing, the manifest says {len(whole)} bytes: the directory is damaged"),
    ):
        (tmp_path / "a.parquet").unlink()
        if data:
            (tmp_path / "a.parquet").write_bytes(data)
        with pytest.raises(FormatError, match=message):
            store.read_files(place, [entry])


def test_sizes_by_one_listing(tmp_path: Path) -> None:
    listed = list[str]()
    place = place_of(LikeHdfs(lambda operation, path: listed.append(operation)), tmp_path)
    put(tmp_path, "a.parquet", "matrix=syn0/b.parquet")
    there = [FileEntry("a.parquet", 2), FileEntry("matrix=syn0/b.parquet", 2)]
    assert store.lacking(place, there) == "" and listed == ["list"]
    assert store.lacking(place, [*there, FileEntry("c.parquet", 7)]) == (
        f"{tmp_path}/c.parquet is missing, the manifest says 7 bytes"
    )
    assert (
        store.lacking(place, [FileEntry("a.parquet", 7)])
        == f"{tmp_path}/a.parquet has 2 bytes, the manifest says 7 bytes"
    )
    assert store.lacking(place.child("missing"), there).endswith(
        "missing/a.parquet is missing, the manifest says 2 bytes"
    )


def test_files_leave_out_what_is_hidden(tmp_path: Path) -> None:
    names = ("b.parquet", "matrix=syn0/a.parquet", "_temporary/0/c.parquet", "x/.d/e.parquet", "_f.parquet", "g.crc")
    put(tmp_path, *names, "matrix=syn1/_temporary/h.parquet")
    assert Place.open(tmp_path).files() == [FileEntry("b.parquet", 2), FileEntry("matrix=syn0/a.parquet", 2)]
    # hidden is what lies so below the directory, not the directory itself
    assert Place.open(tmp_path / "_temporary").files() == [FileEntry("0/c.parquet", 2)]


def test_the_same_directory_however_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to("a")
    a = Place.open(tmp_path / "a")
    for same in (f"{tmp_path}/a/", f"{tmp_path}/b/../a", f"file:{tmp_path}/a", f"{tmp_path}//a", f"{tmp_path}/link"):
        assert a.same_as(Place.open(same))
    assert not a.same_as(Place.open(tmp_path / "b"))
    on_hdfs = [place_of(LikeHdfs(), tmp_path / "a") for _ in range(2)]
    # two clusters may have the same path
    assert not on_hdfs[0].same_as(on_hdfs[1]) and not a.same_as(on_hdfs[0]) and on_hdfs[0].same_as(on_hdfs[0])


@pytest.mark.parametrize("address", ["", " "])
def test_a_blank_path_is_not_the_working_directory(address: str) -> None:
    with pytest.raises(InputError) as error:
        Place.open(address)
    assert str(error.value) == (
        f"path {address!r} is blank, as of an unset variable: give the path of a file or a folder"
    )


def test_json_that_is_none(tmp_path: Path) -> None:
    put(tmp_path, "a.json", text="[1]")
    with pytest.raises(FormatError, match=r"a\.json holds no JSON object$"):
        Place.open(tmp_path).read_json("a.json")
    put(tmp_path, "a.json", text="")
    with pytest.raises(FormatError, match=r"a\.json is not valid JSON: "):
        Place.open(tmp_path).read_json("a.json")
    put(tmp_path, "a.json", text=json.dumps({"x": "ü"}))
    assert Place.open(tmp_path).read_json("a.json") == {"x": "ü"}


S3 = (
    "; s3 takes AWS_ENDPOINT_URL (for a store that is not AWS's), AWS_REGION, AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, set on the driver and as spark.executorEnv.* on the executors, not fs.s3a.*: see "
    "conf/README.md"
)
HDFS = (
    "; hdfs needs JAVA_HOME, HADOOP_HOME (or ARROW_LIBHDFS_DIR) and CLASSPATH=$(hadoop classpath --glob), set on the "
    "driver and as spark.executorEnv.* on the executors: see conf/README.md"
)


@pytest.mark.parametrize(
    ("address", "said", "told"),
    [
        ("hdfs://nn:8020/out", "Unable to load libjvm\ndlopen(/a/libjvm.so) failed\ndlopen(/b) failed", HDFS),
        ("viewfs://cluster/out", "Prior attempt to load libhdfs failed", HDFS),
        ("s3a://bucket/out", "When resolving region for bucket 'bucket': Could not resolve host", S3),
        ("gs://bucket/out", "no credentials", ""),
    ],
)
def test_what_a_file_system_needs_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, address: str, said: str, told: str
) -> None:
    def fail(uri: str) -> None:
        raise OSError(said)

    monkeypatch.setattr("w2v_spark.place.fs.FileSystem", SimpleNamespace(from_uri=fail))
    with pytest.raises(InputError) as error:
        Place.open(address)
    assert str(error.value) == f"cannot open {address}: {said.splitlines()[0]}{told}"


@pytest.mark.parametrize("address", ["dbfs:/out", "wasbs://c@account/out", "oss://bucket/out", "ofs://host/out"])
def test_a_file_system_that_pyarrow_lacks_is_refused_with_those_that_it_has(address: str) -> None:
    with pytest.raises(InputError) as error:
        Place.open(address)
    assert str(error.value) == (
        f"cannot open {address}: must be a local path or start with one of file, hdfs, viewfs, s3, s3a, s3n, gs, gcs "
        "and, only to read, abfs, abfss; mount the storage on all machines and give its local path, or use another"
    )


def test_nothing_is_written_where_a_file_is_seen_before_it_is_whole() -> None:
    place = Place.open("abfss://container@account.dfs.core.windows.net/out")
    with pytest.raises(OutputError) as error:
        place.child("work").make()
    assert str(error.value) == (
        "abfss://container@account.dfs.core.windows.net/out/work is on Azure, where others see a file before it is "
        "whole: give a directory on hdfs, s3, gs or a disk that all machines share"
    )

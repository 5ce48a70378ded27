"""A directory on any file system that pyarrow opens: local, hdfs://, s3://, gs://, with Spark's spellings (file:/,
s3a://) understood.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
from pyarrow import fs

from w2v_spark.errors import FormatError, InputError, OutputError, StorageError, one_line

_LIBHDFS = (
    "; hdfs needs JAVA_HOME, HADOOP_HOME (or ARROW_LIBHDFS_DIR) and CLASSPATH=$(hadoop classpath --glob), set on the "
    "driver and as spark.executorEnv.* on the executors: see conf/README.md"
)
_S3 = (
    "; s3 takes AWS_ENDPOINT_URL (for a store that is not AWS's), AWS_REGION, AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, set on the driver and as spark.executorEnv.* on the executors, not fs.s3a.*: see "
    "conf/README.md"
)
# what can be opened, and what it takes beside the address
_SCHEMES = {"file": "", "hdfs": _LIBHDFS, "viewfs": _LIBHDFS, "s3": _S3, "s3a": _S3, "s3n": _S3, "gs": "", "gcs": ""}
# these can be read, but not written
_AZURE = ("abfs", "abfss")


def path_text(path: str | os.PathLike[str], what: str = "path") -> str:
    """A path as text; a blank one, which would be the working directory, is refused by the words of what it is."""
    text = os.fspath(path)
    if not text.strip():
        raise InputError(f"{what} {text!r} is blank, as of an unset variable: give the path of a file or a folder")
    return text


@dataclass(frozen=True)
class FileEntry:
    """A file's name relative to its directory, and its size in bytes."""

    name: str
    bytes: int


@dataclass(frozen=True)
class Place:
    """A directory: its file system, its path there, and its address as Spark and a user write it."""

    filesystem: fs.FileSystem
    path: str
    uri: str

    @classmethod
    def open(cls, address: str | os.PathLike[str]) -> Place:
        """The directory at a local path or a URI; it need not exist yet."""
        text = path_text(address)
        if "\0" in text:
            raise InputError(f"cannot open {text!r}: no path holds the character NUL")
        scheme = _scheme(text)
        if scheme and scheme not in (*_SCHEMES, *_AZURE):
            raise InputError(
                f"cannot open {text}: must be a local path or start with one of {', '.join(_SCHEMES)} and, only to "
                f"read, {', '.join(_AZURE)}; mount the storage on all machines and give its local path, or use another"
            )
        try:
            filesystem, path = fs.FileSystem.from_uri(_pyarrow_uri(text))
        except (pa.ArrowException, OSError, ValueError) as e:
            shown = ascii(text)[1:-1] if isinstance(e, UnicodeError) else text
            # libhdfs names every place in which it has looked for Java
            reason = one_line(e).partition(" dlopen(")[0]
            raise InputError(f"cannot open {shown}: {reason}{_SCHEMES.get(scheme, '')}") from e
        return cls(filesystem, path.rstrip("/") or "/", text.rstrip("/") or "/")

    def child(self, name: str) -> Place:
        """The directory `name` in this one."""
        return replace(self, path=self.file(name), uri=f"{self.uri}/{name}")

    def file(self, name: str) -> str:
        """The path, within this file system, of a file in this directory; a name that leads out of it is refused, as
        names come from files that others may have written.
        """
        if ".." in name.split("/"):
            raise FormatError(
                f"{self.uri} names the file {name!r}, which lies outside of it: the directory is not ours"
            )
        return f"{self.path}/{name}"

    def exists(self, name: str | None = None) -> bool:
        """Whether the directory, or the file or directory `name` in it, is there."""
        path = self.path if name is None else self.file(name)
        with storage_errors(f"{self.uri}/{name}" if name else self.uri, "looked for"):
            return bool(self.filesystem.get_file_info(path).type != fs.FileType.NotFound)

    def names(self) -> list[str]:
        """The names of what lies directly in this directory, sorted; none where it is missing."""
        return sorted(info.base_name for info in self._listing(recursive=False))

    def files(self, suffix: str = ".parquet") -> list[FileEntry]:
        """The files below this directory whose name ends so, sorted by name. As for Spark, what starts with _ or . is
        hidden, with all that lies below it: a writer's temporary files.
        """
        found = list[FileEntry]()
        for info in self._listing(recursive=True):
            name = info.path[len(self.path) + 1 :]
            if info.type == fs.FileType.File and name.endswith(suffix) and not re.search(r"(^|/)[_.]", name):
                found.append(FileEntry(name, info.size))
        return sorted(found, key=lambda f: f.name)

    def _listing(self, recursive: bool) -> list[fs.FileInfo]:
        try:
            # allow_not_found would take an hdfs that does not answer for a directory that is not there
            with storage_errors(self.uri, "listed"):
                return list(self.filesystem.get_file_info(fs.FileSelector(self.path, recursive=recursive)))
        except FileNotFoundError:
            return []

    def same_as(self, other: Place) -> bool:
        """Whether both are one directory, however they are written."""
        if self._kind == other._kind == "local":
            return os.path.realpath(self.path) == os.path.realpath(other.path)
        return bool(self.filesystem.equals(other.filesystem)) and self.path == other.path

    def make(self) -> None:
        """Create the directory and its parents; an OutputError where nothing can be written safely."""
        if self._kind == "abfs":
            # the file that pyarrow opens there is seen at once, empty: a lease or a pointer would be read so
            raise OutputError(
                f"{self.uri} is on Azure, where others see a file before it is whole: give a directory on hdfs, s3, gs "
                "or a disk that all machines share"
            )
        self.filesystem.create_dir(self.path, recursive=True)

    def delete(self, name: str | None = None) -> None:
        """Delete the directory, or the file or directory `name` in it and what was to take its place; nothing happens
        where it is missing.
        """
        for path in [self.path] if name is None else [self.file(_successor(name)), self.file(name)]:
            kind = self.filesystem.get_file_info(path).type
            if kind == fs.FileType.Directory:
                self.filesystem.delete_dir(path)
            elif kind == fs.FileType.File:
                self.filesystem.delete_file(path)

    def take(self, name: str, source: Place) -> None:
        """Move the file or directory `name` of `source`, on the same file system, here, in the place of what is here.

        Where directories are renamed (local, hdfs) a reader sees the old one whole, then for a moment none, then the
        new one whole; the old one ends as `NAME.before` in `source`. In an object store (s3, gs), which has none, the
        old files are removed and the new ones copied within the store, one by one.
        """
        here, there = self.file(name), source.file(name)
        if self._kind in RENAMING:
            if self.exists(name):
                self.filesystem.move(here, source.file(f"{name}.before"))
            self.filesystem.move(there, here)
            return
        self.delete(name)
        fs.copy_files(there, here, source_filesystem=self.filesystem, destination_filesystem=self.filesystem)
        source.delete(name)

    def open_file(self, name: str) -> pa.NativeFile:
        """A file to read from at any position. FileNotFoundError where there is none; whatever else the storage has
        against it, now or later, is a StorageError.
        """
        where = f"{self.uri}/{name}"
        with storage_errors(where):
            return pa.PythonFile(_Stored(self.filesystem.open_input_file(self.file(name)), where), mode="r")

    def read_json(self, name: str) -> dict[str, Any]:
        """The JSON object in the file `name`; FileNotFoundError where there is none."""
        # while it is replaced on hdfs it is missing for a moment, in which its successor is there
        for file in (name, _successor(name), name):
            with contextlib.suppress(FileNotFoundError), storage_errors(f"{self.uri}/{name}"):
                with self.filesystem.open_input_stream(self.file(file)) as stream:
                    data = stream.read()
                break
        else:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{self.uri}/{name}")
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as e:
            raise FormatError(f"{self.uri}/{name} is not valid JSON: {e}") from e
        if not isinstance(value, dict):
            raise FormatError(f"{self.uri}/{name} holds no JSON object")
        return value

    def write_json(self, name: str, value: dict[str, Any]) -> None:
        """Write a JSON object so that read_json never sees a part of it, nor none where there was one.

        On a local disk and in an object store (s3, gs) the new file takes the place of the old one at once. The rename
        of hdfs replaces nothing, so that pyarrow deletes the old file first: meanwhile the new one is there as
        `.NAME.new`, and goes on to its place with the next writing where a writer dies in between. Nothing is promised
        for what a machine without power loses.
        """
        data = json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
        if self._kind not in RENAMING:
            # a file there appears whole, when it is closed
            with self.filesystem.open_output_stream(self.file(name)) as stream:
                stream.write(data)
            return
        temporary = f".{name}.{uuid.uuid4().hex}"
        try:
            with self.filesystem.open_output_stream(self.file(temporary)) as stream:
                stream.write(data)
        except OSError:
            self.delete(temporary)
            raise
        if self._kind == "hdfs":
            if self.exists(_successor(name)):
                self._rename(_successor(name), name)
            self._rename(temporary, _successor(name))
            temporary = _successor(name)
        self._rename(temporary, name)

    def _rename(self, name: str, to: str) -> None:
        self.filesystem.move(self.file(name), self.file(to))

    @property
    def _kind(self) -> str:
        return str(self.filesystem.type_name)


# other file systems have no directories, and copy what is to have another name
RENAMING = ("local", "hdfs")


def _successor(name: str) -> str:
    """What a file is called before it takes the place of the one before it."""
    return f".{name}.new"


@contextmanager
def storage_errors(where: str, done: str = "read") -> Iterator[None]:
    """Turns what a file system says into a StorageError, unless it says that the file is not there."""
    try:
        yield
    except (FileNotFoundError, StorageError):
        raise
    except (OSError, pa.ArrowException) as e:
        raise StorageError(f"{where} cannot be {done}: {one_line(e)}") from e


class _Stored:
    """A file as pyarrow takes one from Python. An error of the storage goes through pyarrow's readers as it is, which
    tells it from theirs.
    """

    def __init__(self, file: pa.NativeFile, where: str):
        self._file, self._where = file, where

    @property
    def closed(self) -> bool:
        return bool(self._file.closed)

    def close(self) -> None:
        self._file.close()

    def tell(self) -> int:
        return int(self._file.tell())

    def seek(self, offset: int, whence: int = 0) -> int:
        with storage_errors(self._where):
            return int(self._file.seek(offset, whence))

    def read_buffer(self, size: int) -> pa.Buffer:
        with storage_errors(self._where):
            return self._file.read_buffer(size)

    # what pyarrow copies from may be any buffer: bytes would be one copy more
    read = read_buffer


def _scheme(address: str) -> str:
    """What an address starts with, before its first colon; nothing for a path."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):/", address)
    return found[1] if found else ""


def _pyarrow_uri(address: str) -> str:
    """The address as pyarrow spells it."""
    if not _scheme(address):
        return Path(address).absolute().as_uri()
    if address.startswith("file:"):
        # Hadoop's paths are not escaped, pyarrow's URIs are
        return Path(re.sub(r"^file:/+", "/", address)).as_uri()
    return quote(re.sub(r"^s3[an]:", "s3:", address), safe=":/@?=&[]")

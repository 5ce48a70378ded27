"""A directory on any file system that pyarrow opens: local, hdfs://, s3://, gs://, with Spark's spellings (file:/,
s3a://) understood.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
from pyarrow import fs

from w2v_spark.errors import FormatError, InputError


@dataclass(frozen=True)
class FileEntry:
    """A file's name relative to its directory, and its size in bytes."""

    name: str
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "bytes": self.bytes}


@dataclass(frozen=True)
class Place:
    """A directory: its file system, its path there, and its address as Spark and a user write it."""

    filesystem: fs.FileSystem
    path: str
    uri: str

    @classmethod
    def open(cls, address: str | os.PathLike[str]) -> Place:
        """The directory at a local path or a URI; it need not exist yet."""
        text = os.fspath(address)
        if "\0" in text:
            raise InputError(f"cannot open {text!r}: no path holds the character NUL")
        try:
            filesystem, path = fs.FileSystem.from_uri(_pyarrow_uri(text))
        except (pa.ArrowException, OSError, ValueError) as e:
            raise InputError(f"cannot open {ascii(text)[1:-1] if isinstance(e, UnicodeError) else text}: {e}") from e
        return cls(filesystem, path.rstrip("/") or "/", text.rstrip("/") or "/")

    def child(self, name: str) -> Place:
        """The directory `name` in this one."""
        return Place(self.filesystem, self.file(name), f"{self.uri}/{name}")

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
        return bool(self.filesystem.get_file_info(path).type != fs.FileType.NotFound)

    def names(self) -> list[str]:
        """The names of what lies directly in this directory, sorted; none where it is missing."""
        return sorted(
            info.base_name for info in self.filesystem.get_file_info(fs.FileSelector(self.path, allow_not_found=True))
        )

    def files(self, suffix: str = ".parquet") -> list[FileEntry]:
        """The files below this directory whose name ends so, sorted by name. As for Spark, what starts with _ or . is
        hidden, with all that lies below it: a writer's temporary files.
        """
        selector = fs.FileSelector(self.path, allow_not_found=True, recursive=True)
        found = list[FileEntry]()
        for info in self.filesystem.get_file_info(selector):
            name = info.path[len(self.path) + 1 :]
            if info.type == fs.FileType.File and name.endswith(suffix) and not re.search(r"(^|/)[_.]", name):
                found.append(FileEntry(name, info.size))
        return sorted(found, key=lambda f: f.name)

    def make(self) -> None:
        """Create the directory and its parents."""
        self.filesystem.create_dir(self.path, recursive=True)

    def delete(self, name: str | None = None) -> None:
        """Delete the directory, or the file or directory `name` in it; nothing happens where it is missing."""
        path = self.path if name is None else self.file(name)
        kind = self.filesystem.get_file_info(path).type
        if kind == fs.FileType.Directory:
            self.filesystem.delete_dir(path)
        elif kind == fs.FileType.File:
            self.filesystem.delete_file(path)

    def read_json(self, name: str) -> dict[str, Any]:
        """The JSON object in the file `name`."""
        try:
            with self.filesystem.open_input_stream(self.file(name)) as stream:
                value = json.loads(stream.read())
        except (ValueError, RecursionError) as e:
            raise FormatError(f"{self.uri}/{name} is not valid JSON: {e}") from e
        if not isinstance(value, dict):
            raise FormatError(f"{self.uri}/{name} holds no JSON object")
        return value

    def write_json(self, name: str, value: dict[str, Any]) -> None:
        """Write a JSON object so that a reader never sees a part of it.

        On a local disk and in an object store (s3, gs) a reader sees the old file or the new one, always. On hdfs,
        whose rename replaces nothing, pyarrow deletes the old file first: for a moment there is none, and a writer that
        dies in that moment leaves none, but the new one as `.NAME.*` beside its place. Nothing is promised for what a
        machine without power loses.
        """
        data = json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
        if not self._renames():
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
        self.filesystem.move(self.file(temporary), self.file(name))

    def _renames(self) -> bool:
        return self.filesystem.type_name in ("local", "hdfs")


def _pyarrow_uri(address: str) -> str:
    """The address as pyarrow spells it."""
    if not re.match(r"^[A-Za-z][A-Za-z0-9+.-]+:/", address):
        return Path(address).absolute().as_uri()
    if address.startswith("file:"):
        # Hadoop's paths are not escaped, pyarrow's URIs are
        return Path(re.sub(r"^file:/+", "/", address)).as_uri()
    return quote(re.sub(r"^s3[an]:", "s3:", address), safe=":/@?=&[]")

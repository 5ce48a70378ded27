"""File systems on a local disk that behave as others do: hdfs, whose rename replaces nothing, and object stores, which
have no directories to rename. `PyFileSystem` makes a file system of pyarrow's of each.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from w2v_spark.place import Place

LOCAL = fs.LocalFileSystem()


class OnDisk(fs.FileSystemHandler):  # type: ignore[misc]
    """The local disk; `watch` is called with the name of each operation and its path, before it is done."""

    kind = "local"

    def __init__(self, watch: Callable[[str, str], None] = lambda operation, path: None):
        self.watch = watch

    def get_type_name(self) -> str:
        return self.kind

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: list[str]) -> list[fs.FileInfo]:
        return LOCAL.get_file_info(paths)  # type: ignore[no-any-return]

    def get_file_info_selector(self, selector: fs.FileSelector) -> list[fs.FileInfo]:
        self.watch("list", selector.base_dir)
        return LOCAL.get_file_info(selector)  # type: ignore[no-any-return]

    def create_dir(self, path: str, recursive: bool) -> None:
        LOCAL.create_dir(path, recursive=recursive)

    def delete_dir(self, path: str) -> None:
        self.watch("delete", path)
        LOCAL.delete_dir(path)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool) -> None:
        LOCAL.delete_dir_contents(path, missing_dir_ok=missing_dir_ok)

    def delete_root_dir_contents(self) -> None:
        raise PermissionError("not the root")

    def delete_file(self, path: str) -> None:
        self.watch("delete", path)
        LOCAL.delete_file(path)

    def move(self, src: str, dest: str) -> None:
        self.watch("move", dest)
        LOCAL.move(src, dest)

    def copy_file(self, src: str, dest: str) -> None:
        self.watch("copy", dest)
        LOCAL.copy_file(src, dest)

    def open_input_stream(self, path: str) -> Any:
        self.watch("open", path)
        return LOCAL.open_input_stream(path)

    def open_input_file(self, path: str) -> Any:
        self.watch("open", path)
        return LOCAL.open_input_file(path)

    def open_output_stream(self, path: str, metadata: Any) -> Any:
        self.watch("write", path)
        return LOCAL.open_output_stream(path, metadata=metadata)

    def open_append_stream(self, path: str, metadata: Any) -> Any:
        raise NotImplementedError


class LikeHdfs(OnDisk):
    """Moves as pyarrow does on hdfs: what a rename finds in its place makes it fail; a file is then deleted first, and
    a directory takes what is renamed into itself.
    """

    kind = "hdfs"

    def move(self, src: str, dest: str) -> None:
        there = LOCAL.get_file_info(dest).type
        if there == fs.FileType.File and LOCAL.get_file_info(src).type == fs.FileType.File:
            self.delete_file(dest)
        elif there == fs.FileType.File:
            raise OSError(5, f"HDFS rename failed: {dest} is there")
        elif there == fs.FileType.Directory:
            dest = f"{dest}/{src.rpartition('/')[2]}"
        super().move(src, dest)


class LikeAnObjectStore(OnDisk):
    """Moves nothing, and makes directories as they are needed."""

    kind = "s3"

    def move(self, src: str, dest: str) -> None:
        raise NotImplementedError("Move of a directory")

    def copy_file(self, src: str, dest: str) -> None:
        LOCAL.create_dir(dest.rpartition("/")[0], recursive=True)
        super().copy_file(src, dest)

    def open_output_stream(self, path: str, metadata: Any) -> Any:
        LOCAL.create_dir(path.rpartition("/")[0], recursive=True)
        return super().open_output_stream(path, metadata)


class OverANetwork(OnDisk):
    """Reads as an object store does, until so many reads have been answered."""

    def __init__(self) -> None:
        super().__init__()
        self.answered, self.last = 0, 1_000_000

    def open_input_file(self, path: str) -> Any:
        file, wire = LOCAL.open_input_file(path), self

        class Reads:
            closed = False

            def read_buffer(self, size: int) -> Any:
                if wire.answered == wire.last:
                    raise OSError("AWS Error NETWORK_CONNECTION during GetObject operation: curlCode: 28, Timeout")
                wire.answered += 1
                return file.read_buffer(size)

            def __getattr__(self, name: str) -> Any:
                return getattr(file, name)

        return pa.PythonFile(Reads(), mode="r")


class _Of(Place):
    """A place whose file system calls itself what its handler does, without the prefix of those made in Python."""

    @property
    def _kind(self) -> str:
        return super()._kind.removeprefix("py::")


def place_of(handler: OnDisk, path: object) -> Place:
    return _Of(fs.PyFileSystem(handler), str(path), str(path))


def damage_file(path: Path, how: str) -> None:
    """A file of Parquet that is `missing`, `cut` or `flipped`."""
    data = bytearray(path.read_bytes())
    if how == "missing":
        path.unlink()
    elif how == "cut":
        path.write_bytes(data[:-9])
    else:
        data[300] ^= 16  # among the values, which come first
        path.write_bytes(data)

"""What lies on disk when a run has ended: names, schemas, manifest and format version. What lies in OUT/work while it
goes on is in `workdir`.

OUT/model.json      the manifest: format version, parameters, the files of vectors/ and their sizes; written last
OUT/vocab/          id, word, count
OUT/vectors/        id, word, count, vector; rows by count descending
OUT/metrics/        one row for each replica and round
OUT/report.html     the run on one page, for people
OUT/work/           what a run keeps while it goes on

model.json says in `input.fingerprint` which files the model was trained on: a digest of their names, sizes and times of
change, the column and the format; null for a table, a query or a DataFrame, whose content has no such mark.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from w2v_spark import __version__
from w2v_spark.errors import FormatError, StorageError, one_line
from w2v_spark.place import FileEntry, Place

FORMAT = "w2v_spark"
FORMAT_VERSION = 1

MANIFEST, REPORT = "model.json", "report.html"
VOCAB, VECTORS, METRICS, WORK = "vocab", "vectors", "metrics", "work"

VOCAB_SCHEMA = pa.schema([("id", pa.int32()), ("word", pa.string()), ("count", pa.int64())])
VECTORS_SCHEMA = pa.schema([*VOCAB_SCHEMA, ("vector", pa.list_(pa.float32()))])
METRICS_SCHEMA = pa.schema(
    [
        ("round", pa.int32()),
        ("start", pa.float64()),
        ("stop", pa.float64()),
        ("step_size", pa.float64()),
        ("shard", pa.int32()),
        ("words", pa.int64()),
        ("words_kept", pa.int64()),
        ("pairs", pa.int64()),
        ("loss", pa.float64()),
        ("bytes_sent", pa.int64()),
        ("threads", pa.int32()),
        ("seconds_open", pa.float64()),
        ("seconds_train", pa.float64()),
        ("syncs", pa.int32()),
        ("seconds_sync", pa.float64()),
        ("seconds_round", pa.float64()),
        ("longest_row", pa.float64()),
        ("analogies", pa.float64()),
        ("word_pairs", pa.float64()),
        ("host", pa.string()),
        ("processor", pa.string()),
    ]
)


@dataclass(frozen=True)
class Model:
    """A finished model on disk: its directory and its manifest."""

    place: Place
    manifest: Mapping[str, Any]

    @property
    def params(self) -> Mapping[str, Any]:
        """The resolved parameters that the model was trained with."""
        return self.manifest["params"]  # type: ignore[no-any-return]

    def files(self, directory: str) -> list[FileEntry]:
        """The files that the manifest names in vocab/, vectors/ or metrics/; none where it does not name the
        directory.
        """
        return files_from_json(self.manifest["files"].get(directory, []))


def open_model(address: str) -> Model:
    """The model at OUT or OUT/vectors; an error says what is wrong with a directory that holds none."""
    place = Place.open(address)
    candidates = [place]
    if place.path.endswith("/" + VECTORS):
        above = place.uri.removesuffix("/" + VECTORS) if place.uri.endswith("/" + VECTORS) else f"{place.uri}/.."
        candidates.append(Place(place.filesystem, place.path.removesuffix("/" + VECTORS) or "/", above))
    for candidate in candidates:
        if candidate.exists(MANIFEST):
            return Model(candidate, checked_manifest(candidate))
    if not any(candidate.exists() for candidate in candidates):
        raise FormatError(f"no vectors at {address}: there is no such directory; give the --output of a training run")
    if any(candidate.exists(WORK) for candidate in candidates):
        raise FormatError(
            f"{address} holds a run that is not finished, or a plan ({MANIFEST} is written last): let it end, or start "
            "its command again"
        )
    if place.filesystem.get_file_info(place.path).type == fs.FileType.File:
        raise FormatError(
            f"{address} is a file, and a model is a directory: give the --output of a training run, or make a model of "
            "the file with convert --input; Vectors.load_word2vec_format reads word2vec's formats as they are"
        )
    raise FormatError(
        f"{address} is not a model of {FORMAT}: it has no {MANIFEST}; give the --output of a training run"
    )


def checked_manifest(place: Place) -> dict[str, Any]:
    """The manifest, refused where it is not ours, of a newer format, or without sense in what leads to the vectors."""
    manifest = place.read_json(MANIFEST)
    if manifest.get("format") != FORMAT:
        raise FormatError(f"{place.uri}/{MANIFEST} was not written by {FORMAT}")
    version = manifest.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise FormatError(
            f"{place.uri} has format version {version}, this {FORMAT} reads up to {FORMAT_VERSION}: take a newer "
            f"checkout of {FORMAT}"
        )
    params, files = (value if isinstance(value := manifest.get(key), dict) else {} for key in ("params", "files"))
    if "vector_size" not in params or VECTORS not in files:
        raise FormatError(f"{place.uri}/{MANIFEST} is damaged: it lacks params.vector_size or files.{VECTORS}")
    if not isinstance(size := params["vector_size"], int) or size < 1:
        raise FormatError(
            f"{place.uri} is damaged: {MANIFEST} says params.vector_size {size!r:.60}, must be at least 1"
        )
    for name, entries in files.items():
        if not isinstance(entries, list) or not all(map(_is_entry, entries)):
            raise FormatError(f"{place.uri} is damaged: files.{name} of {MANIFEST} is no list of names and bytes")
    return manifest


def _is_entry(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("name"), str) and isinstance(entry.get("bytes"), int)


def files_as_json(files: Iterable[FileEntry]) -> list[dict[str, Any]]:
    """Files as all our JSON names them."""
    return [{"name": file.name, "bytes": file.bytes} for file in files]


def files_from_json(entries: Iterable[Mapping[str, Any]]) -> list[FileEntry]:
    """The inverse of `files_as_json`."""
    return [FileEntry(entry["name"], entry["bytes"]) for entry in entries]


def read_files(place: Place, files: Iterable[FileEntry], schema: pa.Schema | None = None) -> pa.Table:
    """The rows of the Parquet files that a manifest names, in its order; a missing or cut file is an error, others are
    not looked at.
    """
    tables = []
    for entry in files:
        with opened(place, entry) as file:
            table = file.read()
            tables.append(table if schema is None else table.select(schema.names).cast(schema))
    if tables:
        return pa.concat_tables(tables)
    if schema is None:
        raise FormatError(f"{place.uri} names no files")
    return schema.empty_table()


@contextmanager
def opened(place: Place, entry: FileEntry, buffer_size: int = 1 << 20) -> Iterator[pq.ParquetFile]:
    """A Parquet file that a manifest names. One that is missing, of another size or not to be decoded is a FormatError,
    now or while it is read; one that the storage does not give is a StorageError. `buffer_size` bytes are read at once;
    0: all that a row group has of a column.
    """
    try:
        source = place.open_file(entry.name)
    except FileNotFoundError as e:
        raise _damaged(_wrong_size(place, entry, None)) from e
    with parquet_errors(place, entry), source:
        if wrong := _wrong_size(place, entry, source.size()):
            raise _damaged(wrong)
        with pq.ParquetFile(source, buffer_size=buffer_size, pre_buffer=False, page_checksum_verification=True) as file:
            yield file


@contextmanager
def parquet_errors(place: Place, entry: FileEntry) -> Iterator[None]:
    """Turns what pyarrow has against a file's content into a FormatError."""
    try:
        yield
    except StorageError:
        raise
    except (pa.ArrowException, OSError) as e:
        raise FormatError(f"{place.uri}/{entry.name} cannot be read as Parquet: {one_line(e)}") from e


def lacking(place: Place, files: Iterable[FileEntry]) -> str:
    """Says which of some files is the first that is missing or has another size; empty where all are fine."""
    sizes = {found.name: found.bytes for found in place.files()}
    wrong = (_wrong_size(place, file, sizes.get(file.name)) for file in files)
    return next(filter(None, wrong), "")


def _wrong_size(place: Place, entry: FileEntry, size: int | None) -> str:
    if size == entry.bytes:
        return ""
    found = "is missing" if size is None else f"has {size} bytes"
    return f"{place.uri}/{entry.name} {found}, the manifest says {entry.bytes} bytes"


def _damaged(what: str) -> FormatError:
    return FormatError(f"{what}: the directory is damaged")


def model_manifest(params: Mapping[str, Any], files: Mapping[str, list[FileEntry]], **about: Any) -> dict[str, Any]:
    """What model.json holds: resolved parameters, file lists of each directory, and what else the run tells of
    itself.
    """
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "params": dict(params),
        "files": {name: files_as_json(entries) for name, entries in files.items()},
        **about,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Versions of what shapes the numbers."""
    found = {"w2v_spark": __version__, "python": platform.python_version(), "machine": platform.machine()}
    for package in ("numpy", "pyarrow", "numba", "pyspark"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found

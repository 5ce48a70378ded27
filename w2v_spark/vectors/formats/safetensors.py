"""NAME.safetensors with the tensors `vectors` and `counts`, and NAME.vocab.json, a list of the words.

The format is eight bytes with the length of a JSON header, the header with the place of each tensor, and the tensors:
https://github.com/huggingface/safetensors. Nothing in it can run code.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np

from w2v_spark.errors import FormatError
from w2v_spark.vectors.formats.words import unique
from w2v_spark.vectors.vectors import Vectors

DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I64": "<i8"}
NAMES = ("vectors", "embeddings")  # the second is model2vec's
LONGEST_HEADER = 100_000_000  # as in the library


def files(path: Path) -> list[Path]:
    """The files of one model, the one that names it first."""
    return [path, path.with_suffix(".vocab.json")]


def unwritable(word: str) -> str | None:
    """JSON holds every word."""
    return None


def write(vectors: Vectors, handles: Sequence[IO[bytes]]) -> None:
    """Fill the handles of `files`."""
    tensors: dict[str, np.ndarray] = {"vectors": np.ascontiguousarray(vectors.vectors)}
    if vectors.counts is not None:
        tensors["counts"] = np.ascontiguousarray(vectors.counts, "<i8")
    header: dict[str, Any] = {"__metadata__": {"lowercase": str(vectors.lowercase).lower()}}
    at = 0
    for name, tensor in tensors.items():
        kind = next(kind for kind, dtype in DTYPES.items() if tensor.dtype == dtype)
        header[name] = {"dtype": kind, "shape": tensor.shape, "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    handles[0].write(struct.pack("<Q", len(text)) + text)
    for tensor in tensors.values():
        handles[0].write(tensor.reshape(-1).view(np.uint8).data)
    handles[1].write(json.dumps(vectors.index_to_key, ensure_ascii=False).encode())


def read(path: Path, limit: int | None = None, mmap: bool = False) -> Vectors:
    """The tensor `vectors`, or `embeddings`, or the only one of two dimensions. `mmap` leaves the numbers on disk."""
    header, start = _header(path)
    matrices = [name for name, about in header.items() if len(about["shape"]) == 2]
    name = next((name for name in NAMES if name in matrices), matrices[0] if len(matrices) == 1 else None)
    if name is None:
        raise FormatError(f"{path} must hold a tensor 'vectors', words x numbers, got {', '.join(header) or 'none'}")
    for tensor, kinds in ((name, ("F16", "F32", "F64")), ("counts", ("I64",))):
        if tensor in header and header[tensor]["dtype"] not in kinds:
            raise FormatError(
                f"{path} holds {tensor!r} as {header[tensor]['dtype']!s:.20} numbers: must be one of {', '.join(kinds)}"
            )
    vocabulary = files(path)[1]
    try:
        words = json.loads(vocabulary.read_bytes())
    except (ValueError, RecursionError) as e:
        raise FormatError(f"{vocabulary} is not valid JSON: {e}") from e
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise FormatError(f"{vocabulary} must hold a list of the words, in the order of the vectors")
    rows = header[name]["shape"][0]
    if len(words) != rows or ("counts" in header and header["counts"]["shape"] != [rows]):
        raise FormatError(f"{vocabulary} has {len(words)} words and {path} has {rows} rows: must be one for each")
    vectors = _tensor(path, header[name], start, mmap, limit)
    vectors = vectors.astype(np.float32) if vectors.dtype == np.float64 else vectors
    counts = _tensor(path, header["counts"], start, False, limit).astype(np.int64) if "counts" in header else None
    lowercase = _metadata(path).get("lowercase") == "true"
    return unique(path, words[:limit], vectors, counts, lowercase)


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """Where each tensor lies, and where the first begins."""
    header, start = _json(path)
    header.pop("__metadata__", None)
    end = path.stat().st_size - start
    for name, about in header.items():
        try:
            low, high = about["data_offsets"]
            if not all(type(number) is int and 0 <= number < 1 << 62 for number in (low, high, *about["shape"])):
                raise ValueError("a size or an offset is no number of bytes")
            numbers = math.prod(about["shape"])
            if about["dtype"] in DTYPES and high - low != numbers * np.dtype(DTYPES[about["dtype"]]).itemsize:
                raise ValueError(f"{high - low} bytes for {numbers} numbers")
            if not 0 <= low <= high <= end:
                raise ValueError(f"bytes {low} to {high} of {end}")
        except (KeyError, TypeError, ValueError) as e:
            raise FormatError(f"{path} is cut or damaged: tensor {name!r:.60}: {e}") from e
    places = sorted(about["data_offsets"] for about in header.values())
    if any(after[0] < before[1] for before, after in pairwise(places)):
        raise FormatError(f"{path} is damaged: two of its tensors share bytes")
    return header, start


def _metadata(path: Path) -> dict[str, Any]:
    found = _json(path)[0].get("__metadata__")
    return found if isinstance(found, dict) else {}


def _json(path: Path) -> tuple[dict[str, Any], int]:
    with open(path, "rb") as stream:
        first = stream.read(8)
        length = struct.unpack("<Q", first)[0] if len(first) == 8 else LONGEST_HEADER + 1
        text = stream.read(length) if length <= min(LONGEST_HEADER, path.stat().st_size) else b""
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        header = None
    if len(text) != length or not isinstance(header, dict):
        raise FormatError(f"{path} is no safetensors file: it has no header that can be read")
    return header, 8 + length


def _tensor(path: Path, about: dict[str, Any], start: int, mmap: bool, limit: int | None) -> np.ndarray:
    """The first rows of a tensor."""
    dtype, at = DTYPES[about["dtype"]], start + about["data_offsets"][0]
    shape = (len(range(about["shape"][0])[:limit]), *about["shape"][1:])
    if mmap and 0 not in shape:
        return np.memmap(path, dtype, "r", at, shape)
    with open(path, "rb") as stream:
        stream.seek(at)
        return np.fromfile(stream, dtype, int(np.prod(shape))).reshape(shape)

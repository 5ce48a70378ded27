"""Files that other tools read and write: each format a module with `write`, `read` and `files`.

`write(vectors, handles)` fills the new files that `files(path)` names; `read(path, ...)` gives Vectors. A format that
cannot hold a word refuses it by name before anything is written. Nothing here reads or writes pickle.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from w2v_spark.errors import FormatError, InputError, ParamError
from w2v_spark.vectors.formats import gensim_kv, numpy_files, projector, safetensors, word2vec_binary, word2vec_text
from w2v_spark.vectors.formats.files import fresh_files, pickled, unpacked
from w2v_spark.vectors.formats.words import written_words
from w2v_spark.vectors.given import checked_int
from w2v_spark.vectors.vectors import Vectors


@dataclass(frozen=True)
class Format:
    """How a format is named, by which endings it is known, and what reads and writes it."""

    name: str
    endings: tuple[str, ...]
    about: str
    files: Callable[[Path], list[Path]]
    unwritable: Callable[[str], str | None]
    write: Callable[..., None]
    read: Callable[..., Vectors]
    half: bool = False  # whether it holds float16
    spaced: bool = False  # whether white space separates words from numbers, so that words must hold none


# of a file whose format is in doubt
_LOOKED_AT = 4096

FORMATS = {
    f.name: f
    for f in (
        Format(
            "word2vec-text",
            (".txt", ".vec", ".txt.gz", ".vec.gz"),
            "a line for each word, as word2vec.c, gensim, fastText and GloVe write it",
            word2vec_text.files,
            word2vec_text.unwritable,
            word2vec_text.write,
            word2vec_text.read,
            spaced=True,
        ),
        Format(
            "word2vec-binary",
            (".bin", ".bin.gz"),
            "word2vec.c's binary: each word and its float32 numbers",
            word2vec_binary.files,
            word2vec_binary.unwritable,
            word2vec_binary.write,
            word2vec_binary.read,
            spaced=True,
        ),
        Format(
            "gensim",
            (),
            "word2vec-binary and FILE.vocab with the counts, which gensim's load_word2vec_format reads together",
            gensim_kv.files,
            gensim_kv.unwritable,
            gensim_kv.write,
            gensim_kv.read,
            spaced=True,
        ),
        Format(
            "numpy",
            (".npy",),
            "NAME.npy, NAME.words.txt and NAME.counts.npy; can be memory-mapped",
            numpy_files.files,
            numpy_files.unwritable,
            numpy_files.write,
            numpy_files.read,
            half=True,
        ),
        Format(
            "safetensors",
            (".safetensors",),
            "NAME.safetensors with the tensors vectors and counts, and NAME.vocab.json; can be memory-mapped",
            safetensors.files,
            safetensors.unwritable,
            safetensors.write,
            safetensors.read,
            half=True,
        ),
        Format(
            "projector",
            (".tsv",),
            "NAME.tsv and NAME.metadata.tsv for the TensorBoard Embedding Projector",
            projector.files,
            projector.unwritable,
            projector.write,
            projector.read,
        ),
    )
}


def write_file(
    vectors: Vectors,
    path: str | os.PathLike[str],
    name: str,
    *,
    dtype: str | None = None,
    replace_spaces: str | None = None,
) -> list[Path]:
    """Write the vectors as the format `name` and return the files; existing ones are refused, failed ones removed.

    `dtype` "float16" halves numpy and safetensors files. `replace_spaces` stands for white space in words where the
    format cannot hold it.
    """
    form, target = _named(name), _local(path)
    if (
        form.endings
        and form.name not in ("word2vec-text", "word2vec-binary")
        and not str(target).endswith(form.endings)
    ):
        raise ParamError(f"a file of format {name} must end in {form.endings[0]}, got {target}")
    if str(target).endswith(".gz"):
        raise ParamError(f"{target}: packed files are read but not written; write it without .gz and run gzip")
    if dtype not in (None, "float32", "float16") or (dtype == "float16" and not form.half):
        halves = ", ".join(f.name for f in FORMATS.values() if f.half)
        raise ParamError(f"dtype must be float32, or float16 for the formats {halves}; got {dtype!r} for {name}")
    if replace_spaces is not None and not form.spaced:
        raise ParamError(f"format {name} holds words with spaces as they are: leave --replace-spaces out")
    words = written_words(vectors.index_to_key, name, form.unwritable, replace_spaces)
    with np.errstate(over="ignore"):
        matrix = vectors.vectors.astype(np.float16) if dtype == "float16" else vectors.vectors
    if dtype == "float16" and not np.isfinite(matrix).all():
        raise ParamError("a number is too large for float16 (65504): write float32")
    if words is not vectors.index_to_key or matrix is not vectors.vectors:
        vectors = Vectors(words, matrix, vectors.counts, lowercase=vectors.lowercase)
    every = form.files(target)
    paths = every if vectors.counts is not None else [path for path in every if not _of_counts(path)]
    with fresh_files(paths, refused=every) as handles:
        form.write(vectors, handles)
    return paths


def read_file(
    path: str | os.PathLike[str],
    name: str | None = None,
    *,
    mmap: bool = False,
    limit: int | None = None,
    unicode_errors: str = "strict",
) -> Vectors:
    """The vectors of a file; the format is known by the file's ending where no name is given."""
    source = _local(path)
    form = _named(name) if name is not None else format_of(source)
    if mmap and not form.half:
        raise ParamError(f"a file of format {form.name} cannot be mapped into memory: convert it to numpy first")
    checked_int("limit", limit, 1, none=True)
    if unicode_errors not in ("strict", "replace", "ignore"):
        raise ParamError(f"unicode_errors must be one of strict, replace, ignore, got {unicode_errors!r}")
    try:
        if form.half:
            return form.read(source, limit, mmap)
        return form.read(source, limit, unicode_errors)
    except OSError as e:
        raise InputError(f"cannot read {e.filename or source}: {e.strerror or e}") from e
    except FormatError as e:
        hint = _other_format(source, form.name)
        if name is None and form.name == "gensim":
            hint = f"its counts were looked for in {source.name}.vocab; without them it is word2vec-binary (--from)"
        if not hint:
            raise
        raise FormatError(f"{e}; {hint}") from e
    except MemoryError as e:
        raise FormatError(f"{source} says that it holds more vectors than memory can hold: {e}") from e


def format_of(path: Path, writing: bool = False) -> Format:
    """The format that a file's ending tells, of a file to be read or, when `writing`, of a new one."""
    if path.name.endswith((".kv", ".model", ".pkl", ".pickle")):
        if not writing:
            raise pickled(path)
        raise ParamError(
            f"{path}: no pickle is written, as it runs code when it is read: give --to gensim and another name, which "
            "gensim reads by KeyedVectors.load_word2vec_format(NAME, fvocab=NAME.vocab, binary=True)"
        )
    if path.is_dir() and not writing:
        raise ParamError(f"{path} is a directory: give a file, or, where it is a model of ours, give it as --vectors")
    if path.name.endswith(".bin") and Path(f"{path}.vocab").is_file() and not writing:
        return FORMATS["gensim"]
    if not path.name.endswith(".metadata.tsv"):
        for form in FORMATS.values():
            if path.name.endswith(form.endings or "\0"):
                return form
    how = "--to" if writing else "--from"
    raise ParamError(f"the ending of {path} tells no format: name it ({how}), one of {', '.join(FORMATS)}")


def _other_format(path: Path, name: str) -> str:
    """What may help where a file of one of word2vec's formats looks like the other."""
    if name not in ("word2vec-text", "word2vec-binary", "gensim"):
        return ""
    with suppress(OSError, EOFError, FormatError), unpacked(path) as stream:
        # a first line is text in both
        _, _, rest = stream.read(_LOOKED_AT).partition(b"\n")
        if not rest:
            return ""
        is_binary = any(byte < 9 for byte in rest)
        if is_binary and name == "word2vec-text":
            return "it looks binary: give binary=True (--from word2vec-binary)"
        if not is_binary and name != "word2vec-text":
            return "it looks like text: leave binary=True out (--from word2vec-text)"
    return ""


def _named(name: str) -> Format:
    if name not in FORMATS:
        raise ParamError(f"format must be one of {', '.join(FORMATS)}, got {name!r}")
    return FORMATS[name]


def _local(path: str | os.PathLike[str]) -> Path:
    if "://" in os.fspath(path):
        raise ParamError(f"{os.fspath(path)}: only our Parquet models lie at a URI; files of other formats are local")
    return Path(path)


def _of_counts(path: Path) -> bool:
    """Whether a file holds the counts alone."""
    return path.name.endswith((".counts.npy", ".vocab"))

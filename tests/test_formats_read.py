"""Files of vectors that others wrote, and damaged ones."""

from __future__ import annotations

import gzip
import inspect
import json
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from test_formats import equal, file_of, made

from w2v_spark.errors import FormatError, InputError, OutputError, ParamError, W2VError
from w2v_spark.vectors.formats import FORMATS, read_file, write_file
from w2v_spark.vectors.vectors import Vectors


@pytest.mark.parametrize("binary", [False, True])
def test_files_of_gensim(tmp_path: Path, binary: bool) -> None:
    ours = made(["a", "東京", "c"])
    path = tmp_path / ("v.bin" if binary else "v.txt")
    ours.to_gensim().save_word2vec_format(str(path), binary=binary)
    equal(read_file(path), ours)
    assert read_file(path).index_to_key == Vectors.load_word2vec_format(path, binary=binary).index_to_key
    ours.save_word2vec_format(tmp_path / "mine", binary=binary)
    theirs = KeyedVectors.load_word2vec_format(str(tmp_path / "mine"), binary=binary)
    assert np.array_equal(theirs.vectors, ours.vectors)


def test_arguments_of_gensim(tmp_path: Path) -> None:
    names = list(inspect.signature(KeyedVectors.load_word2vec_format).parameters)
    assert list(inspect.signature(Vectors.load_word2vec_format).parameters) == names
    ours, path, glove = made(["a", "b", "c"]), tmp_path / "v.w2v", tmp_path / "glove.txt"
    ours.save_word2vec_format(path, f"{path}.vocab", True)
    theirs = KeyedVectors.load_word2vec_format(path, f"{path}.vocab", True, "utf8", "strict", 2, np.float16)
    mine = Vectors.load_word2vec_format(path, f"{path}.vocab", True, "utf8", "strict", 2, np.float16)
    assert mine.index_to_key == theirs.index_to_key == ["a", "b"]
    assert mine.vectors.dtype == theirs.vectors.dtype == np.float16
    assert mine.get_vecattr("b", "count") == theirs.get_vecattr("b", "count")
    glove.write_text("a 1 2\nb 3 4\n")
    mine, theirs = (v.load_word2vec_format(glove, no_header=True) for v in (Vectors, KeyedVectors))
    assert (mine.index_to_key, mine.vectors.tolist()) == (theirs.index_to_key, theirs.vectors.tolist())
    for options, message in (
        ({"encoding": "latin-1"}, "encoding must be utf8, got 'latin-1': convert the file first"),
        ({"encoding": "nonsense"}, "encoding must be utf8, got 'nonsense': convert the file first"),
        ({"datatype": np.float64}, "datatype must be one of float32, float16, got float64"),
        (
            {"fvocab": "other", "binary": True},
            f"fvocab must be {path}.vocab, with binary=True, got other: leave it out, or give that name",
        ),
    ):
        with pytest.raises(ParamError) as error:
            Vectors.load_word2vec_format(path, **options)
        assert str(error.value) == message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2 2\na 1 2\nb 3 4\n", ["a", "b"]),
        ("2 2\na 1 2 \nb 3 4 \n", ["a", "b"]),  # word2vec.c, fastText
        ("2 2\r\na 1 2\r\nb 3 4", ["a", "b"]),
        ("a 1 2\nb 3 4\n", ["a", "b"]),  # GloVe has no first line
        ("a\t1\t2\nb\t3\t4\n", ["a", "b"]),
        ("2 2\n. . . 1 2\nat name@domain.com 3 4\n", [". . .", "at name@domain.com"]),  # words of GloVe's 840B
        ("2 2\n1 1 2\n2 3 4\n", ["1", "2"]),
        ("a 1 2\nb 3 4\n\n", ["a", "b"]),
        ("a 1 2\nb 3 4\n \t\n\r\n\n", ["a", "b"]),
        ("2 2\na 1 2\nb 3 4\n \t\n\r\n\n", ["a", "b"]),
        ("3 2\na 1 2\nb 3 4\na 5 6\n", ["a", "b"]),  # the first of a repeated word, as in gensim
    ],
)
def test_texts_of_many_writers(tmp_path: Path, text: str, words: list[str]) -> None:
    for path in (tmp_path / "v.txt", tmp_path / "v.vec.gz"):
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
        found = read_file(path)
        assert found.index_to_key == words
        assert found.vectors.tolist() == [[1, 2], [3, 4]]


def test_binary_with_and_without_line_ends(tmp_path: Path) -> None:
    numbers = np.array([[1, 2], [3, 4]], "<f4")
    for end in (b"", b"\n"):
        data = b"2 2\n" + b"".join(w + b" " + row.tobytes() + end for w, row in zip((b"a", b"b"), numbers, strict=True))
        (tmp_path / "v.bin").write_bytes(data)
        (tmp_path / "v.bin.gz").write_bytes(gzip.compress(data))
        for name in ("v.bin", "v.bin.gz"):
            found = read_file(tmp_path / name)
            assert (found.index_to_key, found.vectors.tolist()) == (["a", "b"], [[1, 2], [3, 4]])


def test_the_format_that_a_file_looks_like_is_told(tmp_path: Path) -> None:
    ours = made(["a", "b", "c"])
    text, binary = (file_of(tmp_path, name) for name in ("word2vec-text", "word2vec-binary"))
    write_file(ours, text, "word2vec-text")
    write_file(ours, binary, "word2vec-binary")
    with pytest.raises(FormatError, match=r"; it looks binary: give binary=True \(--from word2vec-binary\)$"):
        Vectors.load_word2vec_format(binary)
    with pytest.raises(FormatError, match=r"; it looks like text: leave binary=True out \(--from word2vec-text\)$"):
        Vectors.load_word2vec_format(text, binary=True)
    for content in (b"", b"3 4\n"):  # of which nothing can be told
        binary.write_bytes(content)
        with pytest.raises(FormatError) as error:
            read_file(binary)
        assert "it looks" not in str(error.value)
    with pytest.raises(
        ParamError, match=r"^/.* is a directory: give a file, or, where it is a model of ours, give it as"
    ):
        read_file(tmp_path)


def test_counts_beside_a_binary_are_read(tmp_path: Path) -> None:
    ours, path = made(["a", "b", "c"]), tmp_path / "v.bin"
    write_file(ours, path, "gensim")
    equal(read_file(path), ours)
    (tmp_path / "v.bin.vocab").write_text("<unk>\t0\n")
    with pytest.raises(
        FormatError, match=r"; its counts .* in v\.bin\.vocab; without them it is word2vec-binary \(--f"
    ):
        read_file(path)
    assert read_file(path, "word2vec-binary").index_to_key == ["a", "b", "c"]


def test_words_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_bytes(b"2 1\na 1\n\xe6\x9d 2\n")
    with pytest.raises(InputError) as error:
        read_file(path)
    assert str(error.value) == (f"{path}: word 2, b'\\xe6\\x9d', is not UTF-8: give --unicode-errors replace or ignore")
    assert read_file(path, unicode_errors="replace").index_to_key == ["a", "\ufffd"]
    assert read_file(path, unicode_errors="ignore").index_to_key == ["a", ""]


def test_safetensors_library(tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.numpy")
    ours, path = made(["a", "b"]), tmp_path / "v.safetensors"
    write_file(ours, path, "safetensors")
    tensors = library.load_file(path)
    assert np.array_equal(tensors["vectors"], ours.vectors)
    assert tensors["counts"].tolist() == [14, 7]
    for name in ("embeddings", "weight"):
        library.save_file({name: ours.vectors, "other": np.zeros(3)}, path, metadata={"x": "y"})
        equal(read_file(path), ours)


def test_safetensors_layout(tmp_path: Path) -> None:
    ours, path = made(["a", "b"]), tmp_path / "v.safetensors"
    write_file(ours, path, "safetensors")
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    assert length % 8 == 0
    header = json.loads(data[8 : 8 + length])
    assert header["vectors"] == {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
    assert data[8 + length : 32 + length] == ours.vectors.tobytes()
    assert json.loads((tmp_path / "v.vocab.json").read_text()) == ["a", "b"]
    assert read_file(path).lowercase


def test_projector_files(tmp_path: Path) -> None:
    ours = Vectors(["a", "b c"], np.array([[1, 0.5], [0, -2]], np.float32), np.array([9, 3]))
    write_file(ours, tmp_path / "v.tsv", "projector")
    assert (tmp_path / "v.tsv").read_text() == "1\t0.5\n0\t-2\n"
    assert (tmp_path / "v.metadata.tsv").read_text() == "word\tcount\na\t9\nb c\t3\n"


def test_numpy_files(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.eye(2))  # float64
    (tmp_path / "v.words.txt").write_text("a\nb")
    found = read_file(tmp_path / "v.npy")
    assert (found.index_to_key, found.vectors.dtype) == (["a", "b"], np.float32)
    np.save(tmp_path / "v.npy", np.array([["a"]], object), allow_pickle=True)
    with pytest.raises(FormatError, match="is no array that numpy can read without pickle"):
        read_file(tmp_path / "v.npy")


# ---- damage


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", " is empty: expected a line 'words numbers', or a word and its numbers"),
        ("word\n", ", line 1: expected 'words numbers', or a word and its numbers, got b'word'"),
        ("2 2\na 1 2\n", " ends after 1 vectors, its first line says 2"),
        ("1 2\na 1 2\nb 1 2\n", " holds more than the 1 vectors that its first line says: b'b 1 2\\n'"),
        ("2 2\na 1 2\nb 1\n", ", line 3: expected a word and 2 numbers, got b'b 1\\n'"),
        ("2 2\na 1 2\nb 1 x\n", ", line 3: expected 2 numbers after the word, got b'x'"),
        ("a 1 2\n\nb 1 2\n", ", line 2: expected a word and 2 numbers, got b'\\n'"),
        ("a 1 2\nb x 2\n", ", line 2: expected 2 numbers after the word, got b'x'"),
        ("as listed and stated\nin many comments\n", ", line 1: expected 3 numbers after the word, got b'listed'"),
        ("1 2\na 1 nan\n", ": the vector of 'a' is not finite"),
        ("99999999 300\na 1\n", " is too short for the 99999999 vectors of 300 numbers that its first line says"),
        ("\x80\x14\x95\x17", ", line 1: expected 'words numbers', or a word and its numbers, got b'"),
    ],
)  # fmt: skip
def test_damaged_text(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "v.txt"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(FormatError) as error:
        read_file(path)
    assert str(error.value).startswith(f"{path}{message}")


@pytest.mark.parametrize("name", FORMATS)
def test_cut_and_overwritten_files(tmp_path: Path, name: str) -> None:
    ours, path = made([f"w{i}" for i in range(40)], 4), file_of(tmp_path, name)
    write_file(ours, path, name)
    whole = {p: p.read_bytes() for p in FORMATS[name].files(path)}
    random = np.random.default_rng(0)
    for file, data in whole.items():
        for cut in {0, 1, 7, 9, len(data) // 2, len(data) - 5}:
            if cut > 9 and name in ("word2vec-text", "projector"):
                cut = data.rindex(b"\n", 0, cut)  # that the last number is cut nobody can tell
            file.write_bytes(data[:cut])
            with pytest.raises(W2VError) as error:
                read_file(path, name)
            assert "\n" not in str(error.value)
        for _ in range(30):  # any bytes: vectors or a sentence, never anything else
            at = int(random.integers(len(data)))
            file.write_bytes(data[:at] + random.bytes(3) + data[at + 3 :])
            try:
                read_file(path, name)
            except W2VError as e:
                assert "\n" not in str(e)
        file.write_bytes(data)
    for file in whole:
        file.unlink()
        if file.name.endswith((".counts.npy", ".vocab")):
            assert read_file(path, name).counts is None
        else:
            with pytest.raises(InputError) as missing:
                read_file(path, name)
            assert str(missing.value) == f"cannot read {file}: No such file or directory"
        file.write_bytes(whole[file])


def test_outputs_appear_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = made(["a", "b"])
    (tmp_path / "v.counts.npy").write_bytes(b"mine")
    with pytest.raises(OutputError) as error:  # else it would be read as the counts of the new file
        write_file(ours, tmp_path / "v.npy", "numpy")
    assert str(error.value) == f"output {tmp_path}/v.counts.npy is there already: give another name, or remove it first"
    monkeypatch.setattr(np, "save", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError):
        write_file(ours, tmp_path / "w.npy", "numpy")
    assert [p.name for p in tmp_path.iterdir()] == ["v.counts.npy"]

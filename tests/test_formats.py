"""Formats of files: round trips of numbers and odd words, gensim as the other side; half precision, mapped files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from make_model_v1 import write_model

from w2v_spark import store
from w2v_spark.errors import FormatError, InputError, OutputError, ParamError
from w2v_spark.vectors.formats import FORMATS, read_file, write_file
from w2v_spark.vectors.load import read_model
from w2v_spark.vectors.save import write_model as save_model
from w2v_spark.vectors.vectors import Vectors

WORD2VEC = ("word2vec-text", "word2vec-binary", "gensim")


FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


ODD_WORDS = {
    "spaces": "new york",
    "line end": "a\nb",
    "carriage return": "a\rb",
    "tab": "a\tb",
    "empty": "",
    "blank": " ",
    "no-break space": "a\u00a0b",
    "ideographic space": "東\u3000京",
    "line separator": "a\u2028b",
    "next line": "a\x85b",
    "unit separator": "a\x1fb",
    "nul": "a\x00b",
    "emoji": "👩‍👩‍👧",
    "CJK": "東京都",
    "combining": "e\u0301",
    "right to left": "שלום",
    "long": "é" * 5_000,
    "number": "12",
    "numbers": "1.5e3",
    "hash": "#",
    "quote": '"a',
    "BOM": "\ufeffa",
    "dash": "-",
}


# what each format refuses; everything else survives
REFUSED = {
    "word2vec-text": {"spaces", "line end", "carriage return", "tab", "empty", "blank"},
    "word2vec-binary": {"spaces", "line end", "carriage return", "tab", "empty", "blank"},
    "numpy": {"line end", "carriage return"},
    "safetensors": set(),
    "projector": {"line end", "carriage return", "tab", "empty", "blank"},
}


REFUSED["gensim"] = REFUSED["word2vec-text"] | {
    "no-break space", "ideographic space", "line separator", "next line", "unit separator",
}  # fmt: skip


def file_of(folder: Path, name: str) -> Path:
    return folder / f"v{(FORMATS[name].endings or ('.w2v',))[0]}"


def made(words: list[str], size: int = 3, seed: int = 0) -> Vectors:
    random = np.random.default_rng(seed)
    numbers = random.normal(size=(len(words), size)).astype(np.float32)
    return Vectors(words, numbers, np.arange(len(words), 0, -1) * 7, lowercase=True)


def in_gensim(path: Path, name: str) -> KeyedVectors:
    fvocab = f"{path}.vocab" if name == "gensim" else None
    return KeyedVectors.load_word2vec_format(str(path), fvocab=fvocab, binary=name != "word2vec-text")


def equal(mine: Vectors, theirs: Vectors) -> None:
    assert mine.index_to_key == theirs.index_to_key
    assert mine.vectors.tobytes() == theirs.vectors.tobytes()
    assert mine.vectors.dtype == theirs.vectors.dtype


# ---- round trips


@pytest.mark.parametrize("name", FORMATS)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_numbers_survive_to_the_bit(tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject) -> None:
    size, rows = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 5))
    numbers = data.draw(st.lists(st.lists(FLOATS, min_size=size, max_size=size), min_size=rows, max_size=rows))
    words = data.draw(st.lists(st.text("ab東😀'12.-", min_size=1), min_size=rows, max_size=rows, unique=True))
    ours = Vectors(words, np.array(numbers, np.float32), np.arange(rows, 0, -1))
    path = file_of(tmp_path_factory.mktemp("f"), name)
    write_file(ours, path, name)
    back = read_file(path, name)
    equal(back, ours)
    if name.startswith("word2vec"):
        assert back.counts is None
    else:
        assert back.counts is not None and back.counts.tolist() == ours.counts.tolist()  # type: ignore[union-attr]
    if name in WORD2VEC:
        theirs = in_gensim(path, name)
        assert theirs.index_to_key == words
        assert theirs.vectors.tobytes() == ours.vectors.tobytes()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kind", ODD_WORDS)
def test_odd_words_survive_or_are_refused(tmp_path: Path, name: str, kind: str) -> None:
    word, path = ODD_WORDS[kind], file_of(tmp_path, name)
    ours = made(["first", word, "last"])
    if kind in REFUSED[name]:
        with pytest.raises(InputError) as error:
            write_file(ours, path, name)
        assert f"word {word!r} cannot be written as {name}: " in str(error.value)
        assert "\n" not in str(error.value)
        assert list(tmp_path.iterdir()) == []
    else:
        write_file(ours, path, name)
        equal(read_file(path, name), ours)
        if name in WORD2VEC:
            assert in_gensim(path, name).index_to_key == ours.index_to_key


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=6, unique=True), st.data())
def test_any_words_survive_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(list(FORMATS)))
    path, ours = file_of(tmp_path_factory.mktemp("f"), name), made(words)
    try:
        write_file(ours, path, name)
    except InputError:
        assert any(FORMATS[name].unwritable(word) for word in words)
        return
    equal(read_file(path, name), ours)
    if name in WORD2VEC:
        assert in_gensim(path, name).index_to_key == words


@pytest.mark.parametrize("name", FORMATS)
def test_more_than_a_block(tmp_path: Path, name: str) -> None:
    ours, path = made([f"w{i}" for i in range(5_000)], 20), file_of(tmp_path, name)
    write_file(ours, path, name)
    equal(read_file(path, name), ours)
    part = read_file(path, name, limit=2_500)
    assert (part.index_to_key, part.vectors.tobytes()) == (ours.index_to_key[:2_500], ours.vectors[:2_500].tobytes())
    if part.counts is not None:
        assert len(part.counts) == 2_500
    # of a file that is mapped or read at once no more is kept than was asked for
    assert part.vectors.base is None or part.vectors.base.size == part.vectors.size


def test_a_limit_beyond_the_words(tmp_path: Path) -> None:
    path = file_of(tmp_path, "numpy")
    write_file(made(["a", "b", "c"]), path, "numpy")
    words = path.with_suffix(".words.txt")
    words.write_text("a\nb\n")
    with pytest.raises(FormatError) as error:
        read_file(path, "numpy", limit=3)
    assert str(error.value) == f"{words} has 2 words and {path} has 3 rows: must be one for each"


def test_gensim_reads_the_counts(tmp_path: Path) -> None:
    ours = made(["a", "東京", "c"])
    written = write_file(ours, tmp_path / "v.w2v", "gensim")
    assert [path.name for path in written] == ["v.w2v", "v.w2v.vocab"]
    theirs = in_gensim(tmp_path / "v.w2v", "gensim")
    assert [theirs.get_vecattr(word, "count") for word in theirs.index_to_key] == [21, 14, 7]


def test_vectors_without_counts(tmp_path: Path) -> None:
    ours = Vectors(["a", "b"], np.eye(2, dtype=np.float32))
    for name in FORMATS:
        path = file_of(tmp_path / name, name)
        path.parent.mkdir()
        assert write_file(ours, path, name) == [p for p in FORMATS[name].files(path) if p.exists()]
        back = read_file(path, name)
        equal(back, ours)
        assert back.counts is None
    save_model(ours, str(tmp_path / "model"), {})
    opened = Vectors.open(tmp_path / "model")
    assert opened.counts is None
    with pytest.raises(KeyError, match="^words have no attribute 'count' here: no attribute is known$"):
        opened.get_vecattr("a", "count")


# ---- half precision and mapped files


@pytest.mark.parametrize("name", ["numpy", "safetensors"])
def test_half_precision_and_mapping(tmp_path: Path, name: str) -> None:
    ours, path = made([f"w{i}" for i in range(300)], 8), file_of(tmp_path, name)
    write_file(ours, path, name, dtype="float16")
    half = Vectors.open(path, dtype="float16", mmap=True)
    assert half.vectors.dtype == np.float16
    assert isinstance(half.vectors.base, np.memmap)
    assert np.array_equal(half.vectors, ours.vectors.astype(np.float16))
    assert [w for w, _ in half.most_similar("w7", topn=3)] == [w for w, _ in ours.most_similar("w7", topn=3)]
    assert Vectors.open(path).vectors.dtype == np.float32
    with pytest.raises(ParamError) as error:
        Vectors.open(path, mmap=True)
    assert str(error.value) == f"{path} holds float16: it can be mapped as that alone, not as float32"
    large = Vectors(["a"], np.array([[1e6]], np.float32))
    with pytest.raises(ParamError, match="^a number is too large for float16 .65504.: write float32$"):
        write_file(large, tmp_path / path.name.replace("v.", "w."), name, dtype="float16")


def test_models_in_half_precision(tmp_path: Path) -> None:
    ours = made([f"w{i}" for i in range(300)], 8)
    out = write_model(tmp_path / "out", ours.index_to_key, ours.vectors)
    half = Vectors.open(out, dtype="float16")
    assert half.vectors.nbytes == ours.vectors.nbytes // 2
    assert half.most_similar("w7", topn=3)[0][0] == ours.most_similar("w7", topn=3)[0][0]
    assert half.similarity("w1", "w2") == pytest.approx(ours.similarity("w1", "w2"), abs=2e-3)
    with pytest.raises(ParamError) as error:
        Vectors.open(out, mmap=True)
    assert str(error.value) == (
        f"{out} is Parquet, whose compressed pages cannot be mapped: write a .npy once, with convert --to numpy, and "
        "open that with mmap=True"
    )
    with pytest.raises(ParamError, match="^dtype must be one of float32, float16, got 'int8'$"):
        Vectors.open(out, dtype="int8")


# ---- models


def test_a_model_appears_with_its_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = made(list(ODD_WORDS.values()), 5)
    save_model(ours, str(tmp_path / "out"), {"converted": {"from": "x"}})
    back = Vectors.open(tmp_path / "out")
    equal(back, ours)
    assert (back.lowercase, back.counts.tolist()) == (True, ours.counts.tolist())  # type: ignore[union-attr]
    model = store.open_model(str(tmp_path / "out"))
    words, _, vectors = read_model(model)
    assert (words.to_pylist(), vectors.tobytes()) == (ours.index_to_key, ours.vectors.tobytes())
    vocabulary = store.read_files(model.place.child("vocab"), model.files("vocab"), store.VOCAB_SCHEMA)
    assert vocabulary["word"].to_pylist() == words.to_pylist()

    with pytest.raises(OutputError, match="is there already: give a new or empty directory$"):
        save_model(ours, str(tmp_path / "out"), {})
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(store, "model_manifest", lambda *_, **__: (_ for _ in ()).throw(OSError("full")))
    for name in ("empty", "new"):
        with pytest.raises(OSError):
            save_model(ours, str(tmp_path / name), {})
    assert (list((tmp_path / "empty").iterdir()), (tmp_path / "new").exists()) == ([], False)

"""Words: looked up as they are spelt and as the text was normalised, and the vectors that belong to them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_model_v1 import MODEL_V1, write_model

from w2v_spark.errors import ParamError, UnknownWordError
from w2v_spark.params import Params
from w2v_spark.vectors.spelling import near_spellings
from w2v_spark.vectors.vectors import Vectors

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def model_v1() -> Vectors:
    return Vectors.open(MODEL_V1)


def test_unknown_word(model_v1: Vectors) -> None:
    for ask in (model_v1.get_vector, model_v1.most_similar, model_v1.__getitem__, model_v1.get_index):
        with pytest.raises(UnknownWordError) as error:
            ask("susukir")
        assert str(error.value) == (
            "word 'susukir' is not in the vocabulary of 200 words; near spellings: susuki, susukiri"
        )
    with pytest.raises(KeyError):
        model_v1["nothing-like-it"]


def test_unknown_word_of_a_big_vocabulary() -> None:
    words = ["king", "kings", "ring", *(f"x{i}" for i in range(70_997))]
    vectors = Vectors(words, np.zeros((len(words), 1), np.float32))
    with pytest.raises(UnknownWordError) as error:
        vectors.get_vector("kingg")
    assert str(error.value) == "word 'kingg' is not in the vocabulary of 71,000 words; near spellings: king, kings"
    with pytest.raises(UnknownWordError) as error:
        vectors.get_vector("zebra")
    assert str(error.value) == "word 'zebra' is not in the vocabulary of 71,000 words"


def test_words_are_looked_up_as_the_text_was_normalised(tmp_path: Path) -> None:
    numbers = np.eye(4, dtype=np.float32)
    words = ["été", "king", "Rex", "rex"]
    lower = Vectors.open(write_model(tmp_path / "lower", words, numbers))
    assert [lower.get_index(w) for w in ("ÉTÉ", "e\u0301te\u0301", "King", "Rex", "rex", "REX")] == [0, 0, 1, 2, 3, 3]
    assert "KING" in lower
    assert (3 in lower, 4 in lower, -1 in lower, 1.0 in lower) == (True, False, False, False)  # ids, as in gensim
    exact = Vectors.open(write_model(tmp_path / "exact", words, numbers, params=Params(lowercase=False)))
    assert "King" not in exact
    assert exact.get_index("e\u0301te\u0301") == 0


def test_a_number_that_is_no_id_is_no_word(model_v1: Vectors) -> None:
    for ask in (model_v1.get_index, model_v1.get_vector):
        with pytest.raises(UnknownWordError, match=r"^id 200 is none of the 200 words: ids go from 0 to 199"):
            ask(200)
        with pytest.raises(ParamError, match=r"^a word is a str or an id \(int\), got 1\.7 \(float\)$"):
            ask(1.7)  # type: ignore[arg-type]  # wrong on purpose


def test_few_words_are_looked_up_without_a_dictionary() -> None:
    words, numbers = [f"w{i}" for i in range(6_000)], np.ones((6_000, 3), np.float32)
    mine = Vectors(words, numbers)
    for i in range(20):
        assert mine.get_index(f"w{i * 7}") == i * 7
        assert "nothing" not in mine
        assert "\ud800" not in mine
        assert ("key_to_index" in mine.__dict__) == (i >= 4)
    assert "index_to_key" in mine.__dict__
    with pytest.raises(UnknownWordError, match=r"^word '\\udcff' is not in the vocabulary of 6,000 words$"):
        mine.get_index("\udcff")
    mine = Vectors(words, numbers)
    assert len(mine.most_similar("w1")) == 10
    assert not {"index_to_key", "key_to_index"} & mine.__dict__.keys()


def distance(a: str, b: str) -> int:
    """Optimal string alignment, by the definition."""
    table = {(i, 0): i for i in range(len(a) + 1)} | {(0, j): j for j in range(len(b) + 1)}
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            same = table[i - 1, j - 1] + (a[i - 1] != b[j - 1])
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, same)
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                table[i, j] = min(table[i, j], table[i - 2, j - 2] + 1)
    return table[len(a), len(b)]


letters = st.text(st.sampled_from("abcé王😀"), min_size=0, max_size=8)


@given(letters, st.lists(letters, max_size=30))
def test_near_spellings_by_the_definition(word: str, words: list[str]) -> None:
    allowed = 0 if len(word) < 2 else 1 if len(word) < 6 else 2
    near = sorted((distance(word, w), i) for i, w in enumerate(words) if distance(word, w) <= allowed)
    expected = [words[i] for _, i in near][:3] if allowed else []
    assert near_spellings(word, pa.array(words, pa.string())) == expected


def test_another_case_is_the_nearest_spelling() -> None:
    words = pa.array(["an", "can", "USA", "man", "usa", "mAn"])
    assert near_spellings("Man", words) == ["man", "mAn", "an"]
    assert near_spellings("uSA", words) == ["USA", "usa"]
    assert near_spellings("MAN", words) == ["man", "mAn"]
    assert near_spellings("X", pa.array(["x", "y"])) == ["x"]


@pytest.mark.parametrize("asked", ["don\u2019t", "do\u00adn't", "Don\u2019t"])
def test_words_as_the_tokeniser_spells_them(asked: str) -> None:
    numbers = np.ones((1, 3), np.float32)
    assert Vectors(["don't"], numbers, lowercase=True).get_index(asked) == 0
    with pytest.raises(UnknownWordError, match="not in the vocabulary"):
        Vectors(["dont"], numbers, lowercase=True).get_index(asked)
    own = Vectors(["don't", "don\u2019t"], np.ones((2, 3), np.float32), lowercase=True)
    assert own.get_index("don\u2019t") == 1, "a model of another tokeniser has its own spelling"


def test_get_vector(model_v1: Vectors) -> None:
    row = model_v1.get_vector("susuki")
    assert not row.flags.writeable
    assert np.array_equal(model_v1[["susuki", "busamu"]], np.stack([row, model_v1["busamu"]]))
    assert np.linalg.norm(model_v1.get_vector("susuki", norm=True)) == pytest.approx(1, abs=1e-6)


def test_vectors_and_words_must_fit() -> None:
    with pytest.raises(ParamError) as error:
        Vectors(["a"], np.zeros((2, 3), np.float32))
    assert str(error.value) == "1 words and vectors of shape (2, 3): must be one row for each word"


def test_opening_needs_no_spark() -> None:
    code = (
        "import sys; from w2v_spark.vectors import vectors, search, evaluate, text, testsets, spelling\n"
        f"vectors.Vectors.open({str(MODEL_V1)!r}).most_similar('susuki')\n"
        "print([name for name in ('pyspark', 'py4j', 'numba', 'scipy') if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "[]\n"

"""Tokenisers: what is a word, in many scripts, against a plain definition in Python."""

from __future__ import annotations

import sys
import types
import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2v_spark.corpus import tokens
from w2v_spark.errors import ParamError


def words_of(text: str | None, name: str = "words", lowercase: bool = True) -> list[str]:
    flat, _ = tokens.flatten(tokens.make_tokenizer(name, lowercase)(pa.array([text], pa.string())))
    return list(flat.to_pylist())


def plain_words(text: str) -> list[str]:
    """The definition, one character after another."""
    text = unicodedata.normalize("NFC", text).lower().replace("\u2019", "'").replace("\u00ad", "")
    inside = [unicodedata.category(c)[0] in "LMN" or c in "\u200c\u200d" for c in text]
    found, word = [], ""
    for i, c in enumerate(text):
        joins = c == "'" and 0 < i < len(text) - 1 and inside[i - 1] and inside[i + 1]
        if inside[i] or joins:
            word += c
        elif word:
            found.append(word)
            word = ""
    return [*found, word] if word else found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't 'quote' me, l\u2019eau!", ["don't", "quote", "me", "l'eau"]),
        ("the boys' rock 'n' roll", ["the", "boys", "rock", "n", "roll"]),
        ("in 1990, 3.14 (LUB)", ["in", "1990", "3", "14", "lub"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("שָׁלוֹם עולם", [unicodedata.normalize("NFC", "שָׁלוֹם"), "עולם"]),
        ("e\u0301cole \u00c9COLE", ["\u00e9cole", "\u00e9cole"]),
        ("co\u00adoperate", ["cooperate"]),
        ("a''b '' ' c", ["a", "b", "c"]),
        ("tab\tand\u00a0space\nline", ["tab", "and", "space", "line"]),
        ("", []),
        (None, []),
    ],
)
def test_words(text: str | None, words: list[str]) -> None:
    assert words_of(text) == words


@given(st.text(alphabet=st.sampled_from("ab1' \u2019'.é\u0301नम\u094d\u05b8\u200c\u00ad-\t\n中")))
def test_words_match_the_plain_definition(text: str) -> None:
    assert words_of(text) == plain_words(text)


@given(st.lists(st.none() | st.text(alphabet=st.sampled_from("ab1' é."))), st.integers(0, 3), st.sampled_from([32, 64]))
def test_each_document_is_cut_by_itself(texts: list[str | None], start: int, bits: int) -> None:
    documents = pa.array(texts, pa.string() if bits == 32 else pa.large_string()).slice(start)
    flat, lengths = tokens.flatten(tokens.make_tokenizer("words", True)(documents))
    expected = [plain_words(text or "") for text in texts[start:]]
    assert lengths.tolist() == [len(words) for words in expected]
    assert flat.to_pylist() == [word for words in expected for word in words]


@given(st.text())
def test_whitespace_is_python_split(text: str) -> None:
    # the separators U+001C to U+001F are white space to Python alone
    if not any("\x1c" <= c <= "\x1f" for c in text):
        assert words_of(text, "whitespace", lowercase=False) == unicodedata.normalize("NFC", text).split()


def test_lengths_follow_documents() -> None:
    flat, lengths = tokens.flatten(tokens.make_tokenizer("words", True)(pa.array(["a b", None, "", "'", "c"])))
    assert flat.to_pylist() == ["a", "b", "c"]
    assert lengths.tolist() == [2, 0, 0, 0, 1]


def test_ready_words_keep_their_spelling_and_lose_nulls() -> None:
    flat, lengths = tokens.flatten(pa.array([["A b", None, ""], None, ["c"]]))
    assert flat.to_pylist() == ["A b", "c"]
    assert lengths.tolist() == [1, 0, 1]


def test_function_of_ones_own() -> None:
    module = types.ModuleType("own_tokens")
    module.letters = list  # type: ignore[attr-defined]
    sys.modules["own_tokens"] = module
    assert words_of("AB", "own_tokens:letters") == ["a", "b"]


@pytest.mark.parametrize("name", ["nothing", "nothing:", "no_such_module:f", "math:no_such_function", "math:pi"])
def test_a_name_that_leads_nowhere(name: str) -> None:
    with pytest.raises(ParamError, match="tokenizer"):
        tokens.make_tokenizer(name, True)


def test_unsegmented_text_gets_a_hint() -> None:
    hint = tokens.unsegmented_hint(pa.array(["我们在这里学习自然语言处理的方法和技术", "今天天气很好我们去公园玩吧"]))
    assert hint is not None and "tokenizer 'chinese'" in hint
    assert tokens.unsegmented_hint(pa.array(["ภาษาไทยเขียนติดกันไม่มีช่องว่าง"])) is not None


@pytest.mark.parametrize(
    "documents", [["我们 在 这里 学习 自然 语言"], ["plain English, with one 中国 in it"], [], [None], ["", "123"]]
)
def test_other_text_gets_none(documents: list[str | None]) -> None:
    assert tokens.unsegmented_hint(pa.array(documents, pa.string())) is None


def test_chinese() -> None:
    pytest.importorskip("rjieba", reason="needs extra zh")
    assert words_of("我们在这里学习,自然语言处理。", "chinese") == ["我们", "在", "这里", "学习", "自然语言", "处理"]

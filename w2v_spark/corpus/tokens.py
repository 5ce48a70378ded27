"""Tokenisers: an Arrow array of documents in, an Arrow array of word lists out.

All work on whole arrays, so that `words` and `whitespace` run at the speed of Arrow's C++ kernels.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from w2v_spark.errors import MissingExtraError, ParamError, one_line

Tokenizer = Callable[[pa.Array], pa.ListArray]

# scripts written without spaces between words
_UNSEGMENTED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
# a word of these scripts rarely has more characters; a run that is longer was not cut into words
_LONGEST_CUT_WORD = 6.0

# what becomes of each byte of ASCII: letters, digits and apostrophes stay, all else is a space
_ASCII_WORDS = bytes(c if c < 128 and (chr(c).isalnum() or chr(c) == "'") else ord(" ") for c in range(256))
_IN_A_WORD = bytes(c < 128 and chr(c).isalnum() for c in range(256))


def make_tokenizer(name: str, lowercase: bool) -> Tokenizer:
    """The tokeniser `words`, `whitespace`, `chinese`, or a function given as `module:function` that takes a str and
    returns words.

    Every one sees the text in NFC and, where asked for, in lower case. A name that leads nowhere is a ParamError.
    """
    split = _BUILT_IN[name]() if name in _BUILT_IN else _from_function(load_function(name))
    return lambda documents: split(normalize(documents, lowercase))


def normalize(documents: pa.Array, lowercase: bool) -> pa.Array:
    """The documents in Unicode's composed form (NFC), lower-cased where asked for; null stays null, and what is not
    UTF-8 becomes U+FFFD, which is no letter.
    """
    foreign = pc.invert(pc.string_is_ascii(documents))
    if pc.any(foreign).as_py():
        documents = pc.replace_with_mask(
            documents, pc.fill_null(foreign, False), pc.utf8_normalize(valid_text(documents.filter(foreign)), "NFC")
        )
    return pc.utf8_lower(documents) if lowercase else documents


def valid_text(texts: pa.Array) -> pa.Array:
    """The texts with U+FFFD for bytes that are not UTF-8: Spark hands on what a file holds, and Arrow's functions
    refuse it.
    """
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        raw = texts.cast(pa.binary()).to_pylist()
        return pa.array([None if text is None else text.decode("utf-8", "replace") for text in raw], texts.type)
    return texts


def normalize_word(word: str, lowercase: bool) -> str:
    """A single word as `normalize` would have it."""
    return str(normalize(pa.array([word]), lowercase)[0].as_py())


def plain_spelling(word: str) -> str:
    """A word as the tokeniser `words` spells it: with plain apostrophes, and without places to break a line."""
    return word.replace("\u2019", "'").replace("\u00ad", "")


def split_whitespace(documents: pa.Array) -> pa.ListArray:
    """Words are what stands between Unicode white space."""
    return pc.utf8_split_whitespace(pc.utf8_trim_whitespace(documents))


def split_words(documents: pa.Array) -> pa.ListArray:
    """Words are runs of letters with their combining marks, digits and joiners, with single apostrophes inside: l'eau,
    rock'n'roll.
    """
    foreign = pc.fill_null(pc.invert(pc.string_is_ascii(documents)), False)
    text = _ascii_words_apart(pc.if_else(foreign, "", documents))
    if pc.any(foreign).as_py():
        text = pc.replace_with_mask(text, foreign, _words_apart(documents.filter(foreign)))
    return pc.ascii_split_whitespace(pc.ascii_trim_whitespace(text))


def _words_apart(documents: pa.Array) -> pa.Array:
    """The documents with spaces for all that is no part of a word."""
    text = pc.replace_substring(documents, "\u2019", "'")
    text = pc.replace_substring(text, "\u00ad", "")  # soft hyphen: a place to break a line, not a part of the word
    text = pc.replace_substring_regex(text, r"[^\p{L}\p{M}\p{N}\x{200C}\x{200D}' ]+", " ")
    # RE2 has no look-around: doubled apostrophes go first, then those at a word's end, then those at its start
    text = pc.replace_substring_regex(text, r"''+", " ")
    text = pc.replace_substring_regex(text, r"'( |$)", " ")
    return pc.replace_substring_regex(text, r"(^| )'", " ")


def _ascii_words_apart(documents: pa.Array) -> pa.Array:
    """The same for documents in ASCII, byte by byte in place: four times as fast."""
    validity, starts, data = documents.buffers()
    letters = bytearray((data.to_pybytes() if data else b"").translate(_ASCII_WORDS) + b" ")
    characters = np.frombuffer(letters, np.uint8)
    quotes = np.flatnonzero(characters == ord("'"))
    if len(quotes):
        wide, edge = pa.types.is_large_string(documents.type), np.zeros(len(characters) + 1, bool)
        edge[np.frombuffer(starts, np.int64 if wide else np.int32)[: documents.offset + len(documents) + 1]] = True
        inside = np.frombuffer(_IN_A_WORD, bool)
        kept = inside[characters[quotes - 1]] & inside[characters[quotes + 1]] & ~edge[quotes] & ~edge[quotes + 1]
        characters[quotes[~kept]] = ord(" ")
    buffers = [validity, starts, pa.py_buffer(letters)]
    return pa.Array.from_buffers(documents.type, len(documents), buffers, -1, documents.offset)


def flatten(words: pa.ListArray) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """All words of the lists in a row, and the length of each list (int64); empty and null words are left out, a null
    list is empty.
    """
    lengths = pc.fill_null(pc.list_value_length(words), 0).to_numpy().astype(np.int64)
    flat = words.flatten()
    real = pc.fill_null(pc.not_equal(flat, ""), False)
    if not pc.all(real).as_py():
        ends = np.concatenate(([0], np.cumsum(real.to_numpy(zero_copy_only=False))))
        bounds = np.concatenate(([0], np.cumsum(lengths)))
        lengths = np.diff(ends[bounds])
        flat = flat.filter(real)
    return flat, lengths


def unsegmented_hint(documents: pa.Array) -> str | None:
    """A sentence for a sample that is mostly Han, Thai or the like in runs too long to be words; None for any other."""
    text = " ".join(d for d in documents.to_pylist() if d)
    letters = len(text) - pc.utf8_length(pc.replace_substring_regex(pa.array([text]), r"[\p{L}\p{M}]", ""))[0].as_py()
    runs = [r for r in pc.split_pattern_regex(pa.array([text]), "[^\\p{L}\\p{M}]+")[0].as_py() if r]
    matches = pc.match_substring_regex(pa.array(runs, pa.string()), _UNSEGMENTED).to_pylist()
    long_runs = [r for r, hit in zip(runs, matches, strict=True) if hit]
    inside = sum(map(len, long_runs))
    if not long_runs or inside < letters / 2 or inside / len(long_runs) <= _LONGEST_CUT_WORD:
        return None
    return (
        f"the text is mostly in a script written without spaces (for example {long_runs[0][:12]!r}), which "
        "tokenizer 'words' cannot cut: "
        "use tokenizer 'chinese', a segmenter of yours as 'module:function', or cut the text beforehand and use "
        "'whitespace'"
    )


def unreadable_share(documents: pa.Array) -> float:
    """The share of NUL and of U+FFFD, which stands for bytes that are not UTF-8, among a sample's characters."""
    text = "".join(d for d in documents.to_pylist() if d)
    return (text.count("\0") + text.count("\ufffd")) / max(1, len(text))


def load_function(name: str) -> Callable[[str], list[str]]:
    """The function that `module:function` names."""
    module, colon, function = name.partition(":")
    if not (module and colon and function):
        raise ParamError(
            f"parameter tokenizer given invalid value {name!r}: must be one of {', '.join(_BUILT_IN)}, or "
            "module:function"
        )
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as e:
        raise ParamError(
            f"tokenizer {name!r} cannot be loaded ({e}): send the module with --py-files, or from a notebook with "
            "spark.sparkContext.addPyFile"
        ) from e
    except (Exception, SystemExit) as e:  # whatever the module does when it is imported
        raise ParamError(f"tokenizer {name!r} cannot be loaded: {type(e).__name__}: {one_line(e)[:300]}") from e
    if not callable(found):
        raise ParamError(
            f"tokenizer {name!r} is not a function: it must take a document (str) and return a list of words"
        )
    return found  # type: ignore[no-any-return]


def _from_function(function: Callable[[str], list[str]]) -> Tokenizer:
    def split(documents: pa.Array) -> pa.ListArray:
        try:
            words = [list(function(d)) if d else [] for d in documents.to_pylist()]
        except Exception as e:
            raise ParamError(f"the tokenizer failed on a document: {type(e).__name__}: {one_line(e)[:300]}") from e
        try:
            return pa.array(words, pa.list_(pa.string()))
        except (pa.ArrowException, UnicodeEncodeError) as e:
            raise ParamError(
                f"the tokenizer returned something else than a list of words (str): {one_line(e)[:300]}"
            ) from e

    return split


def _chinese() -> Tokenizer:
    """Words by the segmenter of extra `zh`; runs without a letter or digit are left out."""
    try:
        import rjieba
    except ImportError as e:
        raise MissingExtraError("tokenizer 'chinese'", "zh") from e
    return _from_function(lambda document: [w for w in rjieba.cut(document) if any(c.isalnum() for c in w)])


_BUILT_IN: dict[str, Callable[[], Tokenizer]] = {
    "words": lambda: split_words,
    "whitespace": lambda: split_whitespace,
    "chinese": _chinese,
}

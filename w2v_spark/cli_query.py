"""`query` on the command line: a question in, text or JSON out; no Java and no pyspark."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from w2v_spark.array_types import Floats
from w2v_spark.cli_common import JSON_HELP, VECTORS_HELP, open_vectors, rounded, run_command, set_texts
from w2v_spark.errors import ParamError
from w2v_spark.vectors.metrics import METRICS
from w2v_spark.vectors.text import query_lines
from w2v_spark.vectors.vectors import Neighbours

TOP = 10
_FROM_STDIN = "-"

DESCRIPTION = "Ask a model for neighbours, analogies, similarities and vectors of its words."
EPILOG = """\
Metrics: of cosine and dot higher is nearer; euclidean, manhattan and chebyshev are distances, of which lower is nearer.

JSON (cosines are rounded to 6 digits, words are spelt as the vocabulary spells them):
  similar     {"command": "similar", "queries": [{"word": W, "neighbours": [{"word": W, "cosine": X}, ...]}, ...]}
  analogy     {"command": "analogy", "positive": [A, C], "negative": [B], "answers": [{"word": W, "cosine": X}, ...]}
  similarity  {"command": "similarity", "words": [A, B], "cosine": X}
  vector      {"command": "vector", "vectors": [{"word": W, "vector": [X, ...]}, ...]}
With --metric M the numbers of similar, analogy and similarity stand under its name in place of "cosine".

A word that starts with a dash is given after --, as in: similar -- -word
In place of the words of similar and vector, - reads them from standard input, one a line: vector - < words.txt
Exit status: 0, or 2 with one line on stderr where something is wrong.
"""


def query_main(argv: Sequence[str] | None = None) -> int:
    """`jobs/query.py`: the exit status."""
    return run_command(add_query_arguments, run_query, argv)


def add_query_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `query`; its options are accepted before and after the command word."""
    set_texts(parser, DESCRIPTION, EPILOG)
    _query_options(parser)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, names, text in (
        ("similar", (), "the nearest words of each WORD, under a heading where several are given"),
        (
            "analogy",
            ("A", "B", "C"),
            "the words nearest to A - B + C, as in: analogy king man woman (files of questions say B A C)",
        ),
        ("similarity", ("A", "B"), "the cosine of two words, or what --metric says"),
        ("vector", (), "the numbers of a WORD; of several a line each, as in word2vec's text files"),
    ):
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        _query_options(command, repeated=True)
        for metavar in names:
            command.add_argument("words", action="append", metavar=metavar)
        if not names:
            command.add_argument("words", nargs="+", metavar="WORD")


def _query_options(parser: argparse.ArgumentParser, repeated: bool = False) -> None:
    """The options of `query`, once more for a command word: there a default would undo what was given before it."""

    def unset(default: Any) -> Any:
        return argparse.SUPPRESS if repeated else default

    parser.add_argument("--vectors", metavar="DIR", default=unset(None), help=VECTORS_HELP)
    parser.add_argument("--top", metavar="N", type=int, default=unset(TOP), help=f"answers to show (default {TOP})")
    text = f"what near means: {', '.join(METRICS)} (default cosine)"
    parser.add_argument("--metric", choices=METRICS, metavar="M", default=unset("cosine"), help=text)
    parser.add_argument("--json", action="store_true", default=unset(False), help=JSON_HELP)


def run_query(args: argparse.Namespace) -> int:
    """Answer one query on stdout."""
    if args.top < 1:
        raise ParamError(f"--top must be at least 1, got {args.top}")
    asked = args.words if args.words != [_FROM_STDIN] else list(_words_of_stdin())
    vectors, metric = open_vectors(args), args.metric
    answer: dict[str, Any] = {"command": args.command}
    words = [vectors.index_to_key[vectors.get_index(word)] for word in asked]
    if args.command == "similar":
        found = vectors.most_similar_each(words, args.top, metric=metric)
        answer["queries"] = [
            {"word": w, "neighbours": _neighbours(n, metric)} for w, n in zip(words, found, strict=True)
        ]
    elif args.command == "analogy":
        a, b, c = words
        answer |= {"positive": [a, c], "negative": [b]}
        answer["answers"] = _neighbours(vectors.most_similar([a, c], [b], args.top, metric=metric), metric)
    elif args.command == "similarity":
        answer |= {"words": words, metric: rounded(vectors.similarity(words[0], words[1], metric))}
    else:
        answer["vectors"] = [{"word": word, "vector": _decimals(vectors.get_vector(word))} for word in words]
    print(json.dumps(answer, ensure_ascii=False) if args.json else "\n".join(query_lines(answer)))
    return 0


def _words_of_stdin() -> Iterator[str]:
    """The words that standard input has, one a line."""
    if sys.stdin is None:  # as it is where the shell has closed it
        raise ParamError(f"{_FROM_STDIN} reads words from standard input, which is closed")
    try:
        words = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as e:
        raise ParamError(
            f"the words on standard input are not UTF-8: byte {e.start:,} is {e.object[e.start]:#x}"
        ) from e
    if not words.strip():
        raise ParamError("standard input has no words: give one a line")
    return filter(str.strip, words.splitlines())


def _decimals(vector: Floats) -> list[float]:
    """The shortest decimals that give the same float32 back."""
    return [float(str(x)) for x in vector]


def _neighbours(found: Neighbours, metric: str) -> list[dict[str, Any]]:
    return [{"word": word, metric: rounded(value)} for word, value in found]

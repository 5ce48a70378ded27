"""`query` and `evaluate` on the command line: arguments in, text or JSON out; no Java and no pyspark."""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from w2v_spark import store
from w2v_spark.errors import ParamError, W2VError
from w2v_spark.kernels.arrays import DEVICES
from w2v_spark.pictures.files import file_to_write
from w2v_spark.vectors.evaluate import (
    RESTRICT_VOCAB,
    AnalogyReport,
    OddReport,
    PairReport,
    Score,
    evaluate_analogies,
    evaluate_odd_ones,
    evaluate_pairs,
)
from w2v_spark.vectors.metrics import METRICS
from w2v_spark.vectors.text import analogy_lines, odd_lines, pair_lines, query_lines
from w2v_spark.vectors.vectors import Neighbours, Vectors

TOP = 10
VECTORS_HELP = "the output of a training run, or vectors/ in it: a path or a URI"
JSON_HELP = "one JSON object instead of text"

QUERY_DESCRIPTION = "Ask a model for neighbours, analogies, similarities and vectors of its words."
QUERY_EPILOG = """\
Metrics: of cosine and dot higher is nearer; euclidean, manhattan and chebyshev are distances, of which lower is nearer.

JSON (cosines are rounded to 6 digits, words are spelt as the vocabulary spells them):
  similar     {"command": "similar", "queries": [{"word": W, "neighbours": [{"word": W, "cosine": X}, ...]}, ...]}
  analogy     {"command": "analogy", "positive": [A, C], "negative": [B], "answers": [{"word": W, "cosine": X}, ...]}
  similarity  {"command": "similarity", "words": [A, B], "cosine": X}
  vector      {"command": "vector", "word": W, "vector": [X, ...]}
With --metric M the numbers of similar, analogy and similarity stand under its name in place of "cosine".

A word that starts with a dash is given after --, as in: similar -- -word
Exit status: 0, or 2 with one line on stderr where something is wrong.
"""

EVALUATE_DESCRIPTION = "Test a model with analogy questions and with word pairs rated by people."
EVALUATE_EPILOG = """\
Analogies are lines of four words under lines ': section' (word2vec's questions-words.txt), answered by 3CosAdd or, with
--cosmul, by 3CosMul (Levy and Goldberg 2014); sections whose name starts with gram are syntactic, the others semantic.
Word pairs are lines of two words and a rating, separated by tabs, commas or spaces. Odd ones out are lines of three
words or more, the last the one that does not belong. Case is ignored; what has a word outside the vocabulary is skipped
and counted.

JSON (shares and correlations are rounded to 6 digits, null where nothing was left to count):
  {"analogies": [{"file": F, "vocabulary": N, "sections": [S, ...], "semantic": S, "syntactic": S, "total": S}, ...],
   "pairs": [{"file": F, "vocabulary": N, "pairs": N, "skipped": N, "unknown": X, "spearman": X, "pearson": X}, ...],
   "odd": [{"file": F, "vocabulary": N, "sections": [S, ...], "total": S}, ...]}
  where S is {"name": T, "correct": N, "asked": N, "skipped": N, "accuracy": X}

Exit status: 0, or 2 with one line on stderr where something is wrong.
"""


def query_main(argv: Sequence[str] | None = None) -> int:
    """`jobs/query.py`: the exit status."""
    return _main(add_query_arguments, run_query, argv)


def evaluate_main(argv: Sequence[str] | None = None) -> int:
    """`jobs/evaluate.py`: the exit status."""
    return _main(add_evaluate_arguments, run_evaluate, argv)


def _main(
    add_arguments: Callable[[argparse.ArgumentParser], None],
    run: Callable[[argparse.Namespace], int],
    argv: Sequence[str] | None,
) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return guarded(run, parser.parse_args(argv))


def guarded(run: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """What `run` returns; a user's mistake becomes a line on stderr and 2, a closed pipe ends it quietly."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a terminal that cannot show a word shows its escapes
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # else the interpreter would fail once more when it flushes on exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (W2VError, OSError) as e:
        sys.stderr.write(f"error: {e}\n")
        return 2
    return status


def add_query_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `query`; its options are accepted before and after the command word."""
    _texts(parser, QUERY_DESCRIPTION, QUERY_EPILOG)
    _query_options(parser)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, names, text in (
        ("similar", (), "the nearest words of each WORD, under a heading where several are given"),
        ("analogy", ("A", "B", "C"), "the words nearest to A - B + C, as in: analogy king man woman"),
        ("similarity", ("A", "B"), "the cosine of two words, or what --metric says"),
        ("vector", ("WORD",), "the numbers of a word"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        _query_options(command, repeated=True)
        for metavar in names:
            command.add_argument("words", action="append", metavar=metavar)
        if not names:
            command.add_argument("words", nargs="+", metavar="WORD")


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `evaluate`."""
    _texts(parser, EVALUATE_DESCRIPTION, EVALUATE_EPILOG)
    parser.add_argument("--vectors", metavar="DIR", help=VECTORS_HELP)
    parser.add_argument("--analogies", nargs="+", action="extend", default=[], metavar="FILE", help="analogy questions")
    parser.add_argument("--pairs", nargs="+", action="extend", default=[], metavar="FILE", help="rated word pairs")
    parser.add_argument("--odd", nargs="+", action="extend", default=[], metavar="FILE", help="odd ones out")
    parser.add_argument("--cosmul", action="store_true", help="answer analogies by 3CosMul")
    text = f"only the N most frequent words count (default {RESTRICT_VOCAB}, as in gensim)"
    parser.add_argument("--restrict-vocab", type=int, default=RESTRICT_VOCAB, metavar="N", help=text)
    text = "where answers are searched: cpu, or cuda, the GPU (default cpu)"
    parser.add_argument("--device", choices=DEVICES, default="cpu", help=text)
    parser.add_argument("--json", action="store_true", help=JSON_HELP)
    parser.add_argument("--html", metavar="FILE", help="write a page with the scores and the model's facts, too")


def _texts(parser: argparse.ArgumentParser, description: str, epilog: str) -> None:
    parser.description, parser.epilog = description, epilog
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


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
    vectors, metric = _open(args), args.metric
    answer: dict[str, Any] = {"command": args.command}
    words = [vectors.index_to_key[vectors.get_index(word)] for word in args.words]
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
        answer |= {"words": words, metric: _rounded(vectors.similarity(words[0], words[1], metric))}
    else:
        # the shortest decimals that give the same float32 back
        answer |= {"word": words[0], "vector": [float(str(x)) for x in vectors.get_vector(words[0])]}
    print(json.dumps(answer, ensure_ascii=False) if args.json else "\n".join(query_lines(answer)))
    return 0


def run_evaluate(args: argparse.Namespace) -> int:
    """Test the vectors with every file given, reports on stdout."""
    if not (args.analogies or args.pairs or args.odd):
        raise ParamError("nothing to test with: give --analogies FILE, --pairs FILE or --odd FILE")
    if args.restrict_vocab < 1:
        raise ParamError(f"--restrict-vocab must be at least 1, got {args.restrict_vocab}")
    page = None if args.html is None else file_to_write("--html", args.html, (".html", ".htm"))
    vectors = _open(args, args.device)
    method = "mul" if args.cosmul else "add"
    analogies = [evaluate_analogies(vectors, path, args.restrict_vocab, method=method) for path in args.analogies]
    pairs = [evaluate_pairs(vectors, path, args.restrict_vocab) for path in args.pairs]
    odd = [evaluate_odd_ones(vectors, path, args.restrict_vocab) for path in args.odd]
    if page is not None:
        from w2v_spark.pictures.scores_page import Scores, scores_page

        scores = Scores(analogies, pairs, odd, method)
        page.write_text(scores_page(args.vectors, vectors, _manifest(args.vectors), scores), encoding="utf-8")
    if args.json:
        reports = {
            "analogies": [_analogies_json(r) for r in analogies],
            "pairs": [_pairs_json(r) for r in pairs],
            "odd": [_odd_json(r) for r in odd],
        }
        print(json.dumps(reports, ensure_ascii=False))
    else:
        blocks = [analogy_lines(report) for report in analogies]
        if pairs:
            blocks.append(pair_lines(pairs))
        blocks += [odd_lines(report) for report in odd]
        print("\n\n".join("\n".join(block) for block in blocks))
    return 0


def _open(args: argparse.Namespace, device: str = "cpu") -> Vectors:
    if args.vectors is None:
        raise ParamError("no vectors given: add --vectors DIR, the output of a training run")
    return Vectors.open(args.vectors, device=device)


def _manifest(address: str) -> Mapping[str, Any] | None:
    """What a run tells of its model; None for a single file of vectors."""
    return None if address.endswith((".npy", ".safetensors")) else store.open_model(address).manifest


def _neighbours(found: Neighbours, metric: str) -> list[dict[str, Any]]:
    return [{"word": word, metric: _rounded(value)} for word, value in found]


def _rounded(value: float | None) -> float | None:
    """Six digits: what float32 sums in another order agree on."""
    return None if value is None else round(value, 6)


def _score_json(score: Score) -> dict[str, Any]:
    return dataclasses.asdict(score) | {"accuracy": _rounded(score.accuracy)}


def _analogies_json(report: AnalogyReport) -> dict[str, Any]:
    parts = {name: _score_json(getattr(report, name)) for name in ("semantic", "syntactic", "total")}
    sections = [_score_json(score) for score in report.sections]
    return {"file": report.file, "vocabulary": report.vocabulary, "sections": sections, **parts}


def _pairs_json(report: PairReport) -> dict[str, Any]:
    numbers = {name: _rounded(getattr(report, name)) for name in ("unknown", "spearman", "pearson")}
    return {name: getattr(report, name) for name in ("file", "vocabulary", "pairs", "skipped")} | numbers


def _odd_json(report: OddReport) -> dict[str, Any]:
    sections = [_score_json(score) for score in report.sections]
    return {
        "file": report.file,
        "vocabulary": report.vocabulary,
        "sections": sections,
        "total": _score_json(report.total),
    }

"""`evaluate` on the command line: test files in, reports as text, JSON or a page out; no Java and no pyspark."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from w2v_spark import store
from w2v_spark.cli_common import JSON_HELP, VECTORS_HELP, open_vectors, rounded, run_command, set_texts
from w2v_spark.errors import ParamError
from w2v_spark.kernels.arrays import DEVICES
from w2v_spark.pictures.files import file_to_write, writing
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
from w2v_spark.vectors.text import analogy_lines, odd_lines, pair_lines

DESCRIPTION = "Test a model with analogy questions and with word pairs rated by people."
EPILOG = """\
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


def evaluate_main(argv: Sequence[str] | None = None) -> int:
    """`jobs/evaluate.py`: the exit status."""
    return run_command(add_evaluate_arguments, run_evaluate, argv)


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `evaluate`."""
    set_texts(parser, DESCRIPTION, EPILOG)
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


def run_evaluate(args: argparse.Namespace) -> int:
    """Test the vectors with every file given, reports on stdout."""
    if not (args.analogies or args.pairs or args.odd):
        raise ParamError("nothing to test with: give --analogies FILE, --pairs FILE or --odd FILE")
    if args.restrict_vocab < 1:
        raise ParamError(f"--restrict-vocab must be at least 1, got {args.restrict_vocab}")
    page = None if args.html is None else file_to_write("--html", args.html, (".html", ".htm"))
    vectors = open_vectors(args, args.device)
    method = "mul" if args.cosmul else "add"
    analogies = [evaluate_analogies(vectors, path, args.restrict_vocab, method=method) for path in args.analogies]
    pairs = [evaluate_pairs(vectors, path, args.restrict_vocab) for path in args.pairs]
    odd = [evaluate_odd_ones(vectors, path, args.restrict_vocab) for path in args.odd]
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
    if page is not None:
        from w2v_spark.pictures.scores_page import Scores, scores_page

        scores = Scores(analogies, pairs, odd, method)
        with writing(page):
            page.write_text(scores_page(args.vectors, vectors, _manifest(args.vectors), scores), encoding="utf-8")
    return 0


def _manifest(address: str) -> Mapping[str, Any] | None:
    """What a run tells of its model; None for a single file of vectors."""
    return None if address.endswith((".npy", ".safetensors")) else store.open_model(address).manifest


def _score_json(score: Score) -> dict[str, Any]:
    return dataclasses.asdict(score) | {"accuracy": rounded(score.accuracy)}


def _analogies_json(report: AnalogyReport) -> dict[str, Any]:
    parts = {name: _score_json(getattr(report, name)) for name in ("semantic", "syntactic", "total")}
    sections = [_score_json(score) for score in report.sections]
    return {"file": report.file, "vocabulary": report.vocabulary, "sections": sections, **parts}


def _pairs_json(report: PairReport) -> dict[str, Any]:
    numbers = {name: rounded(getattr(report, name)) for name in ("unknown", "spearman", "pearson")}
    return {name: getattr(report, name) for name in ("file", "vocabulary", "pairs", "skipped")} | numbers


def _odd_json(report: OddReport) -> dict[str, Any]:
    sections = [_score_json(score) for score in report.sections]
    return {
        "file": report.file,
        "vocabulary": report.vocabulary,
        "sections": sections,
        "total": _score_json(report.total),
    }

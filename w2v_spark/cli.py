"""The commands: `w2v train`, `query`, `evaluate`, `convert` and `plot`, and what jobs/*.py call."""

from __future__ import annotations

import argparse
import json
import logging
import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from w2v_spark import __version__
from w2v_spark.cli_convert import add_convert_arguments, run_convert
from w2v_spark.cli_plot import add_plot_arguments, run_plot
from w2v_spark.cli_query import add_evaluate_arguments, add_query_arguments, guarded, run_evaluate, run_query
from w2v_spark.errors import W2VError
from w2v_spark.params import Params, default, option_name, read_toml, specs

if TYPE_CHECKING:
    from w2v_spark.spark.scoring import Scoring

_TRAIN_EXAMPLES = """\
examples:
  ./spark-submit.sh jobs/train.py --input texts/*.gz --output out/texts
  ./spark-submit.sh --master yarn jobs/train.py --input hdfs:///wiki --column text --output hdfs:///wiki300
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command `w2v`."""
    parser = argparse.ArgumentParser(prog="w2v", description="Train word2vec on Apache Spark, and ask for the vectors.")
    parser.add_argument("--version", action="version", version=f"w2v_spark {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="train | query | evaluate | convert | plot")
    for name, add, run, text in (
        ("train", add_train_arguments, run_train, "train vectors on text"),
        ("query", add_query_arguments, run_query, "ask for neighbours, analogies, similarities"),
        ("evaluate", add_evaluate_arguments, run_evaluate, "score vectors on analogies and word pairs"),
        ("convert", add_convert_arguments, run_convert, "to and from the files of other tools"),
        ("plot", add_plot_arguments, run_plot, "draw words, or the rounds of a training"),
    ):
        command = commands.add_parser(
            name, help=text, description=text, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        add(command)
        command.set_defaults(run=run)
    args = parser.parse_args(argv)
    return guarded(args.run, args)


def train_main(argv: Sequence[str] | None = None) -> int:
    """What jobs/train.py calls."""
    parser = argparse.ArgumentParser(
        prog="train.py",
        description="Train word2vec vectors on text with Spark.",
        epilog=_TRAIN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_train_arguments(parser)
    return guarded(run_train, parser.parse_args(argv))


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of training: where from, where to, and every parameter."""
    place = parser.add_argument_group("input and output")
    place.add_argument(
        "--input",
        nargs="+",
        action="extend",
        metavar="PATH",
        help="files or folders that Spark reads; one document a line",
    )
    place.add_argument("--table", metavar="NAME", help="a table of the catalogue instead")
    place.add_argument("--sql", metavar="QUERY", help="a query instead")
    place.add_argument("--column", metavar="NAME", help="column with the text (string) or the words (array<string>)")
    place.add_argument(
        "--format", choices=("text", "parquet", "json", "csv"), help="format of the input; default: by the files' names"
    )
    place.add_argument(
        "--vocab", metavar="FILE", help="a ready vocabulary: a word a line, or Parquet with a column word"
    )
    place.add_argument(
        "--start-from", metavar="DIR", help="an earlier model: its words keep their vectors, new words start at random"
    )
    place.add_argument(
        "--freeze",
        metavar="earlier|FILE",
        help="words of the earlier model whose vectors do not change: all of them, or those of a file, a word a line",
    )
    place.add_argument("--output", required=True, metavar="DIR", help="where the vectors go: a new or empty directory")
    place.add_argument(
        "--overwrite",
        action="store_true",
        help="replace a finished model in the output, and begin an unfinished run anew",
    )
    place.add_argument(
        "--keep-work", action="store_true", help="keep counts, encoded corpus and last rounds in OUTPUT/work"
    )
    place.add_argument("--plan", action="store_true", help="count, print parameters, memory and traffic, and stop")
    scoring = parser.add_argument_group("scores while training")
    scoring.add_argument(
        "--evaluate-every", type=int, metavar="N", help="score the model every N rounds, and after the last"
    )
    scoring.add_argument("--analogies", metavar="FILE", help="analogy questions, in the format of questions-words.txt")
    scoring.add_argument("--pairs", metavar="FILE", help="word pairs rated by people: word, word, number")
    scoring.add_argument(
        "--restrict-vocab",
        type=int,
        default=30_000,
        metavar="N",
        help="score by the N most frequent words; default 30,000",
    )
    scoring.add_argument(
        "--patience", type=int, metavar="K", help="end training when K scores in a row were no better than one before"
    )
    place.add_argument(
        "--log-level",
        default="INFO",
        choices=("DEBUG", "INFO", "WARNING", "ERROR"),
        help="how much to log; default INFO",
    )
    place.add_argument("--config", metavar="FILE", help="TOML file of parameters; options on the command line win")
    group = parser.add_argument_group("parameters")
    for name, spec in specs().items():
        value = default(name)
        shown = spec.unset if value is None else value
        text = f"{spec.help}; {spec.allowed()}; default {shown}".replace("%", "%%")
        if spec.kind is bool:
            group.add_argument(option_name(name), action=argparse.BooleanOptionalAction, default=None, help=text)
        else:
            group.add_argument(option_name(name), metavar=spec.kind.__name__.upper(), help=text)


def run_train(args: argparse.Namespace) -> int:
    """Train, or plan."""
    params: dict[str, Any] = read_toml(args.config) if args.config else {}
    params |= {name: value for name in specs() if (value := getattr(args, name)) is not None}
    try:
        from w2v_spark.spark import fit
        from w2v_spark.spark.read import Source
        from w2v_spark.spark.session import own_session
    except ImportError as e:
        if (e.name or "").partition(".")[0] not in ("pyspark", "py4j", "pandas"):
            raise
        raise W2VError("training requires extra 'spark': install it with pip install 'w2v_spark[spark]'") from e
    _log_to_stderr(args.log_level)
    source = Source(tuple(args.input or ()), args.table, args.sql, None, args.column, args.format)
    Params.from_dict(params)  # a wrong value is told before Spark starts
    scoring = _scoring(args)
    from py4j.protocol import Py4JError, Py4JJavaError

    try:
        with own_session() as spark:
            common: dict[str, Any] = {"vocab": args.vocab, "start_from": args.start_from, "freeze": args.freeze}
            common |= {"overwrite": args.overwrite, "spark": spark, **params}
            if args.plan:
                with fit.prepare(source, args.output, only_plan=True, **common) as prepared:
                    sys.stdout.write(prepared.plan.text() + "\n")
                return 0
            trained = fit.train(source, args.output, keep_work=args.keep_work, scoring=scoring, **common)
    except Py4JError as e:
        if isinstance(e, Py4JJavaError):
            raise
        raise W2VError(f"Spark's Java is gone ({e}): the same command goes on from where it was") from e
    summary = {
        "output": trained.output,
        "words_per_second": round(trained.words_per_second),
        "loss": None if math.isnan(trained.loss) else round(trained.loss, 4),
    }
    sys.stdout.write(json.dumps(summary) + "\n")
    return 0


def _scoring(args: argparse.Namespace) -> Scoring | None:
    """What to score while training, None where nothing is asked."""
    from w2v_spark.spark.scoring import Scoring

    if args.evaluate_every is None:
        given = [name for name in ("analogies", "pairs", "patience") if getattr(args, name) is not None]
        if given:
            raise W2VError(f"--{given[0]} needs --evaluate-every N: every how many rounds to score")
        return None
    return Scoring.of_files(args.evaluate_every, args.analogies, args.pairs, args.restrict_vocab, args.patience)


def _log_to_stderr(level: str) -> None:
    from pyspark.logger import PySparkLogger

    from w2v_spark.spark.progress import LogHandler

    # what Spark has against a query comes as our own sentence, not as pages of JSON, too
    PySparkLogger.getLogger("SQLQueryContextLogger").disabled = True

    handler = LogHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("w2v_spark")
    logger.handlers[:] = [handler]
    logger.setLevel(level)

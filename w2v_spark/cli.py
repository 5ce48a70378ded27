"""The commands: `w2v train`, `query`, `evaluate`, `convert` and `plot`, and what jobs/*.py call."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from w2v_spark import __version__
from w2v_spark.cli_common import guarded, parsed, run_command, set_texts
from w2v_spark.cli_convert import add_convert_arguments, run_convert
from w2v_spark.cli_evaluate import add_evaluate_arguments, run_evaluate
from w2v_spark.cli_plot import add_plot_arguments, run_plot
from w2v_spark.cli_query import add_query_arguments, run_query
from w2v_spark.errors import MissingExtraError, W2VError
from w2v_spark.params import Params, default, option_name, read_toml, specs, spelt
from w2v_spark.vectors.evaluate import SCORED_WORDS

if TYPE_CHECKING:
    from w2v_spark.spark.scoring import Scoring

_TRAIN_DESCRIPTION = "Train word2vec vectors on text with Spark."
_TRAIN_EXAMPLES = """\
examples:
  ./spark-submit.sh jobs/train.py --input texts/*.gz --output out/texts
  ./spark-submit.sh --master yarn jobs/train.py --input hdfs:///wiki --column text --output hdfs:///wiki300
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command `w2v`."""
    parser = argparse.ArgumentParser(prog="w2v", description="Train word2vec on Apache Spark, and ask for the vectors.")
    parser.add_argument("--version", action="version", version=f"w2v_spark {__version__}")
    commands = parser.add_subparsers(dest="program", required=True, metavar="train | query | evaluate | convert | plot")
    for name, add, run, text in (
        ("train", add_train_arguments, run_train, "train vectors on text"),
        ("query", add_query_arguments, run_query, "ask for neighbours, analogies, similarities"),
        ("evaluate", add_evaluate_arguments, run_evaluate, "score vectors on analogies and word pairs"),
        ("convert", add_convert_arguments, run_convert, "to and from the files of other tools"),
        ("plot", add_plot_arguments, run_plot, "draw words, or the rounds of a training"),
    ):
        command = commands.add_parser(name, help=text, allow_abbrev=False)
        add(command)
        command.set_defaults(run=run)
    args = parsed(parser, argv)
    return guarded(args.run, args)


def train_main(argv: Sequence[str] | None = None) -> int:
    """`jobs/train.py`: the exit status."""
    return run_command(add_train_arguments, run_train, argv)


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of training: where from, where to, and every parameter."""
    set_texts(parser, _TRAIN_DESCRIPTION, _TRAIN_EXAMPLES)
    _add_input_and_output(parser.add_argument_group("input and output"))
    _add_run(parser.add_argument_group("the run"))
    _add_scoring(parser.add_argument_group("scores while training"))
    _add_parameters(parser.add_argument_group("parameters"))


def _add_input_and_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--input",
        nargs="+",
        action="extend",
        metavar="PATH",
        help="files or folders that Spark reads; one document a line",
    )
    group.add_argument("--table", metavar="NAME", help="a table of the catalogue instead")
    group.add_argument("--sql", metavar="QUERY", help="a query instead")
    group.add_argument("--column", metavar="NAME", help="column with the text (string) or the words (array<string>)")
    group.add_argument(
        "--format",
        choices=("text", "parquet", "json", "csv", "orc"),
        help="format of the input; default: by the files' names",
    )
    group.add_argument(
        "--vocab", metavar="FILE", help="a ready vocabulary: a word a line, or Parquet with a column word"
    )
    group.add_argument(
        "--start-from",
        metavar="DIR",
        help="an earlier model: its words start from their vectors, new ones at random",
    )
    group.add_argument(
        "--freeze",
        metavar="earlier|FILE",
        help="words of the earlier model whose vectors do not change: all of them, or those of a file, a word a line",
    )
    group.add_argument("--output", required=True, metavar="DIR", help="where the vectors go: a new or empty directory")
    group.add_argument(
        "--overwrite",
        action="store_true",
        help="replace a finished model in the output, and begin an unfinished run anew",
    )
    group.add_argument(
        "--keep-work", action="store_true", help="keep counts, encoded corpus and last rounds in OUTPUT/work"
    )


def _add_run(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--plan", action="store_true", help="count, print parameters, memory and traffic, and stop")
    group.add_argument("--config", metavar="FILE", help="TOML file of parameters; options on the command line win")
    group.add_argument(
        "--log-level",
        default="INFO",
        choices=("DEBUG", "INFO", "WARNING", "ERROR"),
        help="how much to log; default INFO",
    )


def _add_scoring(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--evaluate-every", type=int, metavar="N", help="score the model every N rounds, and after the last"
    )
    group.add_argument("--analogies", metavar="FILE", help="analogy questions, in the format of questions-words.txt")
    group.add_argument("--pairs", metavar="FILE", help="word pairs rated by people: word, word, number")
    group.add_argument(
        "--restrict-vocab",
        type=int,
        metavar="N",
        help=f"score by the N most frequent words; default {SCORED_WORDS:,}",
    )
    group.add_argument(
        "--patience", type=int, metavar="K", help="end training when K scores in a row were no better than one before"
    )


def _add_parameters(group: argparse._ArgumentGroup) -> None:
    for name, spec in specs().items():
        text = f"{spec.help}; {spec.allowed()}; default {spelt(name, default(name))}".replace("%", "%%")
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
        from w2v_spark.spark.freeze import check_freeze
        from w2v_spark.spark.progress import show_progress
        from w2v_spark.spark.read import Source
        from w2v_spark.spark.session import own_session
    except ImportError as e:
        if (e.name or "").partition(".")[0] not in ("pyspark", "py4j", "pandas"):
            raise
        if not isinstance(e, ModuleNotFoundError):
            raise W2VError(f"training needs Spark 4.0 or newer ({e}): give its folder in SPARK_HOME") from e
        raise MissingExtraError("training", "spark") from e
    show_progress(args.log_level)
    source = Source(tuple(args.input or ()), args.table, args.sql, None, args.column, args.format)
    # what is wrong is told before Spark starts
    check_freeze(args.freeze, args.start_from, Params.from_dict(params))
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
        "loss": None if trained.loss is None else round(trained.loss, 4),
    }
    sys.stdout.write(json.dumps(summary) + "\n")
    return 0


def _scoring(args: argparse.Namespace) -> Scoring | None:
    """What to score while training, None where nothing is asked."""
    from w2v_spark.spark.scoring import Scoring

    if args.evaluate_every is None:
        needing = ("analogies", "pairs", "restrict_vocab", "patience")
        given = [option_name(name) for name in needing if getattr(args, name) is not None]
        if given:
            raise W2VError(f"{given[0]} needs --evaluate-every N: every how many rounds to score")
        return None
    words = SCORED_WORDS if args.restrict_vocab is None else args.restrict_vocab
    return Scoring.of_files(args.evaluate_every, args.analogies, args.pairs, words, args.patience)

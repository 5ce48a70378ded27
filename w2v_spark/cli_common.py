"""What all commands share: how they start and end, their texts, and the vectors that they open; no Java, no pyspark."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence

from w2v_spark.errors import ParamError, W2VError
from w2v_spark.names import SPARK_SUBMIT, parameter_hint
from w2v_spark.params import option_name, specs
from w2v_spark.vectors.vectors import Vectors

VECTORS_HELP = "the output of a training run, or vectors/ in it: a path or a URI"
JSON_HELP = "one JSON object instead of text"
_INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it


def run_command(
    add_arguments: Callable[[argparse.ArgumentParser], None],
    run: Callable[[argparse.Namespace], int],
    argv: Sequence[str] | None,
) -> int:
    """A command that is a program of its own, `jobs/*.py`: the exit status."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_arguments(parser)
    return guarded(run, parsed(parser, argv))


def parsed(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments; where an option is not known, the error names the one that may be meant."""
    _check_before_command(parser, sys.argv[1:] if argv is None else argv)
    args, rest = parser.parse_known_args(argv)
    if not rest:
        return args
    trains, options = set(specs()) <= set(vars(args)), list(_options(parser, args))
    for option in (word.partition("=")[0] for word in rest if word.startswith("-")):
        if trains and option in SPARK_SUBMIT:
            parser.error(
                f"{option} is an option of spark-submit, which come before the job: ./spark-submit.sh {option} ... "
                "jobs/train.py ..."
            )
        if hint := parameter_hint(option, options, option_name):
            parser.error(f"unrecognized option {option}{hint}")
    values = trains and {word.lower() for word in rest} <= {"true", "false"}
    hint = " (a switch takes no value: --lowercase or --no-lowercase)" if values else ""
    parser.error(f"unrecognized arguments: {' '.join(rest)}{hint}")


def _check_before_command(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """Refuse options that are not known before a command word: argparse would take their values for the command."""
    commands = next((a.choices for a in parser._actions if isinstance(a, argparse._SubParsersAction)), {})
    for number, word in enumerate(words if commands else ()):
        if word in commands:
            return _check_before_command(commands[word], words[number + 1 :])
        option, known = word.partition("=")[0], parser._option_string_actions
        if option.startswith("--") and option not in known:
            parser.error(f"unrecognized option {option}{parameter_hint(option, known, option_name)}")


def _options(parser: argparse.ArgumentParser, args: argparse.Namespace) -> Iterator[str]:
    """What the parser, and that of the command that was chosen, takes for options."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            yield from _options(action.choices[getattr(args, action.dest)], args)


def guarded(run: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """What `run` returns; a user's mistake becomes a line on stderr and 2, Ctrl-C a line and 130, a closed pipe ends it
    quietly.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a terminal that cannot show a word shows its escapes
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = run(args)
        if sys.stdout is not None:  # as it is where the shell has closed it
            sys.stdout.flush()
    except BrokenPipeError:
        # else the interpreter would fail once more when it flushes on exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (W2VError, OSError) as e:
        sys.stderr.write(f"error: {e}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return _INTERRUPTED
    return status


def set_texts(parser: argparse.ArgumentParser, description: str, epilog: str) -> None:
    """What --help says before and after the arguments, line by line as it is."""
    parser.description, parser.epilog = description, epilog
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def open_vectors(args: argparse.Namespace, device: str = "cpu") -> Vectors:
    """The vectors of --vectors."""
    return Vectors.open(vectors_address(args), device=device)


def vectors_address(args: argparse.Namespace) -> str:
    """What --vectors names."""
    if args.vectors is None:
        raise ParamError("no vectors given: add --vectors DIR, the output of a training run")
    return str(args.vectors)


def rounded(value: float | None) -> float | None:
    """Six digits: what float32 sums in another order agree on."""
    return None if value is None else round(value, 6)

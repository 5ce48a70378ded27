"""Spark's errors in one line or one sentence: of a job, a task, a worker, the input."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

from py4j.protocol import Py4JJavaError
from pyspark.errors import (
    AnalysisException,
    ArithmeticException,
    ArrayIndexOutOfBoundsException,
    DateTimeException,
    IllegalArgumentException,
    NumberFormatException,
    PySparkException,
    PySparkImportError,
    SparkRuntimeException,
)

from w2v_spark import errors
from w2v_spark.errors import FormatError, InputError, W2VError

_OURS = re.compile(r"w2v_spark\.errors\.(\w+): (.+)")
_FILE = re.compile(r"\[FAILED_READ_FILE[.\w]*\] Encountered error while reading file (?P<file>.+?)\. (?P<hint>.*)")
LOST = re.compile(r"(?:ExecutorLostFailure|Python worker exited unexpectedly).*")
# a query or a table that is not there or makes no sense, and what a query's own expressions raise on its rows
_AGAINST_THE_INPUT = (
    AnalysisException,
    ArithmeticException,
    ArrayIndexOutOfBoundsException,
    DateTimeException,
    NumberFormatException,
    SparkRuntimeException,
)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turns an error of ours that a task raised, a file that Spark cannot read, and workers that cannot run us into one
    sentence.
    """
    try:
        yield
    except (PySparkException, Py4JJavaError) as e:
        if sentence := _sentence(e):
            raise sentence from e
        if unreadable := _FILE.search(str(e)):
            file, hint = unquote(unreadable["file"]), unreadable["hint"].partition("SQLSTATE")[0].strip()
            why = f": {hint}" if hint else ""
            raise FormatError(f"{file} cannot be read by Spark{why}{_root_cause(str(e))}") from e
        raise


@contextmanager
def input_errors(*, opening: bool = False) -> Iterator[None]:
    """`plain_errors` for a block that reads the input: what Spark says against the input, the user can mend. While it
    is only opened, that is whatever Spark says, unless a process was lost.
    """
    try:
        yield
    except (PySparkException, Py4JJavaError) as e:
        if sentence := _sentence(e):
            raise sentence from e
        if unreadable := _FILE.search(str(e)):
            told = " ".join(unreadable[0].split())
            raise InputError(f"Spark cannot read the input: {told}{_root_cause(str(e))}") from e
        if isinstance(e, _AGAINST_THE_INPUT):
            raise InputError(f"Spark cannot read the input: {first_line(str(e))}") from e
        if opening and isinstance(e, (Py4JJavaError, IllegalArgumentException)) and not LOST.search(str(e)):
            reason = job_failure(e).removeprefix("java.net.URISyntaxException: ")
            hint = "; Hadoop knows no names with a colon, rename it" if "in absolute URI" in reason else ""
            raise InputError(f"Spark cannot read the input, of which a file may be damaged: {reason}{hint}") from e
        raise


def _sentence(error: PySparkException | Py4JJavaError) -> W2VError | None:
    """The error in one sentence, where its cause is one that a user can mend."""
    text = str(error)
    ours = _OURS.search(text)
    if ours and hasattr(errors, ours[1]):
        return errors.rebuilt(ours[1], ours[2])
    lacking = worker_problem(text) if not isinstance(error, PySparkImportError) else None
    return W2VError(lacking) if lacking else None


def job_failure(error: Exception) -> str:
    """Why a Spark job failed, in one line: the innermost cause that it names."""
    text = str(error)
    if raised := re.findall(r"^([\w.]+(?:Error|Exception|Interrupt)(?:: .*)?)$", text.partition("\n\tat ")[0], re.M):
        return str(raised[-1])[:300]
    # what py4j raises begins with the call, and names what Java threw behind a colon
    causes = re.findall(r"^(?:Caused by)?: (?:[\w.$]+: )?(.+)", text, re.M)
    lines = [*LOST.findall(text), *reversed(causes), *(line for line in text.splitlines() if line.strip())]
    return str(next(iter(lines), type(error).__name__)).strip()[:300]


def task_failure(text: str) -> str:
    """Why a task failed: the first error that its text names, else all of it."""
    first = re.search(r"^[\w.]+(?:Error|Exception): (?!Traceback).+", text, re.MULTILINE)
    return first[0] if first else text


def worker_problem(text: str) -> str | None:
    """What keeps Spark's Python workers from running us, read from a failed task's error, and the cure."""
    if found := re.search(r"worker has different version: (\S+) than that in driver: ([\d.]+)", text):
        return (
            f"Spark's workers run Python {found[1]}, this driver {found[2]}: both must be of one minor version; set "
            f"PYSPARK_PYTHON to their Python {found[2]}, or W2V_PYTHON to a Python {found[1]} here and run "
            "./spark-submit.sh --pack"
        )
    # the words of the packed environment's own launcher
    if found := re.search(r"this worker has no Python [\d.]+, for which the environment was packed: .+", text):
        return found[0]
    if found := re.search(r"^[\w.]*(?:ModuleNotFoundError|ImportError): (.+)", text, re.MULTILINE):
        return (
            f"Spark's workers lack a package that training needs ({found[1]}): run ./spark-submit.sh --pack once and "
            "submit with ./spark-submit.sh, which sends w2v_spark and all that it needs; or install them in the "
            "workers' Python (PYSPARK_PYTHON)"
        )
    found = re.search(r'Error from python worker:\s+(.+)|Cannot run program "(.+?)": (?:error=\d+, )?(.+)', text)
    if found and "org.apache.spark.api.python" in text:
        return (
            f"Spark's workers cannot start Python ({found[1] or f'{found[2]}: {found[3]}'}): set PYSPARK_PYTHON to a "
            "Python that they have, or send an environment with ./spark-submit.sh --pack"
        )
    return None


def _root_cause(text: str) -> str:
    """The last cause that a Java stack trace names, in parentheses."""
    causes = re.findall(r"^Caused by: (.+)", text, re.MULTILINE)
    return f" ({causes[-1].rpartition('Exception: ')[2]})" if causes else ""


def first_line(text: str | None) -> str:
    """The first line of what Java says, which may be nothing."""
    return (text or "unknown reason").strip().splitlines()[0].rstrip("; ")

"""The errors that a user can cause: one sentence that says what was given, what is allowed and what to do."""

import shlex
import sys


class W2VError(Exception):
    """A mistake in the input, the parameters or the environment; jobs print it and exit with status 2."""


class ParamError(W2VError, ValueError):
    """A parameter has a wrong name, type or value."""


class InputError(W2VError, ValueError):
    """The text, table or file given cannot be used."""


class OutputError(W2VError, ValueError):
    """The output directory cannot be written or already holds something."""


class FormatError(W2VError, ValueError):
    """A directory or file on disk is not one of ours, or is damaged, or is of a newer format."""


class StorageError(W2VError, OSError):
    """The storage refuses or fails to give a file that may well be whole: network, permission, time out."""


class UnknownWordError(W2VError, KeyError):
    """A query names a word that has no vector."""

    def __str__(self) -> str:
        return str(self.args[0])


class DivergenceError(W2VError, ArithmeticError):
    """Training produced a vector that is not finite or far too long."""


class ExchangeError(W2VError, ConnectionError):
    """Another replica of the same round cannot be reached, was lost, or gave up."""


class DeviceError(W2VError, RuntimeError):
    """The GPU, its driver or its compiler cannot do what is asked."""


class MissingExtraError(W2VError, ImportError):
    """An optional package is needed: names the extra and the command that brings it."""

    def __init__(self, what: str, extra: str):
        super().__init__(f"{what} requires extra '{extra}': install it with {pip_install(extra)}")


def pip_install(extra: str) -> str:
    """The command that installs an extra, for the Python that lacks it."""
    # w2v_spark is on no index; and a copy of it, installed without -e, would hide the checkout
    return f"{shlex.quote(sys.executable)} -m pip install -e '.[{extra}]' in the checkout of w2v_spark"


def one_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split())


def rebuilt(kind: str, sentence: str) -> W2VError:
    """The error that another process raised, from its class's name and its sentence."""
    found = globals()[kind]
    # that error words its sentence itself
    return W2VError(sentence) if found is MissingExtraError else found(sentence)

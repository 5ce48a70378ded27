"""What the pictures share: their style, and how they are saved."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from w2v_spark.errors import MissingExtraError
from w2v_spark.vectors.text import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENDINGS = (".png", ".svg")
DOTS_PER_INCH = 150
_LONGEST = 40

# Okabe and Ito's colours, which people tell apart whatever their sight
BLUE, ORANGE = "#0072b2", "#d55e00"
# light to dark in every kind of sight; and, for what has a sign, from one hue through white to the other
SHADES, SIGNED = "viridis", "RdBu_r"

_SETTINGS: dict[Any, Any] = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": "large",
    "figure.dpi": DOTS_PER_INCH,
    "figure.facecolor": "white",
    "font.size": 10,
    "svg.hashsalt": "w2v_spark",  # the same picture is the same file
}


def picture_module(name: str) -> ModuleType:
    """A module of ours that draws; MissingExtraError where matplotlib is not there."""
    try:
        return import_module(f"w2v_spark.pictures.{name}")
    except ImportError as e:
        if (e.name or "").partition(".")[0] != "matplotlib":
            raise
        raise MissingExtraError("a picture", "plot") from e


def written(word: str) -> str:
    """A word as a picture shows it: on one line, and not for ever."""
    text = shown(word)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


@contextmanager
def style(texts: Iterable[str] = ()) -> Iterator[None]:
    """The settings that pictures are drawn with, with fonts for the texts."""
    import matplotlib

    from w2v_spark.pictures.fonts import families_for

    with matplotlib.rc_context({**_SETTINGS, "font.family": families_for(texts)}), _no_word_of_each_glyph():
        yield


def save(figure: Figure, path: Path) -> None:
    """Write a picture; the file's ending tells the format."""
    import matplotlib

    with matplotlib.rc_context(_SETTINGS), _no_word_of_each_glyph():
        if path.suffix.lower() == ".svg":
            figure.savefig(path, format="svg", metadata={"Date": None})
        else:
            figure.savefig(path, format="png", dpi=DOTS_PER_INCH)


@contextmanager
def _no_word_of_each_glyph() -> Iterator[None]:
    """Letters without a font were told in one sentence when fonts were chosen."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from font", UserWarning)
        yield

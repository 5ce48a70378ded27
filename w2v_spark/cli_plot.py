"""`plot` on the command line: pictures of words and of a run's rounds; no Java, no pyspark."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from w2v_spark import store
from w2v_spark.cli_common import VECTORS_HELP, open_vectors, run_command, set_texts, vectors_address
from w2v_spark.errors import ParamError
from w2v_spark.pictures.canvas import ENDINGS, picture_module, save
from w2v_spark.pictures.files import file_to_write, writing
from w2v_spark.pictures.layout import METHODS
from w2v_spark.training.history import read_rounds
from w2v_spark.vectors.vectors import Vectors

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOP = 200

DESCRIPTION = "Draw a model's words, or the rounds of its training, as PNG or SVG."
EPILOG = """\
examples:
  plot map --vectors out/en --save map.png                        # the 200 most frequent words
  plot map --vectors out/en --save map.svg --method tsne king queen paris london
  plot heatmap --vectors out/en --save heat.png king queen man woman
  plot rounds --vectors out/en --save rounds.png

A word that starts with a dash is given after --. A picture that is there is replaced.
Exit status: 0, or 2 with one line on stderr where something is wrong.
"""


def plot_main(argv: Sequence[str] | None = None) -> int:
    """`jobs/plot.py`: the exit status."""
    return run_command(add_plot_arguments, run_plot, argv)


def add_plot_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `plot`; its options are accepted before and after the name of the picture."""
    set_texts(parser, DESCRIPTION, EPILOG)
    _options(parser)
    pictures = parser.add_subparsers(dest="picture", required=True, metavar="map | heatmap | rounds")
    text = "words in a plane, near to each other where their vectors are"
    words = _picture(pictures, "map", text)
    words.add_argument("words", nargs="*", metavar="WORD", help="the words; without any, the most frequent")
    words.add_argument("--top", type=int, metavar="N", help=f"so many of the most frequent words (default {TOP})")
    text = "pca: principal components; tsne: t-SNE, which needs the extra tsne (default pca)"
    words.add_argument("--method", choices=METHODS, default="pca", help=text)
    words.add_argument("--seed", type=int, default=1, metavar="N", help="of t-SNE (default 1)")
    heat = _picture(pictures, "heatmap", "the vectors of some words and their cosine similarities, side by side")
    heat.add_argument("words", nargs="+", metavar="WORD")
    _picture(pictures, "rounds", "loss and words a second over the rounds of the training")


def run_plot(args: argparse.Namespace) -> int:
    """Draw one picture, and say where it is."""
    if args.save is None:
        raise ParamError("no file given: add --save FILE, which ends in .png or .svg")
    path = file_to_write("--save", args.save, ENDINGS)
    figure, about = {"map": _map, "heatmap": _heatmap, "rounds": _rounds}[args.picture](args)
    with writing(path):
        save(figure, path)
    print(f"{about}: {args.save}")
    return 0


def _map(args: argparse.Namespace) -> tuple[Figure, str]:
    module = picture_module("word_map")
    if args.words and args.top is not None:
        raise ParamError("give words or --top N, not both")
    top = TOP if args.top is None else args.top
    if not 3 <= top <= module.MOST_WORDS:
        raise ParamError(f"--top must be from 3 to {module.MOST_WORDS:,}, got {top}")
    vectors = open_vectors(args)
    words = _spelt(vectors, args.words) if args.words else vectors.index_to_key[:top]
    about = f"map of {len(words):,} words" if args.words else f"map of the {len(words):,} most frequent words"
    title = f"{_name(args.vectors)}: {about}"
    return module.word_map(vectors, words, title, args.method, args.seed), about


def _heatmap(args: argparse.Namespace) -> tuple[Figure, str]:
    module = picture_module("heatmap")
    vectors = open_vectors(args)
    words = _spelt(vectors, args.words)
    about = f"heat map of {len(words)} words"
    return module.heatmap(vectors, words, f"{_name(args.vectors)}: {about}"), about


def _rounds(args: argparse.Namespace) -> tuple[Figure, str]:
    module = picture_module("rounds_chart")
    rounds = read_rounds(store.open_model(vectors_address(args)))
    about = f"loss and speed of {len(rounds):,} rounds"
    return module.rounds_chart(rounds, f"{_name(args.vectors)}: {about}"), about


def _picture(pictures: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = pictures.add_parser(name, help=text, description=text, allow_abbrev=False)
    _options(parser, repeated=True)
    return parser


def _options(parser: argparse.ArgumentParser, repeated: bool = False) -> None:
    """The options of `plot`, once more for a picture's name: there a default would undo what was given before it."""
    default = argparse.SUPPRESS if repeated else None
    parser.add_argument("--vectors", metavar="DIR", default=default, help=VECTORS_HELP)
    parser.add_argument("--save", metavar="FILE", default=default, help="the picture: FILE.png or FILE.svg")


def _spelt(vectors: Vectors, words: Sequence[str]) -> list[str]:
    """The words as the vocabulary spells them, each once."""
    return [vectors.index_to_key[i] for i in dict.fromkeys(vectors.get_index(word) for word in words)]


def _name(address: str) -> str:
    """What a picture calls a model: the last name of its address."""
    return address.rstrip("/").removesuffix(f"/{store.VECTORS}").rpartition("/")[2]

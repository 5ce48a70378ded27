"""`convert` on the command line: a model to a file of another tool, and such a file to a model; no Java, no pyspark."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from w2v_spark.cli_common import VECTORS_HELP, run_command, set_texts
from w2v_spark.errors import ParamError
from w2v_spark.vectors.formats import FORMATS, format_of, read_file, write_file
from w2v_spark.vectors.save import write_model
from w2v_spark.vectors.vectors import Vectors

DESCRIPTION = "Convert a model to a file of another tool, or such a file to a model."
EPILOG = """\
formats:
{formats}

examples:
  convert --vectors out/en --to word2vec-text --output en.txt
  convert --vectors out/en --to numpy --output en.npy     # then Vectors.open("en.npy", mmap=True)
  convert --input GoogleNews-vectors-negative300.bin.gz --output out/news

A word that a format cannot hold (one with a space in word2vec's formats, say) is refused by name before anything is
written. An existing output is never overwritten. Pickle is neither read nor written: it runs code when it is read.
Exit status: 0, or 2 with one line on stderr where something is wrong.
"""


def convert_main(argv: Sequence[str] | None = None) -> int:
    """`jobs/convert.py`: the exit status."""
    return run_command(add_convert_arguments, run_convert, argv)


def add_convert_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `convert`."""
    lines = [f"  {f.name:16} {' '.join(f.endings):22} {f.about}".rstrip() for f in FORMATS.values()]
    set_texts(parser, DESCRIPTION, EPILOG.format(formats="\n".join(lines)))
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--vectors", metavar="DIR", help=VECTORS_HELP)
    source.add_argument("--input", metavar="FILE", help="a file to make a model of")
    parser.add_argument("--output", required=True, metavar="PATH", help="a new file, or the new directory of a model")
    parser.add_argument("--to", choices=FORMATS, help="with --vectors: the format; default by the ending of the output")
    parser.add_argument(
        "--from", dest="source", choices=FORMATS, help="with --input: its format; default by its ending"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="the first N words alone, the most frequent")
    parser.add_argument("--dtype", choices=("float32", "float16"), help="with --to numpy or safetensors")
    text = "word2vec's formats: what stands for white space in a word; without it such a word is refused"
    parser.add_argument("--replace-spaces", metavar="TEXT", help=text)
    text = "with --input: what becomes of words that are not UTF-8; default strict"
    parser.add_argument("--unicode-errors", choices=("strict", "replace", "ignore"), help=text)


def run_convert(args: argparse.Namespace) -> int:
    """Convert, and say what was written."""
    if args.limit is not None and args.limit < 1:
        raise ParamError(f"--limit must be at least 1, got {args.limit}")
    for option, value, wanted in (
        ("--to", args.to, "--vectors"),
        ("--dtype", args.dtype, "--vectors"),
        ("--replace-spaces", args.replace_spaces, "--vectors"),
        ("--from", args.source, "--input"),
        ("--unicode-errors", args.unicode_errors, "--input"),
    ):
        if value is not None and getattr(args, wanted.removeprefix("--")) is None:
            raise ParamError(f"{option} goes with {wanted}: leave it out, or give {wanted}")
    if args.vectors is not None:
        name = args.to or format_of(Path(args.output), writing=True).name
        vectors = _first(Vectors.open(args.vectors), args.limit)
        written = write_file(vectors, args.output, name, dtype=args.dtype, replace_spaces=args.replace_spaces)
        shown = ", ".join(map(str, written))
    else:
        form = args.source or format_of(Path(args.input)).name
        vectors = read_file(args.input, form, limit=args.limit, unicode_errors=args.unicode_errors or "strict")
        write_model(vectors, args.output, {"converted": {"from": Path(args.input).name, "format": form}})
        shown = args.output
    print(f"{len(vectors):,} vectors of {vectors.vector_size} numbers: {shown}")
    return 0


def _first(vectors: Vectors, limit: int | None) -> Vectors:
    """The vectors of the first words."""
    if limit is None:
        return vectors
    counts = None if vectors.counts is None else vectors.counts[:limit]
    return Vectors(vectors.index_to_key[:limit], vectors.vectors[:limit], counts, lowercase=vectors.lowercase)

"""What ./spark-submit.sh runs without arguments: trains on docstrings of Python packages, then asks for neighbours."""

import argparse
import sys
from pathlib import Path

try:
    from w2v_spark.cli import train_main
    from w2v_spark.cli_common import guarded
    from w2v_spark.cli_query import query_main
    from w2v_spark.corpus.docstrings import python_sources, write_docstrings
except ModuleNotFoundError as e:
    sys.exit(f"error: {e}: run it with .venv/bin/python, which ./spark-submit.sh makes")

_CORPUS, _OUTPUT = Path("out/demo-corpus"), Path("out/demo")
_EPOCHS = "10"  # there are few words for vectors of 100
_WORDS = ("array", "string", "column", "maximum", "file")


def run(_: argparse.Namespace) -> int:
    """Gather, train, show; the exit status."""
    print("Gathering the demo corpus: docstrings of Python's standard library and of packages ...", flush=True)
    words = write_docstrings(_CORPUS, python_sources())
    print(f"{words:,} words in {_CORPUS}", flush=True)
    status = train_main(["--input", str(_CORPUS), "--output", str(_OUTPUT), "--max-iter", _EPOCHS, "--overwrite"])
    status = status or query_main(["--vectors", str(_OUTPUT), "similar", *_WORDS, "--top", "5"])
    if status:
        return status
    print(
        f"\nThe vectors are in {_OUTPUT}/vectors. Ask for more:\n"
        f"  .venv/bin/python jobs/query.py --vectors {_OUTPUT} similar matrix\n"
        f"  .venv/bin/python jobs/query.py --vectors {_OUTPUT} analogy rows row column\n"
        "Train on your own text, one document a line:\n"
        "  ./spark-submit.sh jobs/train.py --input YOUR.txt --output out/mine"
    )
    return 0


if __name__ == "__main__":
    sys.exit(guarded(run, argparse.Namespace()))

"""What ./spark-submit.sh runs without arguments: trains on the docstrings of the installed packages, then asks for
neighbours.
"""

import sys
from pathlib import Path

from w2v_spark.cli import train_main
from w2v_spark.cli_query import query_main
from w2v_spark.corpus.docstrings import write_docstrings

_CORPUS, _OUTPUT = Path("out/demo-corpus"), Path("out/demo")
_WORDS = ("array", "string", "column", "returns", "file")


def main() -> int:
    """Gather, train, show; the exit status."""
    print("Gathering the demo corpus: docstrings of the installed Python packages ...", flush=True)
    words = write_docstrings(_CORPUS)
    print(f"{words:,} words in {_CORPUS}", flush=True)
    status = train_main(["--input", str(_CORPUS), "--output", str(_OUTPUT), "--overwrite"])
    if status:
        return status
    query_main(["--vectors", str(_OUTPUT), "similar", *_WORDS, "--top", "5"])
    print(
        f"\nThe vectors are in {_OUTPUT}/vectors. Ask for more:\n"
        f"  .venv/bin/python jobs/query.py --vectors {_OUTPUT} similar matrix\n"
        f"  .venv/bin/python jobs/query.py --vectors {_OUTPUT} analogy rows row column\n"
        "Train on your own text, one document a line:\n"
        "  ./spark-submit.sh jobs/train.py --input YOUR.txt --output out/mine"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

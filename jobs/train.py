"""spark-submit this to train vectors: see --help, or README.md."""

import sys

try:
    from w2v_spark.cli import train_main
except ModuleNotFoundError as e:
    sys.exit(f"error: {e}: run it with .venv/bin/python, which ./spark-submit.sh makes")

if __name__ == "__main__":
    sys.exit(train_main())

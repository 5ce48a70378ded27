"""spark-submit this to train vectors: see --help, or README.md."""

import sys

from w2v_spark.cli import train_main

if __name__ == "__main__":
    sys.exit(train_main())

"""Draw a model's words, or the rounds of its training: python jobs/plot.py --help."""

import importlib.util
import sys
from pathlib import Path

if importlib.util.find_spec("w2v_spark") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from w2v_spark.cli_plot import plot_main

if __name__ == "__main__":
    sys.exit(plot_main())

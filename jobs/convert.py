"""Convert a model to a file of another tool, or such a file to a model: python jobs/convert.py --help."""

import importlib.util
import sys
from pathlib import Path

if importlib.util.find_spec("w2v_spark") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from w2v_spark.cli_convert import convert_main

if __name__ == "__main__":
    sys.exit(convert_main())

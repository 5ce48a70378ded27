"""Convert a model to a file of another tool, or such a file to a model: .venv/bin/python jobs/convert.py --help."""

import importlib.util
import sys
from pathlib import Path

if importlib.util.find_spec("w2v_spark") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

try:
    from w2v_spark.cli_convert import convert_main
except ModuleNotFoundError as e:
    sys.exit(f"error: {e}: run it with .venv/bin/python, which ./spark-submit.sh makes")

if __name__ == "__main__":
    sys.exit(convert_main())

"""Ask a model for neighbours, analogies, similarities and vectors: .venv/bin/python jobs/query.py --help."""

import importlib.util
import sys
from pathlib import Path

if importlib.util.find_spec("w2v_spark") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

try:
    from w2v_spark.cli_query import query_main
except ModuleNotFoundError as e:
    sys.exit(f"error: {e}: run it with .venv/bin/python, which ./spark-submit.sh makes")

if __name__ == "__main__":
    sys.exit(query_main())

"""Models on disk for tests, and tests/data/model-v1, which every later version must read.

`python tests/make_model_v1.py` wrote tests/data/model-v1 when the format version was 1. It is not to be written again:
when the format changes, this file makes newer models and the old one stays as it is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from w2v_spark import store
from w2v_spark.params import Params
from w2v_spark.place import Place

MODEL_V1 = Path(__file__).parent / "data" / "model-v1"
SIZE, CLUSTERS, STEMS = 16, 10, 10

# what Spark writes for array<float> that holds no null: the element's name and nullability are not pyarrow's
SPARK_SCHEMA = pa.schema([*store.VOCAB_SCHEMA, ("vector", pa.list_(pa.field("element", pa.float32(), nullable=False)))])


def planted_model() -> tuple[list[str], np.ndarray, np.ndarray]:
    """200 made-up words in 10 clusters: 10 stems each, and beside each stem its form in -ri, all by the same offset.

    Returns words, vectors (200, 16) float32 and counts (200,), by count descending.
    """
    random = np.random.RandomState(3)  # noqa: NPY002 - its stream never changes
    offset = random.normal(size=SIZE)
    words: dict[str, np.ndarray] = {}
    for _ in range(CLUSTERS):
        centre = 3 * random.normal(size=SIZE)
        for _ in range(STEMS):
            stem = _stem(random, words)
            words[stem] = centre + 0.7 * random.normal(size=SIZE)
            words[stem + "ri"] = words[stem] + 2 * offset + 0.1 * random.normal(size=SIZE)
    order = random.permutation(len(words))
    counts = (20_000 / (1 + np.arange(len(words)))).astype(np.int64)
    return [list(words)[i] for i in order], np.array(list(words.values()), np.float32)[order], counts


def _stem(random: np.random.RandomState, taken: dict[str, np.ndarray]) -> str:
    while True:
        word = "".join(random.choice(list("bdfgklmnpstvz")) + random.choice(list("aeiou")) for _ in range(3))
        if word not in taken:
            return word


def write_model(
    out: Path,
    words: list[str],
    vectors: np.ndarray,
    counts: np.ndarray | None = None,
    *,
    schema: pa.Schema = store.VECTORS_SCHEMA,
    parts: int = 2,
    params: Params | None = None,
) -> Path:
    """A finished model at `out`, in the current format; its vectors in so many Parquet files with the schema given."""
    params = (params or Params()).replace(vector_size=vectors.shape[1])
    counts = np.arange(len(words), 0, -1) if counts is None else counts
    columns = {"id": range(len(words)), "word": words, "count": counts, "vector": list(vectors)}
    table = pa.table(columns, schema=schema)
    files = {}
    for name, content in ((store.VOCAB, table.select(["id", "word", "count"])), (store.VECTORS, table)):
        (out / name).mkdir(parents=True)
        step = -(-len(words) // parts)
        for part in range(parts):
            pq.write_table(
                content.slice(part * step, step), out / name / f"part-{part:05d}.parquet", compression="zstd"
            )
        files[name] = Place.open(out / name).files()
    Place.open(out).write_json(store.MANIFEST, store.model_manifest(params.to_dict(), {**files, store.METRICS: []}))
    return out


if __name__ == "__main__":
    words, vectors, counts = planted_model()
    write_model(MODEL_V1, words, vectors, counts, schema=SPARK_SCHEMA)

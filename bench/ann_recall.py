"""What an approximate index finds of the true neighbours, how fast, and beside it the exact search and its share of
the machine's matrix product.

    .venv/bin/python bench/ann_recall.py --vectors out/en [--queries 1000] [--top 10]
    .venv/bin/python bench/ann_recall.py --random 1000000 300 --exact [--device cuda]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from w2v_spark.kernels.arrays import DEVICES
from w2v_spark.vectors import search
from w2v_spark.vectors.ann import Index
from w2v_spark.vectors.metrics import Rows
from w2v_spark.vectors.vectors import Vectors

ROWS_OF_PRODUCT = 16_384


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--vectors", help="a model")
    source.add_argument("--random", nargs=2, type=int, metavar=("WORDS", "SIZE"), help="random vectors instead")
    parser.add_argument("--queries", type=int, default=1000, help="words to ask for, from all over the vocabulary")
    parser.add_argument("--top", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=3, help="exact searches, of which the best counts")
    parser.add_argument("--exact", action="store_true", help="the exact search alone")
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="what runs the exact search")
    args = parser.parse_args()
    vectors = (
        Vectors.open(args.vectors, device=args.device) if args.vectors else random_vectors(*args.random, args.device)
    )
    chosen = np.random.default_rng(0).choice(len(vectors), min(args.queries, len(vectors)), replace=False)
    queries = vectors.vectors[chosen].astype(np.float32)
    print(f"{len(vectors):,} x {vectors.vector_size}, {len(queries):,} queries, top {args.top}")
    exact = exact_search(vectors, queries, args.top, args.repeat)
    if not args.exact:
        for dtype in ("float32", "float16", "int8"):
            for connectivity, add, expansion in ((16, 128, 64), (16, 128, 256), (32, 256, 256)):
                approximate(vectors, queries, exact, dtype, connectivity, add, expansion)


def random_vectors(words: int, size: int, device: str) -> Vectors:
    random = np.random.default_rng(0)
    numbers = np.empty((words, size), np.float32)
    for start in range(0, words, ROWS_OF_PRODUCT):
        random.standard_normal(dtype=np.float32, out=numbers[start : start + ROWS_OF_PRODUCT])
    return Vectors([f"w{i}" for i in range(words)], numbers, device=device)


def exact_search(vectors: Vectors, queries: np.ndarray, top: int, repeat: int) -> np.ndarray:
    """The true neighbours; product and search run in turns, so that a busy machine slows both."""
    rows = vectors.rows
    product, found = [], []
    for _ in range(repeat):
        product.append(seconds(lambda: multiply(rows, queries))[0])
        found.append(seconds(lambda: search.top_k(rows, queries, top)))
    (wall, cpu), (their_wall, their_cpu) = (
        (min(t) for t in zip(*[t for t, _ in found], strict=True)),
        (min(t) for t in zip(*product, strict=True)),
    )
    operations = 2 * vectors.vectors.size * len(queries)
    print(f"matrix product alone  {their_wall:7.2f} s  {operations / their_wall / 1e9:6.0f} GFLOP/s")
    rate = f"{operations / wall / 1e9:6.0f} GFLOP/s  {len(queries) / wall:8.0f} queries/s"
    share = f"{100 * their_wall / wall:.0f} % of the product's rate ({100 * their_cpu / cpu:.0f} % by CPU time)"
    print(f"exact search          {wall:7.2f} s  {rate}  {share}")
    return np.asarray(found[0][1][0])


def multiply(rows: Rows, queries: np.ndarray) -> None:
    asked = rows.arrays.put(queries)
    for start in range(0, len(rows), ROWS_OF_PRODUCT):
        product = asked @ rows.vectors[start : start + ROWS_OF_PRODUCT].astype(np.float32, copy=False).T
    rows.arrays.get(product[:1, :1])  # waits for a GPU


def approximate(
    vectors: Vectors, queries: np.ndarray, exact: np.ndarray, dtype: str, connectivity: int, add: int, expansion: int
) -> None:
    (build, _), index = seconds(
        lambda: Index.build(
            vectors, dtype=dtype, connectivity=connectivity, expansion_add=add, expansion_search=expansion
        )
    )
    (wall, _), (ids, _) = seconds(lambda: index.search(queries, exact.shape[1]))
    recall = np.mean([len(set(a) & set(b)) / len(a) for a, b in zip(ids.tolist(), exact.tolist(), strict=True)])
    print(
        f"{dtype:8} connectivity {connectivity:2}, expansion {add:3} and {expansion:3}: recall {100 * recall:5.1f} %  "
        f"{len(queries) / wall:8.0f} queries/s  built in {build:6.1f} s  {index.index.memory_usage / 2**20:6.0f} MB"
    )


def seconds(call: Callable[[], Any]) -> tuple[tuple[float, float], Any]:
    """Wall and CPU seconds of a call, and what it returned."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return (time.perf_counter() - wall, time.process_time() - cpu), result


if __name__ == "__main__":
    main()

"""Micro-kernels on rows that lie scattered in a matrix, for one vector at a time: `simd.py` says how they are called.

`rows` are int32 numbers of rows of `width` floats, and `start` is where in the matrix row 0 starts.
"""

from __future__ import annotations

from typing import Any

from numba import types

from w2v_spark.kernels.emitter import INT64, Emitter, literal, micro_kernel
from w2v_spark.kernels.sizes import LANES


@micro_kernel
def dots_with_rows(
    typing: Any,
    scores: Any,
    _s: Any,
    x: Any,
    _x: Any,
    matrix: Any,
    start: Any,
    rows: Any,
    _rows: Any,
    width: Any,
    count: Any,
) -> Any:
    """Dot products: scores[j] = x . row rows[j] for j < count <= 16, all rows whole; `count` is a literal.

    Lanes from `count` on become 0.
    """
    count_ = literal(count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        scores, x, matrix, rows = (emit.start(which) for which in (0, 2, 4, 6))
        pairs = [(x, emit.row(matrix, rows, j, emit.integer(8)), 0) for j in range(count_)]
        emit.store(emit.dot_products(pairs, emit.vectors(8)), scores)
        return context.get_dummy_value()

    return types.void(scores, _s, x, _x, matrix, start, rows, _rows, width, count), generate


@micro_kernel
def dots_of_pairs(
    typing: Any, scores: Any, _s: Any, x: Any, _x: Any, matrix: Any, start: Any, rows: Any, _rows: Any, width: Any
) -> Any:
    """Dot products: scores[j] = x[j * width :] . row rows[j] for j < 16."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        (scores, x, matrix, rows), width = (emit.start(which) for which in (0, 2, 4, 6)), emit.integer(8)
        ones = [emit.at(x, builder.mul(INT64(j), width)) for j in range(LANES)]
        pairs = [(one, emit.row(matrix, rows, j, width), 0) for j, one in enumerate(ones)]
        emit.store(emit.dot_products(pairs, emit.vectors(8)), scores)
        return context.get_dummy_value()

    return types.void(scores, _s, x, _x, matrix, start, rows, _rows, width), generate


@micro_kernel
def exchange(
    typing: Any,
    y: Any,
    _y: Any,
    x: Any,
    _x: Any,
    weights: Any,
    _w: Any,
    matrix: Any,
    start: Any,
    rows: Any,
    _rows: Any,
    width: Any,
    count: Any,
) -> Any:
    """For each j < count: y += weights[j] * row rows[j], then that row += weights[j] * x.

    `width` is a literal; no row may occur twice.
    """
    width_ = literal(width)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        y, x, weights, matrix, rows = (emit.start(which) for which in (0, 2, 4, 6, 8))
        width, count = emit.integer(10), emit.integer(11)

        def exchange_slab(column: Any, vectors: int) -> None:
            to, given_at, start = (emit.at(pointer, column) for pointer in (y, x, matrix))
            given = [emit.load(given_at, c * LANES) for c in range(vectors)]

            def step(j: Any, sums: list[Any]) -> list[Any]:
                weight, row = emit.broadcast(builder.load(emit.at(weights, j))), emit.row(start, rows, j, width)
                found = [emit.load(row, c * LANES) for c in range(vectors)]
                for c, (u, v) in enumerate(zip(found, given, strict=True)):
                    emit.store(emit.fma(weight, v, u), row, c * LANES)
                return [emit.fma(weight, u, s) for u, s in zip(found, sums, strict=True)]

            for c, s in enumerate(emit.loop(count, [emit.constant(0.0)] * vectors, step)):
                emit.store(builder.fadd(emit.load(to, c * LANES), s), to, c * LANES)

        emit.slabs(width_, exchange_slab)
        return context.get_dummy_value()

    return types.void(y, _y, x, _x, weights, _w, matrix, start, rows, _rows, width, count), generate

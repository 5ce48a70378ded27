"""Micro-kernels on rows that lie scattered in a matrix, for one vector at a time: `simd.py` says how they are called.

`rows` are int32 numbers of rows of `width` floats, and `start` is where in the matrix row 0 starts.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from w2v_spark.kernels.emitter import FLOAT, HALF, INT64, Emitter, lanes, literal, micro_kernel
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
        width, vectors = emit.integer(8), emit.vectors(8)
        found = [emit.row(matrix, rows, j, width) for j in range(count_)]

        def dots(first: int, last: int, lane: int, kind: Any) -> list[Any]:
            """The products of some rows and some lanes of each vector, summed over vectors."""

            def step(c: Any, sums: list[Any]) -> list[Any]:
                column = builder.add(builder.mul(c, INT64(LANES)), INT64(lane))
                part = emit.load(x, column, kind)
                return [emit.fma(part, emit.load(found[first + j], column, kind), s) for j, s in enumerate(sums)]

            zero = ir.Constant(kind, [ir.Constant(FLOAT, 0.0)] * kind.count)
            return emit.loop(vectors, [zero] * (last - first), step)

        zero = emit.constant(0.0)
        if emit.has_wide_registers():
            sums = dots(0, count_, 0, zero.type)
        else:
            sums = []
            for first in range(0, count_, 8):
                low, high = (dots(first, min(first + 8, count_), lane, HALF) for lane in (0, LANES // 2))
                sums += [
                    builder.shuffle_vector(a, b, lanes(list(range(LANES)))) for a, b in zip(low, high, strict=True)
                ]
        emit.store(emit.lane_sums(sums + [zero] * (LANES - count_)), scores)
        return context.get_dummy_value()

    return types.void(scores, _s, x, _x, matrix, start, rows, _rows, width, count), generate


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

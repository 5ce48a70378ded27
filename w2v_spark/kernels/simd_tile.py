"""Micro-kernels on many rows at once, which keep in registers what the rows have in common: `simd.py` says how they are
called.

One dot product at a time reads a row for each and then adds up lanes; with 32 vectors side by side in the lanes
(`turn`) no lanes are added up, and each number that is read serves several products. For the few registers of AVX2 the
same sums are formed in parts.
"""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

from numba import types

from w2v_spark.kernels.emitter import INT64, Emitter, lanes, literal, micro_kernel
from w2v_spark.kernels.sizes import LANES, TILE_ROWS

ROWS_AT_ONCE = 8  # rows that `multiply` takes
TOGETHER = 4  # rows that `add_combinations` changes


@micro_kernel
def turn(typing: Any, y: Any, _y: Any, y_pitch: Any, x: Any, _x: Any, x_pitch: Any) -> Any:
    """Transpose 16 rows of 16 floats, or of as many bits: y[k * y_pitch + i] = x[i * x_pitch + k]."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        y, x = emit.start(0), emit.start(3)
        to, apart = emit.integer(2), emit.integer(5)
        vectors, half = [emit.load(x, builder.mul(INT64(i), apart)) for i in range(LANES)], LANES // 2
        while half:
            # swap the upper half of each block's first rows with the lower half of its last
            low = lanes([i if not i & half else i + LANES - half for i in range(LANES)])
            high = lanes([i + half if not i & half else i + LANES for i in range(LANES)])
            for i in (i for i in range(LANES) if not i & half):
                a, b = vectors[i], vectors[i + half]
                vectors[i], vectors[i + half] = builder.shuffle_vector(a, b, low), builder.shuffle_vector(a, b, high)
            half //= 2
        for k, vector in enumerate(vectors):
            emit.store(vector, y, builder.mul(INT64(k), to))
        return context.get_dummy_value()

    return types.void(y, _y, y_pitch, x, _x, x_pitch), generate


@micro_kernel
def multiply(typing: Any, y: Any, _y: Any, rows: Any, _rows: Any, pitch: Any, turned: Any, _t: Any, floats: Any) -> Any:
    """Dot products: y[j * TILE_ROWS + i] += sum over k < floats of rows[j * pitch + k] * turned[k * TILE_ROWS + i], for
    j < ROWS_AT_ONCE and i < TILE_ROWS; `pitch` is a literal.
    """
    pitch_ = literal(pitch)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        y, rows, turned, floats = emit.start(0), emit.start(2), emit.start(5), emit.integer(7)
        kind = emit.register()

        def products(js: range, columns: range) -> None:
            def step(k: Any, sums: list[Any]) -> list[Any]:
                side_by_side, row = emit.at(turned, builder.mul(k, INT64(TILE_ROWS))), emit.at(rows, k)
                numbers = [builder.load(emit.at(row, j * pitch_)) for j in js]
                parts = [emit.load(side_by_side, i, kind) for i in columns]
                factors = product((emit.broadcast(number, kind.count) for number in numbers), parts)
                return [emit.fma(x, part, s) for (x, part), s in zip(factors, sums, strict=True)]

            places = [j * TILE_ROWS + i for j, i in product(js, columns)]
            sums = emit.loop(floats, [emit.constant(0.0, kind)] * len(places), step)
            for at, total in zip(places, sums, strict=True):
                emit.store(builder.fadd(emit.load(y, at, kind), total), y, at)

        at_once = ROWS_AT_ONCE if emit.has_wide_registers() else ROWS_AT_ONCE // 2
        for first, left in product(range(0, ROWS_AT_ONCE, at_once), range(0, TILE_ROWS, 2 * kind.count)):
            products(range(first, first + at_once), range(left, left + 2 * kind.count, kind.count))
        return context.get_dummy_value()

    return types.void(y, _y, rows, _rows, pitch, turned, _t, floats), generate


class ListedRows(NamedTuple):
    """Rows ids[first], ids[first + 1] and so on of a matrix, each of `width` floats, from a column on."""

    matrix: Any
    column: Any
    ids: Any
    first: Any
    width: Any


@micro_kernel
def add_combinations(
    typing: Any,
    sums: Any,
    weights: Any,
    _w: Any,
    across: Any,
    step: Any,
    rows: Any,
    _rows: Any,
    pitch: Any,
    count: Any,
    columns: Any,
    soon: Any,
    asked: Any,
) -> Any:
    """Weighted sums of the same rows: for each k < TOGETHER, row k of `sums` += the sum over j < count of
    weights[k * across + j * step] * rows[j * pitch], for the `columns` floats of one slab.

    A row is read and written at the end only, as `add_combination` does. Memory is slow and this is not: meanwhile the
    same columns of the first `asked` rows of `soon` are asked for, some lines at a time. `columns` and `asked` are
    literals.
    """
    columns_, asked_ = literal(columns), literal(asked)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        weights, rows = emit.start(1), emit.start(5)
        across, step, pitch, count = (emit.integer(which) for which in (3, 4, 7, 8))
        to, soon = emit.part(0), emit.part(10)
        matrix, ids, width = to.start(0), to.start(2), to.integer(4)
        soon_matrix, soon_ids, soon_width = soon.start(0), soon.start(2), soon.integer(4)
        heads = [emit.at(weights, builder.mul(INT64(k), across)) for k in range(TOGETHER)]
        kind = emit.register()

        def combine(block: range, ask: list[tuple[int, int]]) -> None:
            for k, c in ask:
                emit.prefetch(emit.at(emit.row(soon_matrix, soon_ids, k, soon_width), c))

            def add(j: Any, before: list[Any]) -> list[Any]:
                row, at = emit.at(rows, builder.mul(j, pitch)), builder.mul(j, step)
                parts = [emit.broadcast(builder.load(emit.at(head, at)), kind.count) for head in heads]
                values = [emit.load(row, c, kind) for c in block]
                return [emit.fma(part, x, s) for (part, x), s in zip(product(parts, values), before, strict=True)]

            found = iter(emit.loop(count, [emit.constant(0.0, kind)] * (TOGETHER * len(block)), add))
            for k in range(TOGETHER):
                y = emit.row(matrix, ids, k, width)
                for c in block:
                    emit.store(builder.fadd(emit.load(y, c, kind), next(found)), y, c)

        # measured on AVX2: blocks of three fill its registers better and wait more for memory, CBOW is slower by 4 %
        registers, most = -(-columns_ // kind.count), 4 if emit.has_wide_registers() else 2
        blocks, lines = -(-registers // most), list(product(range(asked_), range(0, columns_, LANES)))
        for n in range(blocks):
            first, last = (-(-registers * of // blocks) * kind.count for of in (n, n + 1))
            combine(range(first, last, kind.count), lines[n::blocks])
        return context.get_dummy_value()

    return types.void(sums, weights, _w, across, step, rows, _rows, pitch, count, columns, soon, asked), generate

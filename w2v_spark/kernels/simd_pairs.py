"""Micro-kernels for processors that multiply pairs of bf16 by AVX512_BF16: `simd_bf16.py` says in what forms they take
their operands.

They are the twins of those in `simd_tile.py`, with a dword where these have a float: a product of dwords adds up two
products of numbers.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from llvmlite import ir
from numba import types

from w2v_spark.kernels.emitter import HALF, INT64, VECTOR, Emitter, literal, micro_kernel
from w2v_spark.kernels.sizes import LANES, TILE_ROWS


def _as_pairs(emit: Emitter, dwords: Any) -> Any:
    """The dwords of a vector as what the processor multiplies; llvmlite has no type for bf16, LLVM takes these."""
    return emit.builder.bitcast(dwords, ir.VectorType(ir.IntType(16), 2 * dwords.type.count))


def _add_products(emit: Emitter, numbers: list[Any], parts: list[Any], sums: list[Any]) -> list[Any]:
    """The sums, one for each dword from `numbers` with each vector of `parts`, and their products."""
    after = []
    for (number, part), before in zip(product(numbers, parts), sums, strict=True):
        kind = part.type
        shorts = ir.VectorType(ir.IntType(16), 2 * kind.count)
        add = emit.function(f"llvm.x86.avx512bf16.dpbf16ps.{32 * kind.count}", kind, [kind, shorts, shorts])
        some = _as_pairs(emit, emit.broadcast(number, kind.count))
        after.append(emit.builder.call(add, [before, some, _as_pairs(emit, part)]))
    return after


@micro_kernel
def multiply_pairs(
    typing: Any, y: Any, _y: Any, rows: Any, _r: Any, pitch: Any, turned: Any, _t: Any, dwords: Any, columns: Any
) -> Any:
    """Dot products: y[j * TILE_ROWS + i] = sum over k < dwords of rows[j * pitch + k] * turned[k * TILE_ROWS + i], for
    j < 16 and i < columns; `columns` is a literal, 16 or 32.
    """
    columns_ = literal(columns)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        y, rows, turned = emit.start(0), emit.start(2), emit.start(5)
        pitch, dwords = emit.integer(4), emit.integer(7)
        at_once = LANES * LANES // columns_
        for first in range(0, LANES, at_once):
            heads = [emit.at(rows, builder.mul(INT64(j), pitch)) for j in range(first, first + at_once)]

            def step(k: Any, sums: list[Any], heads: list[Any] = heads) -> list[Any]:
                side_by_side = emit.at(turned, builder.mul(k, INT64(TILE_ROWS)))
                numbers = [builder.load(emit.at(head, k)) for head in heads]
                return _add_products(
                    emit, numbers, [emit.load(side_by_side, i) for i in range(0, columns_, LANES)], sums
                )

            sums = emit.loop(dwords, [emit.constant(0.0)] * LANES, step)
            for (j, i), total in zip(product(range(at_once), range(0, columns_, LANES)), sums, strict=True):
                emit.store(total, y, (first + j) * TILE_ROWS + i)
        return context.get_dummy_value()

    return types.void(y, _y, rows, _r, pitch, turned, _t, dwords, columns), generate


@micro_kernel
def add_pair_combinations(
    typing: Any,
    sums: Any,
    weights: Any,
    _w: Any,
    across: Any,
    rows: Any,
    _rows: Any,
    pitch: Any,
    dwords: Any,
    columns: Any,
    together: Any,
) -> Any:
    """Weighted sums of the same rows: for each k < together, row k of `sums` += the sum over j < dwords of
    weights[k * across + j] * rows[j * pitch], for `columns` floats; `columns` and `together` are literals.
    """
    columns_, together_ = literal(columns), literal(together)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        weights, rows, to = emit.start(1), emit.start(4), emit.part(0)
        across, pitch, dwords = (emit.integer(which) for which in (3, 6, 7))
        matrix, ids, width = to.start(0), to.start(2), to.integer(4)
        heads = [emit.at(weights, builder.mul(INT64(k), across)) for k in range(together_)]

        def combine(block: list[tuple[int, Any]]) -> None:
            def add(j: Any, before: list[Any]) -> list[Any]:
                row = emit.at(rows, builder.mul(j, pitch))
                numbers = [builder.load(emit.at(head, j)) for head in heads]
                return _add_products(emit, numbers, [emit.load(row, c, kind) for c, kind in block], before)

            none = [emit.constant(0.0, kind) for _, kind in block]
            found = iter(emit.loop(dwords, none * together_, add))
            for k in range(together_):
                y = emit.row(matrix, ids, k, width)
                for c, kind in block:
                    emit.store(builder.fadd(emit.load(y, c, kind), next(found)), y, c)

        # half a register takes half the time
        parts = [(c, HALF if columns_ - c <= HALF.count else VECTOR) for c in range(0, columns_, LANES)]
        blocks = -(-len(parts) // 4)
        for n in range(blocks):
            first, last = (-(-len(parts) * of // blocks) for of in (n, n + 1))
            combine(parts[first:last])
        return context.get_dummy_value()

    return types.void(sums, weights, _w, across, rows, _rows, pitch, dwords, columns, together), generate

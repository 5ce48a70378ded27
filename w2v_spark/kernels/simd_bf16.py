"""Micro-kernels for processors that multiply bf16 (`processor.py`), shared by the ways to do so: `simd.py` says how
they are called.

A bf16 number is a float32 without its last 16 bits; products are summed in float32. Operands come in dwords of two
numbers each. A left operand is in rows: dword k of a row holds its numbers 2 k and 2 k + 1, and a row is filled up with
zeros to whole blocks of 32 numbers. A right operand is in pairs: row k of dwords holds, column by column, the numbers
of rows 2 k and 2 k + 1. Arrays of dwords are arrays of float32 that only these functions read.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from w2v_spark.kernels.emitter import INT32, INT64, VECTOR, Emitter, literal, micro_kernel
from w2v_spark.kernels.sizes import LANES, TILE_ROWS

_LOG2_E = 1.44269504088896341
# 2**f for |f| <= 1 / 2, highest power first, with the smallest relative error that a polynomial of its degree can have
_POWER = (0.0550939305, 0.242604505, 0.693275272, 0.999928884)
_AS_SET = 4  # rounding as the processor is set to

BLOCK = 2 * LANES  # numbers that a vector of dwords holds

_MASK, _SHORTS = ir.IntType(LANES), ir.VectorType(ir.IntType(16), BLOCK)


@micro_kernel
def pack(typing: Any, rows: Any, _r: Any, pairs: Any, _p: Any, x: Any, _x: Any, y: Any, _y: Any, width: Any) -> Any:
    """Round the floats of x and y, `width` of each, to bf16: as two rows, and as one row of pairs; `width` is a
    literal, whole vectors.
    """
    width_ = literal(width)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        rows, pairs, x, y = emit.start(0), emit.start(2), emit.start(4), emit.start(6)
        # llvmlite has no type for bf16; LLVM takes this declaration, of before it had one, as that of now
        narrow = emit.function("llvm.x86.avx512bf16.cvtne2ps2bf16.512", _SHORTS, [VECTOR, VECTOR])

        def block(row: Any, column: int) -> Any:
            rest = emit.load(row, column + LANES) if column + LANES < width_ else emit.constant(0.0)
            return builder.call(narrow, [rest, emit.load(row, column)])

        def put(value: Any, pointer: Any, index: int) -> None:
            emit.store(builder.bitcast(value, VECTOR), pointer, index)

        pitch = -(-width_ // BLOCK) * LANES
        for column in range(0, width_, BLOCK):
            a, b = block(x, column), block(y, column)
            put(a, rows, column // 2)
            put(b, rows, pitch + column // 2)
            for half in range(0, min(BLOCK, width_ - column), LANES):
                order = [INT32(half + i // 2 + BLOCK * (i % 2)) for i in range(BLOCK)]
                mask = ir.Constant(ir.VectorType(INT32, BLOCK), order)
                put(builder.shuffle_vector(a, b, mask), pairs, column + half)
        return context.get_dummy_value()

    return types.void(rows, _r, pairs, _p, x, _x, y, _y, width), generate


@micro_kernel
def mark(typing: Any, weights: Any, _w: Any, totals: Any, _t: Any, bits: Any) -> Any:
    """A row of a tile from the low 32 bits of an int64: weights = 1.0 where the bit is set, else 0.0, which are added
    to the totals.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        weights, totals, bits = emit.start(0), emit.start(2), emit.integer(4)
        for k in range(0, TILE_ROWS, LANES):
            some = builder.trunc(builder.lshr(bits, INT64(k)), _MASK)
            found = builder.uitofp(builder.bitcast(some, ir.VectorType(ir.IntType(1), LANES)), VECTOR)
            emit.store(found, weights, k)
            emit.store(builder.fadd(emit.load(totals, k), found), totals, k)
        return context.get_dummy_value()

    return types.void(weights, _w, totals, _t, bits), generate


def _power_of_2(emit: Emitter, v: Any) -> Any:
    """The code for 2**v to 13 bits; what is too large or too small becomes infinite or 0."""
    builder = emit.builder
    whole = builder.call(emit.function(f"llvm.rint.v{LANES}f32", VECTOR, [VECTOR]), [v])
    part = emit.polynomial(_POWER, builder.fsub(v, whole))
    scale = emit.function("llvm.x86.avx512.mask.scalef.ps.512", VECTOR, [VECTOR, VECTOR, VECTOR, _MASK, INT32])
    return builder.call(scale, [part, whole, part, ir.Constant(_MASK, -1), INT32(_AS_SET)])


@micro_kernel
def logistic_steps(typing: Any, scores: Any, _s: Any, weights: Any, _w: Any, label: Any, rate: Any) -> Any:
    """`simd.logistic_gradient` for a row of a tile, to 13 bits, which is more than bf16 has, without its division."""
    label_ = literal(label)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        scores, weights, one = emit.start(0), emit.start(2), emit.constant(1.0)
        # 1 - logistic(x) = 1 / (1 + exp(x)), and -logistic(x) = -1 / (1 + exp(-x))
        sign = 1.0 if label_ else -1.0
        rate = builder.fmul(emit.broadcast(emit.single(5)), emit.constant(sign))
        inverse = emit.function("llvm.x86.avx512.rcp14.ps.512", VECTOR, [VECTOR, VECTOR, _MASK])
        for k in range(0, TILE_ROWS, LANES):
            more = builder.fadd(
                one, _power_of_2(emit, builder.fmul(emit.constant(sign * _LOG2_E), emit.load(scores, k)))
            )
            error = builder.call(inverse, [more, one, ir.Constant(_MASK, -1)])
            emit.store(builder.fmul(builder.fmul(emit.load(weights, k), rate), error), scores, k)
        return context.get_dummy_value()

    return types.void(scores, _s, weights, _w, label, rate), generate


@micro_kernel
def prefetch_row(typing: Any, matrix: Any, ids: Any, _i: Any, width: Any) -> Any:
    """Ask for row ids[_i], of `width` floats, of a flat matrix: it is to be written soon; `width` is a literal."""
    width_ = literal(width)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        row = emit.row(emit.data(0), emit.start(1), 0, INT64(width_))
        for c in range(0, width_, LANES):
            emit.prefetch(emit.at(row, c))
        return context.get_dummy_value()

    return types.void(matrix, ids, _i, width), generate

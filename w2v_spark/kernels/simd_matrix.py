"""Micro-kernels for processors that multiply matrices of bf16 (`matrix_unit.py`): `simd.py` says how they are called.

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
from w2v_spark.kernels.simd_exp import exponential
from w2v_spark.kernels.sizes import LANES, TILE_ROWS

BLOCK = 2 * LANES  # numbers of a row that a product takes at a time

_INT8, _NOTHING, _MASK = ir.IntType(8), ir.VoidType(), ir.IntType(LANES)
_BYTES, _SHORTS = _INT8.as_pointer(), ir.VectorType(ir.IntType(16), BLOCK)
# the unit's eight registers, each 16 rows of 64 bytes: sums in the first four, then a tile of the left operand, and
# tiles of the right one
_SUMS, _LEFT, _RIGHT = 4, 4, (5, 6, 7)


@micro_kernel
def configure(typing: Any, config: Any, _c: Any) -> Any:
    """Tell the unit the shapes of its registers, 64 bytes: `cpu_tile_matrix.make_config`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        function = emit.function("llvm.x86.ldtilecfg", _NOTHING, [_BYTES])
        builder.call(function, [builder.bitcast(emit.start(0), _BYTES)])
        return context.get_dummy_value()

    return types.void(config, _c), generate


@micro_kernel
def release(typing: Any) -> Any:
    """Tell the unit that its registers are no longer used, so that nobody has to save them."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        builder.call(emit.function("llvm.x86.tilerelease", _NOTHING, []), [])
        return context.get_dummy_value()

    return types.void(), generate


@micro_kernel
def product(
    typing: Any, y: Any, _y: Any, left: Any, _l: Any, right: Any, _r: Any, blocks: Any, rows: Any, columns: Any
) -> Any:
    """The matrix product y = left right: y of `rows` x `columns` floats, left in rows of 32 * `blocks` numbers, right
    in pairs; rows and columns are multiples of 16, `columns` is a literal.
    """
    tiles = literal(columns) // LANES

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        y, left, right = emit.start(0), emit.start(2), emit.start(4)
        blocks, rows, columns = emit.integer(6), emit.integer(7), INT64(tiles * LANES)
        pitch = builder.mul(blocks, INT64(LANES))
        zero = emit.function("llvm.x86.tilezero", _NOTHING, [_INT8])
        load = emit.function("llvm.x86.tileloadd64", _NOTHING, [_INT8, _BYTES, INT64])
        store = emit.function("llvm.x86.tilestored64", _NOTHING, [_INT8, _BYTES, INT64])
        multiply = emit.function("llvm.x86.tdpbf16ps", _NOTHING, [_INT8] * 3)

        def move(function: Any, register: int, pointer: Any, floats: Any) -> None:
            address, apart = builder.bitcast(pointer, _BYTES), builder.mul(floats, INT64(4))
            builder.call(function, [_INT8(register), address, apart])

        def part(row: Any, column: Any, count: int) -> None:
            """`count` tiles beside each other."""
            for t in range(count):
                builder.call(zero, [_INT8(t)])

            def step(k: Any, _: list[Any]) -> list[Any]:
                first = builder.mul(k, INT64(LANES))
                move(load, _LEFT, emit.at(left, builder.add(builder.mul(row, pitch), first)), pitch)
                start = emit.at(right, builder.add(builder.mul(first, columns), column))
                for t in range(count):
                    register = _RIGHT[t % len(_RIGHT)]
                    move(load, register, emit.at(start, t * LANES), columns)
                    builder.call(multiply, [_INT8(t), _INT8(_LEFT), _INT8(register)])
                return []

            emit.loop(blocks, [], step)
            to = emit.at(y, builder.add(builder.mul(row, columns), column))
            for t in range(count):
                move(store, t, emit.at(to, t * LANES), columns)

        def row_of_tiles(i: Any, _: list[Any]) -> list[Any]:
            row, (whole, rest) = builder.mul(i, INT64(LANES)), divmod(tiles, _SUMS)

            def several(c: Any, _: list[Any]) -> list[Any]:
                part(row, builder.mul(c, INT64(_SUMS * LANES)), _SUMS)
                return []

            emit.loop(INT64(whole), [], several)
            if rest:
                part(row, INT64(whole * _SUMS * LANES), rest)
            return []

        emit.loop(builder.sdiv(rows, INT64(LANES)), [], row_of_tiles)
        return context.get_dummy_value()

    return types.void(y, _y, left, _l, right, _r, blocks, rows, columns), generate


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


@micro_kernel
def logistic_steps(typing: Any, scores: Any, _s: Any, weights: Any, _w: Any, label: Any, rate: Any) -> Any:
    """`simd.logistic_gradient` for a row of a tile, to 14 bits, which is more than bf16 has, without its division."""
    label_ = literal(label)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        scores, weights, one = emit.start(0), emit.start(2), emit.constant(1.0)
        # 1 - logistic(x) = 1 / (1 + exp(x)), and -logistic(x) = -1 / (1 + exp(-x))
        sign = emit.constant(1.0 if label_ else -1.0)
        rate = builder.fmul(emit.broadcast(emit.single(5)), sign)
        inverse = emit.function("llvm.x86.avx512.rcp14.ps.512", VECTOR, [VECTOR, VECTOR, _MASK])
        for k in range(0, TILE_ROWS, LANES):
            more = builder.fadd(one, exponential(emit, builder.fmul(sign, emit.load(scores, k))))
            error = builder.call(inverse, [more, one, ir.Constant(_MASK, -1)])
            emit.store(builder.fmul(builder.fmul(emit.load(weights, k), rate), error), scores, k)
        return context.get_dummy_value()

    return types.void(scores, _s, weights, _w, label, rate), generate


@micro_kernel
def add(typing: Any, y: Any, _y: Any, x: Any, _x: Any, width: Any) -> Any:
    """Sum: y += x, `width` floats, a literal."""
    width_ = literal(width)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        y, x = emit.start(0), emit.start(2)
        for c in range(0, width_, LANES):
            emit.store(builder.fadd(emit.load(y, c), emit.load(x, c)), y, c)
        return context.get_dummy_value()

    return types.void(y, _y, x, _x, width), generate


@micro_kernel
def prefetch_row(typing: Any, matrix: Any, ids: Any, _i: Any, width: Any) -> Any:
    """Ask for row ids[_i], of `width` floats, of a flat matrix: it is to be written soon; `width` is a literal."""
    width_ = literal(width)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        whole = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        row = emit.row(whole, emit.start(1), 0, INT64(width_))
        for c in range(0, width_, LANES):
            emit.prefetch(emit.at(row, c))
        return context.get_dummy_value()

    return types.void(matrix, ids, _i, width), generate

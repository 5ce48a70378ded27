"""Micro-kernels for Intel's matrix unit, AMX: `simd_bf16.py` says in what forms it takes its operands."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from w2v_spark.kernels.emitter import INT64, Emitter, literal, micro_kernel
from w2v_spark.kernels.sizes import LANES

_INT8, _NOTHING = ir.IntType(8), ir.VoidType()
_BYTES = _INT8.as_pointer()
# the unit's eight registers, each 16 rows of 64 bytes: sums in the first four, then a tile of the left operand, and
# tiles of the right one
_SUMS, _LEFT, _RIGHT = 4, 4, (5, 6, 7)


@micro_kernel
def configure(typing: Any, config: Any, _c: Any) -> Any:
    """Tell the unit the shapes of its registers, 64 bytes: `cpu_amx.make_config`."""

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

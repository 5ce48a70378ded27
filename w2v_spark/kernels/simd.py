"""Micro-kernels as Numba intrinsics that emit LLVM vector code, 16 floats at a time: one AVX-512 register, two of AVX2.

Written as Numba loops the same tile ran at about half the speed. An intrinsic takes one-dimensional arrays, each
followed by the index at which it starts (int64, in elements); nothing checks the bounds. Sizes that shape the code must
be literals where it is called: as closures over sizes, intrinsics would get a new name in each process and Numba's
cache on disk would never hit. Operations carry no fast flags and sums have a fixed order, so that AVX2 and AVX-512 give
the same bytes.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from w2v_spark.kernels.emitter import (
    INT32,
    INT64,
    INTEGERS,
    VECTOR,
    Emitter,
    literal,
    micro_kernel,
)
from w2v_spark.kernels.sizes import LANES

_SCORE_LIMIT = 15.0  # beyond it the logistic is 0 or 1 to 3e-7

# tanh(z) = z P(z^2) / Q(z^2), highest power first. The coefficients are those of Eigen, generic_fast_tanh_float in
# Eigen/src/Core/MathFunctionsImpl.h: a 13/6-degree rational interpolant, accurate to a couple of ulp in [-9, 9].
_TANH_P = (
    -2.76076847742355e-16,
    2.00018790482477e-13,
    -8.60467152213735e-11,
    5.12229709037114e-08,
    1.48572235717979e-05,
    6.37261928875436e-04,
    4.89352455891786e-03,
)
_TANH_Q = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)


@micro_kernel
def add_dots(
    typing: Any, scores: Any, _at: Any, x: Any, _x: Any, rows: Any, _rows: Any, pitch: Any, count: Any, width: Any
) -> Any:
    """Dot products: scores[j] += x . rows[j * pitch] for j < count <= 16, each of `width` floats.

    `pitch` and `count` are literals.
    """
    pitch_, count_ = literal(pitch), literal(count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        scores, x, rows = emit.start(0), emit.start(2), emit.start(4)
        total = emit.dot_products([(x, rows, j * pitch_) for j in range(count_)], emit.vectors(8))
        emit.store(builder.fadd(emit.load(scores), total), scores)
        return context.get_dummy_value()

    return types.void(scores, _at, x, _x, rows, _rows, pitch, count, width), generate


@micro_kernel
def add_combination(
    typing: Any,
    y: Any,
    _y: Any,
    weights: Any,
    _w: Any,
    step: Any,
    rows: Any,
    _rows: Any,
    pitch: Any,
    count: Any,
    width: Any,
) -> Any:
    """Weighted sum: y += sum of weights[j * step] * rows[j * pitch] over j < count, each of `width` floats, a literal.

    y is read and written at the end only: with other threads at work on the same row, little time passes in between.
    """
    width_ = literal(width)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        y, weights, rows = emit.start(0), emit.start(2), emit.start(5)
        step, pitch, count = emit.integer(4), emit.integer(7), emit.integer(8)

        def add_slab(column: Any, vectors: int) -> None:
            to, start = emit.at(y, column), emit.at(rows, column)

            def add(j: Any, sums: list[Any]) -> list[Any]:
                weight = emit.broadcast(builder.load(emit.at(weights, builder.mul(j, step))))
                row = emit.at(start, builder.mul(j, pitch))
                return [emit.fma(weight, emit.load(row, c * LANES), s) for c, s in enumerate(sums)]

            for c, s in enumerate(emit.loop(count, [emit.constant(0.0)] * vectors, add)):
                emit.store(builder.fadd(emit.load(to, c * LANES), s), to, c * LANES)

        emit.slabs(width_, add_slab)
        return context.get_dummy_value()

    return types.void(y, _y, weights, _w, step, rows, _rows, pitch, count, width), generate


@micro_kernel
def copy(typing: Any, y: Any, _y: Any, x: Any, _x: Any, width: Any) -> Any:
    """Copy y = x, `width` floats, a literal."""
    width_ = literal(width)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        y, x = emit.start(0), emit.start(2)

        def copy_slab(column: Any, vectors: int) -> None:
            to, start = emit.at(y, column), emit.at(x, column)
            for c, value in enumerate([emit.load(start, c * LANES) for c in range(vectors)]):
                emit.store(value, to, c * LANES)

        emit.slabs(width_, copy_slab)
        return context.get_dummy_value()

    return types.void(y, _y, x, _x, width), generate


@micro_kernel
def logistic_gradient(typing: Any, scores: Any, _s: Any, pairs: Any, _p: Any, label: Any, rate: Any) -> Any:
    """Steps by the loss: scores = rate * pairs * (label - logistic(scores)), 16 floats; `label` is a literal 0 or 1."""
    label_ = literal(label)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        scores, pairs, rate = emit.start(0), emit.start(2), emit.broadcast(emit.single(5))
        half = emit.constant(0.5)
        z = builder.fmul(emit.clamp(emit.load(scores), _SCORE_LIMIT), half)
        square = builder.fmul(z, z)
        tanh = builder.fdiv(builder.fmul(emit.polynomial(_TANH_P, square), z), emit.polynomial(_TANH_Q, square))
        error = builder.fsub(emit.constant(float(label_)), emit.fma(tanh, half, half))
        emit.store(builder.fmul(builder.fmul(emit.load(pairs), rate), error), scores)
        return context.get_dummy_value()

    return types.void(scores, _s, pairs, _p, label, rate), generate


@micro_kernel
def mark_pairs(
    typing: Any, pairs: Any, _p: Any, a: Any, _a: Any, b: Any, _b: Any, c: Any, _c: Any, d: Any, _d: Any
) -> Any:
    """Which of 16 are pairs: 1.0 where the int32 a <= b or c <= d, else 0.0; returns how many they are, int64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        a, b, c, d = (emit.load(emit.start(which), 0, INTEGERS) for which in (2, 4, 6, 8))
        marked = builder.or_(builder.icmp_signed("<=", a, b), builder.icmp_signed("<=", c, d))
        emit.store(builder.uitofp(marked, VECTOR), emit.start(0))
        return builder.ctpop(emit.bits(marked))

    return types.int64(pairs, _p, a, _a, b, _b, c, _c, d, _d), generate


@micro_kernel
def find(typing: Any, ids: Any, _i: Any, word: Any, count: Any) -> Any:
    """Which of `count` int32 equal the word: bit k of a uint64 for number k; `count` is a literal, 16, 32, 48 or 64."""
    count_ = literal(count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        ids, word = emit.start(0), emit.broadcast(builder.trunc(emit.integer(2), INT32))
        found = INT64(0)
        for k in range(0, count_, LANES):
            same = builder.icmp_signed("==", emit.load(ids, k, INTEGERS), word)
            found = builder.or_(found, builder.shl(emit.bits(same), INT64(k)))
        return found

    return types.uint64(ids, _i, word, count), generate


@micro_kernel
def count_bits(typing: Any, bits: Any) -> Any:
    """How many bits of a uint64 are set, int64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@micro_kernel
def lowest_bit(typing: Any, bits: Any) -> Any:
    """The number of the lowest bit set in a uint64 that is not 0, int64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


@micro_kernel
def prefetch(typing: Any, x: Any, _x: Any) -> Any:
    """Ask for the cache line of x that is to be written soon."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        emit.prefetch(emit.start(0))
        return context.get_dummy_value()

    return types.void(x, _x), generate

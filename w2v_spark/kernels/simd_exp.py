"""The exponential function, for softmax and losses: see `simd.py` for how micro-kernels are called."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from w2v_spark.kernels.emitter import INT32, INT64, INTEGERS, VECTOR, Emitter, literal, micro_kernel
from w2v_spark.kernels.sizes import LANES

_LOWEST = 87.0  # exp(-87) is about the smallest normal float32

# exp(r) for |r| <= log(2) / 2, and log(2) in two parts: Cephes, expf.c, accurate to 2e-7
_EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
_LOG2_E, _LOG2_HIGH, _LOG2_LOW = 1.44269504088896341, 0.693359375, -2.12194440e-4
_ATANH = (1 / 11, 1 / 9, 1 / 7, 1 / 5, 1 / 3)  # atanh(s) = s + s**3 / 3 + ...: to 1e-7 up to s = 1 / 3
_ROUND = 12582912.0  # 1.5 * 2**23: adding and taking it away again rounds to an integer


def exponential(emit: Emitter, v: Any) -> Any:
    """The code for exp(v), v within +-87 or made so."""
    # exp(v) = 2**n exp(r); a constant beside an integer n in the mantissa's low bits makes n an integer
    builder, v = emit.builder, emit.clamp(v, _LOWEST)
    shifted = emit.fma(v, emit.constant(_LOG2_E), emit.constant(_ROUND))
    n = builder.fsub(shifted, emit.constant(_ROUND))
    r = emit.fma(n, emit.constant(-_LOG2_HIGH), v)
    r = emit.fma(n, emit.constant(-_LOG2_LOW), r)
    value = emit.fma(emit.polynomial(_EXP, r), builder.fmul(r, r), builder.fadd(r, emit.constant(1.0)))
    power = builder.shl(builder.bitcast(shifted, INTEGERS), ir.Constant(INTEGERS, [23] * LANES))
    return builder.bitcast(builder.add(builder.bitcast(value, INTEGERS), power), VECTOR)


def _softplus(emit: Emitter, v: Any) -> Any:
    """The code for log(1 + exp(v)), which is -log of the logistic function of -v, without overflow."""
    builder, zero = emit.builder, emit.constant(0.0)
    negative = builder.fcmp_ordered("<", v, zero)
    t = exponential(emit, builder.select(negative, v, builder.fsub(zero, v)))
    # log(1 + t) = 2 atanh(t / (2 + t))
    s = builder.fdiv(t, builder.fadd(t, emit.constant(2.0)))
    square = builder.fmul(s, s)
    half = emit.fma(builder.fmul(emit.polynomial(_ATANH, square), square), s, s)
    return emit.fma(half, emit.constant(2.0), builder.select(negative, zero, v))


def _sum(emit: Emitter, v: Any) -> Any:
    """The code for the sum of a vector's lanes."""
    summed = emit.lane_sums([v] + [emit.constant(0.0)] * (LANES - 1))
    return emit.builder.extract_element(summed, INT32(0))


@micro_kernel
def weighted_loss(typing: Any, scores: Any, weights: Any, start: Any, stop: Any, label: Any) -> Any:
    """The sum of weights times -log of the probability that scores[start : stop], whole vectors, give to a label of 1
    or 0, a literal; float32. What weighs nothing may be no number.
    """
    sign = -1.0 if literal(label) else 1.0

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        first, zero = emit.integer(2), emit.constant(0.0)
        scores, weights = (emit.at(emit.data(which), first) for which in (0, 1))

        def step(i: Any, sums: list[Any]) -> list[Any]:
            at = builder.mul(i, INT64(LANES))
            weight = emit.load(weights, at)
            losses = _softplus(emit, builder.fmul(emit.load(scores, at), emit.constant(sign)))
            counts = builder.fcmp_ordered(">", weight, zero)
            return [builder.select(counts, emit.fma(weight, losses, sums[0]), sums[0])]

        vectors = builder.sdiv(builder.sub(emit.integer(3), first), INT64(LANES))
        return _sum(emit, emit.loop(vectors, [zero], step)[0])

    return types.float32(scores, weights, start, stop, label), generate


@micro_kernel
def exponentials(typing: Any, x: Any, _x: Any, vectors: Any, top: Any) -> Any:
    """X = exp(x - top) for 16 * `vectors` floats, none of them above `top`; returns their sum, float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, signature, arguments)
        x, vectors, top = emit.start(0), emit.integer(2), emit.broadcast(emit.single(3))

        def step(i: Any, sums: list[Any]) -> list[Any]:
            at = emit.at(x, builder.mul(i, INT64(LANES)))
            value = exponential(emit, builder.fsub(emit.load(at), top))
            emit.store(value, at)
            return [builder.fadd(sums[0], value)]

        total = emit.loop(vectors, [emit.constant(0.0)], step)[0]
        return _sum(emit, total)

    return types.float32(x, _x, vectors, top), generate

"""The exponential function, for softmax and the logistic function: see `simd.py` for how micro-kernels are called."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types

from w2v_spark.kernels.emitter import INT64, INTEGERS, VECTOR, Emitter, micro_kernel
from w2v_spark.kernels.sizes import LANES

_LOWEST = 87.0  # exp(-87) is about the smallest normal float32

# exp(r) for |r| <= log(2) / 2, and log(2) in two parts: Cephes, expf.c, accurate to 2e-7
_EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
_LOG2_E, _LOG2_HIGH, _LOG2_LOW = 1.44269504088896341, 0.693359375, -2.12194440e-4
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
        summed = emit.lane_sums([total] + [emit.constant(0.0)] * (LANES - 1))
        return builder.extract_element(summed, ir.Constant(ir.IntType(32), 0))

    return types.float32(x, _x, vectors, top), generate

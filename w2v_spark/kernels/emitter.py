"""What the micro-kernels of `simd*.py` are written with: LLVM vector code from Python, through llvmlite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.cgutils import unpack_tuple
from numba.core.errors import RequireLiteralValue
from numba.extending import intrinsic

from w2v_spark.kernels.sizes import LANES, slabs, whole_vectors

FLOAT, INT32, INT64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
VECTOR, INTEGERS = ir.VectorType(FLOAT, LANES), ir.VectorType(INT32, LANES)
HALF = ir.VectorType(FLOAT, LANES // 2)


def micro_kernel(define: Callable[..., Any]) -> Any:
    """Make an intrinsic of a function from the types of its arguments to its signature and code generator."""
    return intrinsic(prefer_literal=True)(define)


def literal(kind: Any) -> int:
    """The value of an argument that must be known when the code is made."""
    if not isinstance(kind, types.IntegerLiteral):
        raise RequireLiteralValue("the size of a micro-kernel must be a literal integer")
    return int(kind.literal_value)


class Emitter:
    """Writes the body of an intrinsic: its arguments as LLVM values, and the operations that micro-kernels share."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Sequence[Any]):
        self.context, self.builder = context, builder
        self.kinds, self.arguments = signature.args, arguments

    def has_wide_registers(self) -> bool:
        """Whether the machine that the code is for holds 16 floats in a register."""
        _, _, features = self.context.codegen().magic_tuple()
        return "+avx512f" in features

    def register(self) -> Any:
        """What one register holds: 16 floats, or 8 of AVX2."""
        return VECTOR if self.has_wide_registers() else HALF

    def integer(self, which: int) -> Any:
        """The argument as int64."""
        return self.context.cast(self.builder, self.arguments[which], self.kinds[which], types.int64)

    def vectors(self, which: int) -> Any:
        """How many vectors the argument's floats are, the last perhaps with padding, as int64."""
        rounded_up = self.builder.add(self.integer(which), INT64(LANES - 1))
        return self.builder.lshr(rounded_up, INT64(LANES.bit_length() - 1))

    def single(self, which: int) -> Any:
        """The argument as float32."""
        return self.context.cast(self.builder, self.arguments[which], self.kinds[which], types.float32)

    def start(self, which: int) -> Any:
        """Pointer to where the array argument starts: the argument after it is the index."""
        return self.at(self.data(which), self.integer(which + 1))

    def data(self, which: int) -> Any:
        """Pointer to the array argument's first element."""
        return self.context.make_array(self.kinds[which])(self.context, self.builder, self.arguments[which]).data

    def part(self, which: int) -> Emitter:
        """An emitter whose arguments are the fields of a tuple argument."""
        fields = types.void(*self.kinds[which].types)
        return Emitter(self.context, self.builder, fields, unpack_tuple(self.builder, self.arguments[which]))

    def at(self, pointer: Any, index: Any) -> Any:
        """Pointer so many elements further on."""
        return self.builder.gep(pointer, [INT64(index) if isinstance(index, int) else index])

    def row(self, matrix: Any, ids: Any, index: Any, width: Any) -> Any:
        """Pointer to the row, of `width` elements, whose int32 number is ids[index]."""
        number = self.builder.sext(self.builder.load(self.at(ids, index)), INT64)
        return self.at(matrix, self.builder.mul(number, width))

    def load(self, pointer: Any, index: Any = 0, kind: Any = VECTOR) -> Any:
        """A vector of floats or integers, wherever they lie."""
        value = self.builder.load(self.builder.bitcast(self.at(pointer, index), kind.as_pointer()))
        value.align = 4
        return value

    def store(self, value: Any, pointer: Any, index: Any = 0) -> None:
        """Write a vector, wherever it is to lie."""
        stored = self.builder.store(value, self.builder.bitcast(self.at(pointer, index), value.type.as_pointer()))
        stored.align = 4

    def constant(self, value: float, kind: Any = VECTOR) -> Any:
        """A vector of one number."""
        return ir.Constant(kind, [ir.Constant(FLOAT, value)] * kind.count)

    def broadcast(self, scalar: Any, count: int = LANES) -> Any:
        """A vector of so many times one float or integer."""
        undefined = ir.Constant(ir.VectorType(scalar.type, count), ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, INT32(0))
        return self.builder.shuffle_vector(first, undefined, lanes([0] * count))

    def fma(self, x: Any, y: Any, z: Any) -> Any:
        """The product x * y plus z, rounded once."""
        return self.builder.call(self.function(f"llvm.fma.v{x.type.count}f32", x.type, [x.type] * 3), [x, y, z])

    def clamp(self, x: Any, limit: float) -> Any:
        """X within [-limit, limit]; NaN becomes a limit."""
        for sign, bound in (("<", self.constant(limit)), (">", self.constant(-limit))):
            x = self.builder.select(self.builder.fcmp_ordered(sign, x, bound), x, bound)
        return x

    def polynomial(self, coefficients: Sequence[float], x: Any) -> Any:
        """Horner's scheme, the highest power first."""
        value = self.constant(coefficients[0])
        for c in coefficients[1:]:
            value = self.fma(value, x, self.constant(c))
        return value

    def function(self, name: str, result: Any, arguments: list[Any]) -> Any:
        """An LLVM intrinsic, declared once in a module."""
        module = self.builder.module
        return module.globals.get(name) or ir.Function(module, ir.FunctionType(result, arguments), name)

    def loop(self, count: Any, start: list[Any], step: Callable[[Any, list[Any]], list[Any]]) -> list[Any]:
        """`values = step(i, values)` for i from 0 to count - 1, with the values in registers."""
        builder, entry = self.builder, self.builder.block
        body, end = builder.append_basic_block("loop"), builder.append_basic_block("loop.end")
        builder.cbranch(builder.icmp_signed(">", count, INT64(0)), body, end)
        builder.position_at_end(body)
        index, before = builder.phi(INT64), [builder.phi(value.type) for value in start]
        after = step(index, list(before))
        last = builder.block
        following = builder.add(index, INT64(1))
        for phi, first, again in zip([index, *before], [INT64(0), *start], [following, *after], strict=True):
            phi.add_incoming(first, entry)
            phi.add_incoming(again, last)
        builder.cbranch(builder.icmp_signed("<", following, count), body, end)
        builder.position_at_end(end)
        results = [builder.phi(value.type) for value in start]
        for phi, first, again in zip(results, start, after, strict=True):
            phi.add_incoming(first, entry)
            phi.add_incoming(again, last)
        return results

    def slabs(self, width: int, work: Callable[[Any, int], None]) -> None:
        """`work(column, vectors)` for each slab of a row of `width` floats: its first column, and its vectors."""
        wide, columns, narrow, fewer = slabs(whole_vectors(width))

        def run(first: int, count: int, columns: int) -> None:
            def step(i: Any, _: list[Any]) -> list[Any]:
                work(self.builder.add(INT64(first), self.builder.mul(i, INT64(columns))), columns // LANES)
                return []

            if count == 1:
                step(INT64(0), [])
            elif count > 1:
                self.loop(INT64(count), [], step)

        run(0, wide, columns)
        run(wide * columns, narrow, fewer)

    def prefetch(self, pointer: Any) -> None:
        """Ask for a cache line that is to be written soon."""
        byte = ir.IntType(8).as_pointer()
        function = self.function("llvm.prefetch.p0", ir.VoidType(), [byte, INT32, INT32, INT32])
        for_writing, all_caches, data = INT32(1), INT32(3), INT32(1)
        self.builder.call(function, [self.builder.bitcast(pointer, byte), for_writing, all_caches, data])

    def bits(self, truths: Any) -> Any:
        """16 truth values as the low bits of an int64."""
        return self.builder.zext(self.builder.bitcast(truths, ir.IntType(LANES)), INT64)

    def dot_products(self, pairs: Sequence[tuple[Any, Any, int]], vectors: Any) -> Any:
        """A vector whose lane j is the dot product of pair j, 0 where there is none: of a pointer to one row, one to
        another, and how many floats behind it that other row starts; each of so many vectors (int64).
        """

        def dots(pairs: Sequence[tuple[Any, Any, int]], lane: int, kind: Any) -> list[Any]:
            """The products of some lanes of each vector, summed over vectors."""

            def step(c: Any, sums: list[Any]) -> list[Any]:
                column = self.builder.add(self.builder.mul(c, INT64(LANES)), INT64(lane))
                ones = [self.load(one, column, kind) for one, _, _ in pairs]
                others = [self.load(self.at(start, column), behind, kind) for _, start, behind in pairs]
                return [self.fma(one, other, s) for one, other, s in zip(ones, others, sums, strict=True)]

            return self.loop(vectors, [self.constant(0.0, kind)] * len(pairs), step)

        if self.has_wide_registers():
            sums = dots(pairs, 0, VECTOR)
        else:
            # the same sums, in the 16 registers of AVX2
            sums, both = [], lanes(list(range(LANES)))
            for first in range(0, len(pairs), 8):
                low, high = (dots(pairs[first : first + 8], lane, HALF) for lane in (0, LANES // 2))
                sums += [self.builder.shuffle_vector(a, b, both) for a, b in zip(low, high, strict=True)]
        return self.lane_sums(sums + [self.constant(0.0)] * (LANES - len(pairs)))

    def lane_sums(self, vectors: list[Any]) -> Any:
        """A vector whose lane j is the sum of the lanes of vector j of 16: a butterfly that transposes as it adds."""
        half = LANES // 2
        while len(vectors) > 1:
            low = [i if (i // half) % 2 == 0 else i + LANES - half for i in range(LANES)]
            high = [i + half if (i // half) % 2 == 0 else i + LANES for i in range(LANES)]
            pairs = zip(vectors[: len(vectors) // 2], vectors[len(vectors) // 2 :], strict=True)
            shuffle, add = self.builder.shuffle_vector, self.builder.fadd
            vectors = [add(shuffle(a, b, lanes(low)), shuffle(a, b, lanes(high))) for a, b in pairs]
            half //= 2
        return vectors[0]


def lanes(indices: list[int]) -> Any:
    """The mask of a shuffle."""
    return ir.Constant(ir.VectorType(INT32, len(indices)), [INT32(i) for i in indices])

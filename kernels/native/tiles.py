"""Register tiles: ROWS results of some vectors of channels each, summed over all taps in registers.

A result at one place reads, for each tap of a window, the channels of one pixel; where they begin
comes from a table of places, int32[taps,rows] in elements from ``x``, -1 for padding, which reads
``border`` instead (indirect convolution: M. Dukhan, The Indirect Convolution Algorithm, 2019). A
product of matrices has one tap, and its pixels are the rows. Everything is in f32.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import llvmlite.binding
import llvmlite.ir
import numba.core.cgutils
import numba.extending

# Neither package says what its types are.
binding: Any = llvmlite.binding
ir: Any = llvmlite.ir
cgutils: Any = numba.core.cgutils
intrinsic: Any = numba.extending.intrinsic
types: Any = numba.types

WIDE = bool(binding.get_host_cpu_features().get("avx512f"))
LANES = 16 if WIDE else 8  # f32 in a vector
NARROW = LANES // 2  # those of a shorter one, which some processors are done with in half the time
# Sums that fit in the registers (32 with AVX-512, else 16) beside a vector of weights or two.
ROWS, VECTORS = (7, 4) if WIDE else (6, 2)
FEW = ROWS // 2 + 1  # rows of a lower tile, for what is left of a product

WORD, INDEX, REAL = ir.IntType(64), ir.IntType(32), ir.FloatType()
VECTOR = ir.VectorType(REAL, LANES)
F32_BYTES = 4
ARGUMENTS = (
    "places",  # int32[taps,rows]
    "taps",
    "channels",  # that are summed for each tap
    "weights",  # f32[taps,channels,width], or [taps,width] if each channel stands alone
    "start",  # f32[width], what sums begin with
    "out",  # f32[rows,width], rows ``pitch`` bytes apart
    "pitch",
    "more",  # as ``out``, added to the sums; 0 if there is nothing to add
    "more_pitch",
    "x",
    "border",  # f32[channels or width]
    "bounds",  # f32[2], least and largest result
    "lanes",  # of the last vector that are results
)


@dataclass(frozen=True)
class _Code:
    """What is being written: the builder, the arguments by name, and the size of the tile."""

    b: Any
    of: dict[str, Any]
    rows: int
    vectors: int
    lanes: int

    @property
    def vector(self) -> Any:
        """The type of a vector."""
        return ir.VectorType(REAL, self.lanes)

    @property
    def bytes(self) -> int:
        """The size of a vector."""
        return F32_BYTES * self.lanes

    def at(self, address: Any, offset: int, type: Any) -> Any:
        """A pointer to ``type`` some bytes behind an address."""
        return self.b.inttoptr(self.b.add(address, WORD(offset)), type.as_pointer())

    def load(self, address: Any, offset: int, type: Any = None) -> Any:
        """What lies there, aligned to an element only."""
        found = self.b.load(self.at(address, offset, type or self.vector))
        found.align = F32_BYTES
        return found

    def masked(self, address: Any, j: int) -> Any:
        """Vector ``j`` from an address; of the last one only the lanes that are results."""
        if j < self.vectors - 1:
            return self.load(address, j * self.bytes)
        place = self.at(address, j * self.bytes, self.vector)
        name = f"llvm.masked.load.v{self.lanes}f32.p0"
        nothing = ir.Constant(self.vector, [0.0] * self.lanes)
        return self.call(name, self.vector, place, INDEX(F32_BYTES), self.mask(), nothing)

    def mask(self) -> Any:
        """Which lanes of the last vector are results."""
        lanes = ir.Constant(ir.VectorType(INDEX, self.lanes), list(range(self.lanes)))
        counted = self.spread(self.b.trunc(self.of["lanes"], INDEX))
        return self.b.icmp_signed("<", lanes, counted)

    def call(self, name: str, result: Any, *arguments: Any) -> Any:
        """Call an intrinsic of LLVM."""
        type = ir.FunctionType(result, [a.type for a in arguments])
        return self.b.call(cgutils.get_or_insert_function(self.b.module, type, name), arguments)

    def spread(self, scalar: Any) -> Any:
        """A vector with the same number in each lane."""
        none = ir.Constant(ir.VectorType(scalar.type, self.lanes), ir.Undefined)
        first = ir.Constant(ir.VectorType(INDEX, self.lanes), [0] * self.lanes)
        return self.b.shuffle_vector(self.b.insert_element(none, scalar, INDEX(0)), none, first)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """``a * b + c``, rounded once."""
        return self.call(f"llvm.fma.v{self.lanes}f32", self.vector, a, b, c)

    def pixels(self, tap: Any) -> list[Any]:
        """Where the channels of each row begin for one tap."""
        line = self.b.add(self.of["places"], self.b.mul(tap, WORD(4 * self.rows)))
        found: list[Any] = []
        for row in range(self.rows):
            place = self.b.sext(self.load(line, 4 * row, INDEX), WORD)
            inside = self.b.add(self.of["x"], self.b.shl(place, WORD(2)))
            is_border = self.b.icmp_signed("<", place, WORD(0))
            found.append(self.b.select(is_border, self.of["border"], inside))
        return found

    def loop(
        self, times: Any, carried: list[Any], body: Callable[[Any, list[Any]], list[Any]]
    ) -> list[Any]:
        """Run ``body`` at least once, for 0 to ``times`` - 1, on values that it hands on."""
        before, inside = self.b.block, self.b.append_basic_block("loop")
        self.b.branch(inside)
        self.b.position_at_end(inside)
        phis = [self.b.phi(value.type) for value in (times, *carried)]
        for phi, value in zip(phis, (WORD(0), *carried), strict=True):
            phi.add_incoming(value, before)
        made = body(phis[0], phis[1:])
        following = self.b.add(phis[0], WORD(1))
        end = self.b.block
        for phi, value in zip(phis, (following, *made), strict=True):
            phi.add_incoming(value, end)
        after = self.b.append_basic_block("after")
        self.b.cbranch(self.b.icmp_signed("<", following, times), inside, after)
        self.b.position_at_end(after)
        return made

    def finish(self, sums: list[Any]) -> None:
        """Add what is to be added, bound the results and store them."""
        b = self.b
        least, largest = (self.spread(self.load(self.of["bounds"], 4 * i, REAL)) for i in (0, 1))
        for row in range(self.rows):
            place = b.add(self.of["out"], b.mul(self.of["pitch"], WORD(row)))
            for j in range(self.vectors):
                value = sums[row * self.vectors + j]
                value = b.select(b.fcmp_ordered("<", value, least), least, value)
                value = b.select(b.fcmp_ordered(">", value, largest), largest, value)
                self.store(value, place, j)

    def store(self, value: Any, address: Any, j: int) -> None:
        """Store vector ``j``; of the last one only the lanes that are results."""
        place = self.at(address, j * self.bytes, self.vector)
        if j < self.vectors - 1:
            self.b.store(value, place).align = F32_BYTES
            return
        name = f"llvm.masked.store.v{self.lanes}f32.p0"
        self.call(name, ir.VoidType(), value, place, INDEX(F32_BYTES), self.mask())

    def plus_more(self, sums: list[Any]) -> list[Any]:
        """The sums with what is to be added to them, if there is anything."""
        b, start = self.b, self.b.block
        some, after = b.append_basic_block("more"), b.append_basic_block("bounded")
        b.cbranch(b.icmp_signed("!=", self.of["more"], WORD(0)), some, after)
        b.position_at_end(some)
        added: list[Any] = []
        for row in range(self.rows):
            place = b.add(self.of["more"], b.mul(self.of["more_pitch"], WORD(row)))
            for j in range(self.vectors):
                value = self.masked(place, j)
                added.append(b.fadd(sums[row * self.vectors + j], value))
        b.branch(after)
        b.position_at_end(after)
        phis = [b.phi(self.vector) for _ in sums]
        for phi, old, new in zip(phis, sums, added, strict=True):
            phi.add_incoming(old, start)
            phi.add_incoming(new, some)
        return phis


def product(code: _Code, sums: list[Any], weights: Any, pixels: list[Any]) -> list[Any]:
    """One tap: each channel of a pixel times the weights from it to all channels of the result."""

    def channel(k: Any, carried: list[Any]) -> list[Any]:
        weights, *sums = carried
        taken = [code.load(weights, j * code.bytes) for j in range(code.vectors)]
        made: list[Any] = []
        for row, pixel in enumerate(pixels):
            value = code.load(code.b.add(pixel, code.b.shl(k, WORD(2))), 0, REAL)
            value = code.spread(value)
            made += [code.fma(value, w, sums[row * code.vectors + j]) for j, w in enumerate(taken)]
        return [code.b.add(weights, WORD(code.vectors * code.bytes)), *made]

    return code.loop(code.of["channels"], [weights, *sums], channel)


def depthwise(code: _Code, sums: list[Any], weights: Any, pixels: list[Any]) -> list[Any]:
    """One tap: each channel of a pixel times its own weight."""
    taken = [code.load(weights, j * code.bytes) for j in range(code.vectors)]
    values = [
        code.fma(code.masked(pixel, j), w, sums[row * code.vectors + j])
        for row, pixel in enumerate(pixels)
        for j, w in enumerate(taken)
    ]
    return [code.b.add(weights, WORD(code.vectors * code.bytes)), *values]


def largest(code: _Code, sums: list[Any], weights: Any, pixels: list[Any]) -> list[Any]:
    """One tap: the larger of the result so far and each channel of a pixel, NaN above all."""
    values: list[Any] = []
    for row, pixel in enumerate(pixels):
        for j in range(code.vectors):
            old, new = sums[row * code.vectors + j], code.masked(pixel, j)
            larger = code.b.fcmp_ordered(">", new, old)
            is_nan = code.b.fcmp_unordered("uno", new, new)
            values.append(code.b.select(code.b.or_(larger, is_nan), new, old))
    return [weights, *values]


Tap = Callable[[_Code, list[Any], Any, list[Any]], list[Any]]


def tile(tap: Tap, rows: int, vectors: int, lanes: int = LANES) -> Any:
    """Return the function of ``ARGUMENTS``, a tuple of int64, that computes one tile."""

    @intrinsic
    def run(context: Any, given: Any) -> Any:
        del context

        def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            (packed,) = arguments
            values = cgutils.unpack_tuple(builder, packed, len(ARGUMENTS))
            code = _Code(builder, dict(zip(ARGUMENTS, values, strict=True)), rows, vectors, lanes)
            start = [code.load(code.of["start"], j * code.bytes) for j in range(vectors)]

            def one(t: Any, carried: list[Any]) -> list[Any]:
                weights, *sums = carried
                return tap(code, sums, weights, code.pixels(t))

            _, *sums = code.loop(code.of["taps"], [code.of["weights"], *start * rows], one)
            code.finish(code.plus_more(sums))
            return context.get_dummy_value()

        return types.void(given), write

    return run

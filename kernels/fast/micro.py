"""The inner product of all convolutions and matrix products: a tile of sums held in registers.

``out[m,n] = clamp(sum_k a[m,k] * b[off[k] + n] + bias[m] + extra[m,n])``. Row ``k`` of the right
side lies anywhere: a table of offsets makes a convolution a product without a copy per tap. A tile
is ROWS x up to COLUMNS vectors; its loop is written in LLVM's vectors, since compilers do not
find it by themselves. numba's cache looks at this file only, so all of the tile is in this file.
"""

from typing import Any

import llvmlite
import llvmlite.binding
import llvmlite.ir
import numba.extending

_ir: Any = llvmlite.ir
_binding: Any = llvmlite.binding
_WIDE = bool(dict(_binding.get_host_cpu_features()).get("avx512f"))
# 24 sums of 16 lanes fit the 32 registers of AVX-512, 12 of 8 lanes the 16 of AVX2.
LANES = 16 if _WIDE else 8
ROWS = 8 if _WIDE else 4
COLUMNS = 3
PANEL = LANES * COLUMNS
# The part of the right side that all rows are multiplied with before the next: half of a level-2
# cache of 1 MiB, the smallest among recent cores.
CHUNK_FLOATS = 2**17

_F32, _I32, _I64, _BIT = _ir.FloatType(), _ir.IntType(32), _ir.IntType(64), _ir.IntType(1)
_VECTOR = _ir.VectorType(_F32, LANES)
_ZERO = _ir.Constant(_VECTOR, [0.0] * LANES)
_NAMED = f"v{LANES}f32"


class _Tile:
    """Writes one tile of ``width`` vectors into the function that numba is building."""

    def __init__(self, builder: Any, args: tuple[Any, ...], width: int) -> None:
        self.build, self.width = builder, width
        kinds = (_F32, _F32, _I64, None, None, _F32, None, _F32, _F32, None, None, None)
        typed = [
            a if kind is None else builder.inttoptr(a, kind.as_pointer())
            for a, kind in zip(args, kinds, strict=True)
        ]
        self.a, self.b, self.offsets, self.k, last, self.out, self.stride = typed[:7]
        self.bias, self.extra, self.extra_stride = typed[7:10]
        self.low, self.high = (self.splat(x) for x in typed[10:])
        lane = _ir.Constant(_ir.VectorType(_I32, LANES), list(range(LANES)))
        count = builder.trunc(last, _I32)
        self.mask = builder.icmp_signed("<", lane, self.splat(count))

    def splat(self, x: Any) -> Any:
        """Return a vector whose lanes are all ``x``."""
        kind = _ir.VectorType(x.type, LANES)
        undefined = _ir.Constant(kind, _ir.Undefined)
        first = self.build.insert_element(undefined, x, _ir.Constant(_I32, 0))
        lanes = _ir.Constant(_ir.VectorType(_I32, LANES), [0] * LANES)
        return self.build.shuffle_vector(first, undefined, lanes)

    def called(self, name: str, kind: Any, args: list[Any]) -> Any:
        """Call one of LLVM's own functions."""
        module = self.build.module
        known = module.globals.get(name)
        function = _ir.Function(module, kind, name) if known is None else known
        return self.build.call(function, args)

    def place(self, base: Any, index: Any) -> Any:
        """Return the pointer to element ``index`` (an i64 or a number) of ``base``."""
        index = _ir.Constant(_I64, index) if isinstance(index, int) else index
        return self.build.gep(base, [index])

    def load(self, pointer: Any, vector: int) -> Any:
        """Load vector number ``vector``; of the last one only the lanes that exist."""
        at = self.build.bitcast(self.place(pointer, vector * LANES), _VECTOR.as_pointer())
        if vector < self.width - 1:
            return self.build.load(at, align=4)
        kinds = [_VECTOR.as_pointer(), _I32, self.mask.type, _VECTOR]
        kind = _ir.FunctionType(_VECTOR, kinds)
        args = [at, _ir.Constant(_I32, 4), self.mask, _ZERO]
        return self.called(f"llvm.masked.load.{_NAMED}.p0", kind, args)

    def store(self, x: Any, pointer: Any, vector: int) -> None:
        """Store vector number ``vector``; of the last one only the lanes that exist."""
        at = self.build.bitcast(self.place(pointer, vector * LANES), _VECTOR.as_pointer())
        if vector < self.width - 1:
            self.build.store(x, at, align=4)
            return
        kinds = [_VECTOR, _VECTOR.as_pointer(), _I32, self.mask.type]
        kind = _ir.FunctionType(_ir.VoidType(), kinds)
        args = [x, at, _ir.Constant(_I32, 4), self.mask]
        self.called(f"llvm.masked.store.{_NAMED}.p0", kind, args)

    def sums(self) -> list[Any]:
        """Emit the loop over k; return the sums, row by row."""
        build, before = self.build, self.build.block
        loop, done = build.append_basic_block("k"), build.append_basic_block("summed")
        build.branch(loop)
        build.position_at_end(loop)
        k = build.phi(_I64)
        held = [build.phi(_VECTOR) for _ in range(ROWS * self.width)]
        right = self.place(self.b, build.load(self.place(self.offsets, k)))
        left = self.place(self.a, build.mul(k, _ir.Constant(_I64, ROWS)))
        vectors = [self.load(right, v) for v in range(self.width)]
        added = self._added(left, vectors, held)
        following = build.add(k, _ir.Constant(_I64, 1))
        for phi, first, later in zip((k, *held), (0, *held), (following, *added), strict=True):
            phi.add_incoming(_ir.Constant(_I64, 0) if first == 0 else _ZERO, before)
            phi.add_incoming(later, loop)
        build.cbranch(build.icmp_signed("<", following, self.k), loop, done)
        build.position_at_end(done)
        return added

    def _added(self, left: Any, vectors: list[Any], held: list[Any]) -> list[Any]:
        kind = _ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        scalars = [self.build.load(self.place(left, row)) for row in range(ROWS)]
        spread = [self.splat(x) for x in scalars for _ in vectors]
        terms = zip(spread, vectors * ROWS, held, strict=True)
        return [self.called(f"llvm.fma.{_NAMED}", kind, list(term)) for term in terms]

    def finish(self, sums: list[Any], has_extra: bool) -> None:
        """Emit what follows the sums: bias, extra, clamp (NaN stays), store."""
        build = self.build
        for i, x in enumerate(sums):
            row, vector = divmod(i, self.width)
            x = build.fadd(x, self.splat(build.load(self.place(self.bias, row))))
            number = _ir.Constant(_I64, row)
            if has_extra:
                extra = self.place(self.extra, build.mul(number, self.extra_stride))
                x = build.fadd(x, self.load(extra, vector))
            x = build.select(build.fcmp_ordered("<", x, self.low), self.low, x)
            x = build.select(build.fcmp_ordered(">", x, self.high), self.high, x)
            self.store(x, self.place(self.out, build.mul(number, self.stride)), vector)


def _tile(width: int) -> Any:
    """Return the function of one tile that is ``width`` vectors wide; all its pointers are whole.

    Takes a, b, offsets, k, lanes in the last vector, out, its stride, bias, extra (0 for none),
    its stride, and the least and largest result.
    """
    extending: Any = numba.extending
    types: Any = numba.types

    def emit(context: Any, builder: Any, signature: Any, args: tuple[Any, ...]) -> Any:
        tile = _Tile(builder, args, width)
        sums = tile.sums()
        with builder.if_else(builder.icmp_signed("!=", args[8], _ir.Constant(_I64, 0))) as arms:
            for arm, has_extra in zip(arms, (True, False), strict=True):
                with arm:
                    tile.finish(sums, has_extra)
        return context.get_dummy_value()

    def tile(
        typing: Any, a: Any, b: Any, off: Any, k: Any, last: Any, out: Any, stride: Any,
        bias: Any, extra: Any, extra_stride: Any, low: Any, high: Any,
    ) -> Any:  # fmt: skip
        return types.void(*(types.intp,) * 10, types.float32, types.float32), emit

    return extending.intrinsic(tile)


_tile_1, _tile_2, _tile_3 = _tile(1), _tile(2), _tile(3)

"""What a statement of a tile program moves or computes in one iteration, whatever the chip."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod
from typing import TypeAlias

from emu.devices.slices import Slice, slice_in
from emu.ir.body import FrozenAttrs
from emu.ir.ops import Work
from emu.ir.regions import Frame, region, shape, span
from emu.ir.tile import Compute, Gather, Load, Operand, Statement, Store, TileProgram
from emu.ir.types import TensorType
from emu.ir.work import gemm_shape, shapes, tile_work

Operands: TypeAlias = tuple[TensorType | None, ...]
Product: TypeAlias = tuple[int, int, int, int]  # batch, M, N, K


@dataclass(frozen=True, eq=False)
class Tile:
    """One execution of an op, by the types of operands (fill included) and result.

    ``data_bytes`` is what lies on chip of the data of a product, the source of all its rows.

    Equal ones are one object (``tile_of``), so a tile is a key that need not be looked into.
    """

    op: str
    attrs: FrozenAttrs
    ins: Operands
    out: TensorType
    data_bytes: int = 0

    @cached_property
    def product(self) -> Product:
        """The matrix products that it is."""
        return gemm_shape(self.op, shapes(self.ins), self.out.dims)

    @cached_property
    def work(self) -> Work:
        """Its operations."""
        return tile_work(self.op, self.attrs, self.ins, self.out)

    @cached_property
    def elements(self) -> int:
        """Elements of the largest operand or of the result."""
        return max([self.out.elements, *(t.elements for t in self.ins if t is not None)])


@lru_cache(maxsize=65536)
def tile_of(
    op: str, attrs: FrozenAttrs, ins: Operands, out: TensorType, data_bytes: int = 0
) -> Tile:
    """Return the tile of an op with operands and result of these types."""
    return Tile(op, attrs, ins, out, data_bytes)


Shape: TypeAlias = Tile | Slice | None  # what is computed or moved


def shape_in(program: TileProgram, statement: Statement, frame: Frame) -> Shape:
    """What a statement computes or moves in ``frame``: nothing for a fill."""
    match statement:
        case Load() | Gather() | Store():
            return slice_in(program, statement, frame)
        case Compute():
            return _tile(program, statement, frame)
        case _:
            return None


def _tile(program: TileProgram, statement: Compute, frame: Frame) -> Tile:
    buffer = program.buffers[statement.out]
    spans = region(program, buffer, frame)
    out = TensorType(program.views[buffer.value].type.dtype, shape(spans))
    inner = {d: (s.start, s.stop) for d, s in enumerate(spans)}
    ins = tuple(None if o is None else _read(program, o, inner, frame) for o in statement.ins)
    size = _data_bytes(program, statement, ins[0], frame) if statement.kind == "matrix" else 0
    return tile_of(statement.op, statement.attrs, ins, out, size)


def _data_bytes(
    program: TileProgram, statement: Compute, read: TensorType | None, frame: Frame
) -> int:
    """Bytes on chip that the rows of a product are made of; padding is made on the way."""
    operand = statement.ins[0]
    if operand is None or read is None:
        return 0
    there = shape(region(program, program.buffers[operand.buffer], frame))
    return read.itemsize * min(read.elements, prod(there))


def _read(program: TileProgram, operand: Operand, out: Frame, frame: Frame) -> TensorType:
    """The type of what an operand reads."""
    buffer = program.buffers[operand.buffer]
    view = program.views[buffer.value].type
    lengths: list[int] = []
    for need, have, extent in zip(operand.axes, buffer.axes, view.dims, strict=True):
        if need.of is None:
            lengths.append(span(have, frame, extent).length)
        else:
            low, high = need.image(*out[need.of])
            lengths.append(-(-(high - low) // need.step))
    return TensorType(view.dtype, tuple(lengths))


def moved_view(program: TileProgram, statement: Statement) -> int:
    """The view that a statement moves bytes of, -1 if it moves none."""
    match statement:
        case Load(buffer=buffer):
            return program.buffers[buffer].value
        case Gather(table=table):
            return table
        case Store(view=view):
            return view
        case _:
            return -1


def whole_tile(program: TileProgram, statement: Compute) -> Tile:
    """What a statement would compute if nothing were cut."""
    types = [program.views[buffer.value].type for buffer in program.buffers]
    ins = tuple(None if o is None else types[o.buffer] for o in statement.ins)
    return tile_of(statement.op, statement.attrs, ins, types[statement.out])


def folds(product: Product, rows: int, columns: int) -> int:
    """How many tiles of stationary weights a product has on an array of ``rows`` x ``columns``."""
    batch, _, n, k = product
    return batch * -(-k // rows) * -(-n // columns)


def lead(product: Product, rows: int, columns: int) -> int:
    """Rows from the first of the first fold to the first of the last: streams, or longer shifts."""
    return max(0, folds(product, rows, columns) - 1) * max(product[1], rows)


def last(product: Product, rows: int, columns: int) -> int:
    """Rows that the last fold of a product streams."""
    return min(1, folds(product, rows, columns)) * product[1]


def stream(product: Product, rows: int, columns: int) -> int:
    """Rows for which a product holds an array, the shift of its first fold not counted."""
    return lead(product, rows, columns) + last(product, rows, columns)

"""Programs of rows: several elementwise steps and folds on a part of a row while it is in a cache.

A program is int64 words: ``HEAD``, then ``STEP`` for each step. Rows are counted over three
dimensions, the last two of ``size_1`` and ``size_2``. An operand is an address, how far it moves
along each of them and from element to element (in bytes), and whether it is one number for all
elements. Steps read and write memory or registers, which are memory that stays in a cache; there
each row of a group has a part of its own, ``in_group`` bytes behind that of the row before.
"""

from typing import Any

import numba

from emu.ir.types import Array
from emu.kernels.native import lanes
from emu.kernels.native.lanes import FOLDS, NAMES, STEPS, Lanes
from emu.kernels.native.stamp import STAMP
from emu.kernels.native.tiles import (
    F32_BYTES,
    INDEX,
    LANES,
    REAL,
    VECTOR,
    WORD,
    intrinsic,
    ir,
    types,
)

HEAD = ("first", "end", "columns", "part", "steps", "size_1", "size_2", "group")
OPERAND = ("at", "by_row_0", "by_row_1", "by_row_2", "by_element", "is_number", "in_group")
STEP = ("step", "is_single", *(f"{o}_{w}" for o in ("out", "a", "b") for w in OPERAND))
START, SIZE = len(HEAD), len(STEP)  # words before the first step, and of each
OUT, A, B = (STEP.index(f"{o}_at") for o in ("out", "a", "b"))
IS_NUMBER, IN_GROUP = OPERAND.index("is_number"), OPERAND.index("in_group")
Index = tuple[int, int, int]
njit: Any = numba.njit
MASK_NAME = f"v{LANES}f32.p0"


class _Writer(Lanes):
    """One step on ``n`` elements, whole vectors in a loop and the rest under a mask."""

    def pointer(self, address: Any, i: Any, type: Any = VECTOR) -> Any:
        """A pointer to what lies ``i`` bytes behind an address."""
        return self.b.inttoptr(self.b.add(address, i), type.as_pointer())

    def read(self, address: Any, number: Any, is_number: Any, i: Any, mask: Any) -> Any:
        """Elements from ``i`` on, or the ``number`` that stands for all of them."""
        place = self.pointer(address, i)
        if mask is None:
            found = self.b.load(place)
            found.align = F32_BYTES
        else:
            nothing = ir.Constant(VECTOR, [0.0] * LANES)
            name = f"llvm.masked.load.{MASK_NAME}"
            found = self.call(name, VECTOR, place, INDEX(F32_BYTES), mask, nothing)
        return self.b.select(is_number, number, found)

    def write(self, value: Any, address: Any, i: Any, mask: Any) -> None:
        """Store a vector, or its lanes under a mask."""
        place = self.pointer(address, i)
        if mask is None:
            self.b.store(value, place).align = F32_BYTES
        else:
            name = f"llvm.masked.store.{MASK_NAME}"
            self.call(name, ir.VoidType(), value, place, INDEX(F32_BYTES), mask)

    def spread(self, scalar: Any) -> Any:
        """A vector with the same number in each lane."""
        none = ir.Constant(ir.VectorType(scalar.type, LANES), ir.Undefined)
        first = ir.Constant(ir.VectorType(INDEX, LANES), [0] * LANES)
        return self.b.shuffle_vector(self.b.insert_element(none, scalar, INDEX(0)), none, first)

    def mask(self, count: Any) -> Any:
        """The first ``count`` lanes."""
        order = ir.Constant(ir.VectorType(INDEX, LANES), list(range(LANES)))
        return self.b.icmp_signed("<", order, self.spread(self.b.trunc(count, INDEX)))


def _over(writer: _Writer, n: Any, carried: Any, body: Any) -> Any:
    """Run ``body(i, mask, carried)`` over n elements; i in bytes; return what it hands on."""
    b = writer.b
    whole = b.and_(n, WORD(-LANES))
    before, loop = b.block, b.append_basic_block("whole")
    rest, masked = b.append_basic_block("rest"), b.append_basic_block("masked")
    after = b.append_basic_block("after")
    b.cbranch(b.icmp_signed(">", whole, WORD(0)), loop, rest)
    b.position_at_end(loop)
    i, held = b.phi(WORD), b.phi(VECTOR)
    i.add_incoming(WORD(0), before)
    held.add_incoming(carried, before)
    made = body(b.mul(i, WORD(F32_BYTES)), None, held)
    following = b.add(i, WORD(LANES))
    i.add_incoming(following, b.block)
    held.add_incoming(made, b.block)
    end = b.block
    b.cbranch(b.icmp_signed("<", following, whole), loop, rest)
    b.position_at_end(rest)
    so_far = b.phi(VECTOR)
    so_far.add_incoming(carried, before)
    so_far.add_incoming(made, end)
    b.cbranch(b.icmp_signed("<", whole, n), masked, after)
    b.position_at_end(masked)
    last = body(b.mul(whole, WORD(F32_BYTES)), writer.mask(b.sub(n, whole)), so_far)
    masked_end = b.block
    b.branch(after)
    b.position_at_end(after)
    found = b.phi(VECTOR)
    found.add_incoming(so_far, rest)
    found.add_incoming(last, masked_end)
    return found


def _elementwise(writer: _Writer, name: str, of: dict[str, Any]) -> None:
    def body(i: Any, mask: Any, carried: Any) -> Any:
        a = writer.read(of["a"], of["a_number"], of["a_is_number"], i, mask)
        b = writer.read(of["b"], of["b_number"], of["b_is_number"], i, mask)
        writer.write(STEPS[name](writer, a, b), of["out"], i, mask)
        return carried

    _over(writer, of["n"], ir.Constant(VECTOR, [0.0] * LANES), body)


def _folded(writer: _Writer, name: str, of: dict[str, Any]) -> None:
    fold, b = FOLDS[name], writer.b
    start = ir.Constant(VECTOR, [fold.start] * LANES)

    def body(i: Any, mask: Any, carried: Any) -> Any:
        value = writer.read(of["a"], of["a_number"], of["a_is_number"], i, mask)
        if mask is not None:
            value = b.select(mask, value, start)
        return fold.step(writer, carried, value)

    total = fold.end(writer, _over(writer, of["n"], start, body))
    b.store(total, writer.pointer(of["out"], WORD(0), REAL)).align = F32_BYTES


@intrinsic
def do_step(context: Any, given: Any) -> Any:
    """Do one step: (its number, out, a, a is a number, b, b is a number, elements)."""
    del context

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (packed,) = arguments
        which, out, a, a_is, b, b_is, n = lanes.cgutils.unpack_tuple(builder, packed, 7)
        writer = _Writer(builder)
        of = {"out": out, "n": n}
        for name, address, flag in (("a", a, a_is), ("b", b, b_is)):
            scalar = builder.load(writer.pointer(address, WORD(0), REAL))
            scalar.align = F32_BYTES
            is_number = builder.icmp_signed("!=", flag, WORD(0))
            of |= {f"{name}_number": writer.spread(scalar), f"{name}_is_number": is_number}
            of[name] = builder.select(is_number, out, address)  # what is read there is dropped
        done = builder.append_basic_block("done")
        none = builder.append_basic_block("none")
        switch = builder.switch(which, none)
        for number, name in enumerate(NAMES):
            block = builder.append_basic_block(name)
            switch.add_case(WORD(number), block)
            builder.position_at_end(block)
            (_elementwise if name in STEPS else _folded)(writer, name, of)
            builder.branch(done)
        builder.position_at_end(none)
        builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return types.void(given), write


@njit
def at_row(row: int, size_1: int, size_2: int) -> Index:
    """The three indices of a row; there may be no rows at all."""
    size_1, size_2 = max(size_1, 1), max(size_2, 1)
    above = row // size_2
    return above // size_1, above % size_1, row % size_2


@njit
def next_row(index: Index, size_1: int, size_2: int) -> Index:
    """The indices of the row that follows; to divide for each takes longer than a short row."""
    i, j, k = index
    if k + 1 < size_2:
        return i, j, k + 1
    if j + 1 < size_1:
        return i, j + 1, 0
    return i + 1, 0, 0


@njit
def place(words: Array, at: int, index: tuple[int, int, int, int]) -> int:
    """Where an operand lies for a row, by its three indices, and a column."""
    i, j, k, column = index
    lies: int = words[at] + i * words[at + 1] + j * words[at + 2] + k * words[at + 3]
    return lies + column * words[at + 4]


@njit
def do_all(words: Array, index: tuple[int, int, int, int], count: int, rows: int) -> None:
    """Do each step of a program on ``count`` elements of each of some rows."""
    for step in range(START, START + SIZE * words[4], SIZE):
        out, a, b = (
            place(words, step + OUT, index),
            place(words, step + A, index),
            place(words, step + B, index),
        )
        of_a, of_b = words[step + A + IS_NUMBER], words[step + B + IS_NUMBER]
        elements = 1 if words[step + 1] else count
        for _ in range(rows):
            do_step((words[step], out, a, of_a, b, of_b, elements))
            out += words[step + OUT + IN_GROUP]
            a += words[step + A + IN_GROUP]
            b += words[step + B + IN_GROUP]


def _compiled(stamp: str) -> Any:
    """The function that runs a program; what numba keeps on disk is for one ``stamp`` only."""

    @njit(cache=True, nogil=True)
    def run_rows(words: Array) -> None:
        assert len(stamp) > 0  # closed over, which numba looks at; at other files it does not
        first, end, columns, part, _, size_1, size_2, group = words[:START]
        i, j, k = at_row(first, size_1, size_2)
        row = first
        while row < end:
            rows = min(group, size_2 - k, end - row)
            for column in range(0, columns, part):
                do_all(words, (i, j, k, column), min(part, columns - column), rows)
            row += rows
            i, j, k = next_row((i, j, k + rows - 1), size_1, size_2)

    return run_rows


run_rows = _compiled(STAMP)

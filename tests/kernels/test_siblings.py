"""One launch for several independent groups means what each of them means alone."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.body import Body
from emu.ir.count import count
from emu.ir.machine import Machine
from emu.ir.tile import Compute, Load, Placed, TileProgram
from emu.ir.types import TensorType
from emu.kernels.menus import product_menu
from emu.kernels.siblings import (
    build_siblings,
    independent,
    matches_siblings,
    sibling_menu,
    siblings,
)
from emu.kernels.slicing import Untileable
from emu.kernels.tiling import Tiling
from tests.tiles import Sketch, blocks, check_program

SEQ, WIDTH, HEADS = 6, 8, 2
GRID = Machine("grid", True, 16, 1 << 18, 1 << 30, 64, (1, 1))
CORES = Machine("cores", False, 4, 1 << 20, 1 << 30, 64, (4, 4))


def head(s: Sketch, x: str, perm: tuple[int, ...], scale: bool = False) -> str:
    y = s.op("Add", s.op("MatMul", x, s.weight(WIDTH, WIDTH)), s.weight(WIDTH))
    y = s.op("Reshape", y, shape=(1, SEQ, HEADS, WIDTH // HEADS))
    y = s.op("Transpose", y, perm=perm)
    return s.op("Mul", y, s.weight()) if scale else y


def queries_keys_values() -> Body:
    s = Sketch()
    x = s.input(1, SEQ, WIDTH)
    q, v = head(s, x, (0, 2, 1, 3), scale=True), head(s, x, (0, 2, 1, 3))
    return s.body(q, head(s, x, (0, 2, 3, 1)), v)


def gate_and_up() -> Body:
    s = Sketch()
    x = s.input(5, 7)
    gate = s.op("Gelu", s.op("Gemm", x, s.weight(9, 7), s.weight(9), transB=1))
    return s.body(gate, s.op("Relu", s.op("Gemm", x, s.weight(7, 9), "")))


def branches_of_convs() -> Body:
    s = Sketch()
    x = s.input(2, 6, 9, 8)
    a = s.op("Relu", s.op("Conv", x, s.weight(5, 6, 1, 1), s.weight(5)))
    return s.body(a, s.op("Conv", x, s.weight(5, 6, 3, 3), s.weight(5), pads=(1,) * 4))


def products_of_different_inputs() -> Body:
    s = Sketch()
    a = s.op("MatMul", s.input(4, 6), s.weight(6, 5))
    return s.body(a, s.op("Neg", s.op("MatMul", s.input(4, 10), s.weight(10, 5))))


def products_that_share_a_weight_and_a_bias() -> Body:
    s = Sketch()
    w, b = s.weight(6, 5), s.weight(5)
    a, c = (s.op("Add", s.op("MatMul", s.input(4, 6), w), b) for _ in range(2))
    return s.body(a, c)


def one_reads_the_input_again() -> Body:
    s = Sketch()
    x = s.input(6, 6)
    a = s.op("Add", s.op("MatMul", x, s.weight(6, 6)), x)
    return s.body(a, s.op("MatMul", x, s.weight(6, 6)))


def one_reduces_what_the_other_streams() -> Body:
    s = Sketch()
    x = s.input(6, 6)
    a = s.op("MatMul", x, s.weight(6, 6))
    return s.body(a, s.op("MatMul", s.weight(6, 6), x))


def with_prologue_and_a_kept_product() -> Body:
    s = Sketch()
    x = s.input(4, 6)
    a = s.op("MatMul", s.op("Relu", s.input(4, 6)), s.weight(6, 5))
    b = s.op("MatMul", x, s.weight(6, 5))
    return s.body(a, b, s.op("Relu", b))


def elementwise() -> Body:
    s = Sketch()
    row = s.weight(5)
    ends = [s.op("Relu", s.op("Add", s.input(3, 4, 5), row)) for _ in range(3)]
    return s.body(*ends)


def softmaxes() -> Body:
    s = Sketch()
    return s.body(*(s.op("Softmax", s.input(3, 4, 5), axis=1) for _ in range(2)))


BODIES = (
    queries_keys_values,
    gate_and_up,
    branches_of_convs,
    products_of_different_inputs,
    products_that_share_a_weight_and_a_bias,
    one_reads_the_input_again,
    one_reduces_what_the_other_streams,
    with_prologue_and_a_kept_product,
    elementwise,
    softmaxes,
)


def tilings(body: Body) -> st.SearchStrategy[Tiling]:
    """Any way to cut the leads of a body of siblings."""
    found = siblings(body)
    assert not isinstance(found, str)
    dims = body.types[body.nodes[found[0].lead].out].dims
    return st.builds(
        Tiling,
        tile=st.tuples(*(st.integers(1, d) for d in dims)),
        k=st.sampled_from((0, 1, 3, 4, 100)),
        order=st.permutations(range(len(dims))).map(tuple),
        cores=st.sampled_from((0, 1, 3, 16)),
        depth=st.sampled_from((1, 2, 3)),
    )


@pytest.mark.parametrize("make", BODIES)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_siblings_compute_their_bodies_and_move_what_is_counted(
    make: Callable[[], Body], data: st.DataObject
) -> None:
    body = make()
    assert matches_siblings(body) is None
    program = build_siblings(body, data.draw(tilings(body)), "siblings")
    check_program(body, program, data.draw(blocks(program)))


def loads_of(program: TileProgram, value: int) -> list[Placed]:
    """The loads of one value of the body."""
    return [
        placed
        for placed in program.statements
        if isinstance(placed.statement, Load)
        and program.buffers[placed.statement.buffer].value == value
    ]


def products_of(program: TileProgram) -> list[Placed]:
    """The computes that sum up products."""
    return [
        placed
        for placed in program.statements
        if isinstance(placed.statement, Compute) and placed.statement.kind == "matrix"
    ]


def test_the_shared_input_is_loaded_once_for_all_products_of_one_loop() -> None:
    body = queries_keys_values()

    program = build_siblings(body, Tiling((1, 3, 4), k=2, cores=0), "siblings")

    (load,) = loads_of(program, 0)
    assert [placed.loops for placed in products_of(program)] == [load.loops] * 3
    alone = TensorType("f32", (1, SEQ, WIDTH)).bytes
    assert count(program).loaded[0] == alone * (WIDTH // 4)  # once for each tile of columns


def test_heads_are_never_torn_although_siblings_are_turned_differently() -> None:
    program = build_siblings(queries_keys_values(), Tiling((1, 3, 1), cores=0), "siblings")

    assert [(loop.extent, loop.step) for loop in program.loops] == [(SEQ, 3), (HEADS, 1)]
    outs = [
        buffer.axes for buffer in program.buffers if program.views[buffer.value].role == "output"
    ]
    assert {tuple(axis.of for axis in axes) for axes in outs} == {
        (None, 1, 0, None),
        (None, 1, None, 0),
    }


def test_products_with_different_reductions_go_one_after_the_other() -> None:
    program = build_siblings(products_of_different_inputs(), Tiling((4, 5), k=3), "siblings")

    assert [placed.loops for placed in products_of(program)] == [(0,), (1,)]


def test_an_input_that_is_read_again_after_the_product_is_not_streamed() -> None:
    program = build_siblings(one_reads_the_input_again(), Tiling((3, 3), k=2), "siblings")

    assert {placed.loops for placed in products_of(program)} == {loops_around(program)}


def loops_around(program: TileProgram) -> tuple[int, ...]:
    """All loops of a program without one over a reduction."""
    return tuple(range(len(program.loops)))


def test_parts_are_what_depends_on_each_other_in_order() -> None:
    s = Sketch()
    a, b = s.op("Relu", s.input(2, 3)), s.op("Neg", s.input(2, 3))
    c = s.op("Neg", a)
    body = s.body(s.op("Add", a, c), b)
    assert independent(body) == [(0, 2, 3), (1,)]


def mixed() -> Body:
    s = Sketch()
    x = s.input(4, 4)
    return s.body(s.op("MatMul", x, s.weight(4, 4)), s.op("Relu", x))


def of_different_width() -> Body:
    s = Sketch()
    x = s.input(4, 4)
    return s.body(s.op("MatMul", x, s.weight(4, 4)), s.op("MatMul", x, s.weight(4, 2)))


def of_different_kind() -> Body:
    s = Sketch()
    x = s.input(4, 4)
    return s.body(s.op("MatMul", x, s.weight(4, 4)), s.op("Gemm", x, s.weight(4, 4), ""))


def of_two_products_each() -> Body:
    s = Sketch()
    w = s.weight(4, 4)
    ends = [s.op("MatMul", s.op("MatMul", s.input(4, 4), w), w) for _ in range(2)]
    return s.body(*ends)


def opaque() -> Body:
    s = Sketch()
    (a, b), c = s.ops("Split", s.input(4, 4), axis=0, sizes=(2, 2)), s.op("Relu", s.input(4, 4))
    return s.body(a, b, c)


def alone() -> Body:
    s = Sketch()
    s.op("Relu", s.input(4, 4))
    return s.body()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (alone, "all nodes depend on each other"),
        (opaque, "Split is opaque"),
        (mixed, "some siblings have a product and some have none"),
        (of_different_width, "siblings make different shapes: 4x4 and 4x2"),
        (of_different_kind, "siblings compute MatMul and Gemm"),
        (of_two_products_each, "a sibling has several products"),
    ],
)
def test_what_cannot_be_cut_alike_is_refused_with_the_reason(
    make: Callable[[], Body], why: str
) -> None:
    body = make()
    assert matches_siblings(body) == why
    assert not list(sibling_menu(body, GRID, 4))
    with pytest.raises(Untileable, match=why):
        build_siblings(body, Tiling((4, 4)), "siblings")


def test_a_sibling_with_a_second_end_cannot_be_cut() -> None:
    s = Sketch()
    x, w = s.input(4, 6), s.weight(6, 6)
    a, b = s.op("MatMul", x, w), s.op("MatMul", x, w)
    body = s.body(s.op("Relu", a), s.op("Neg", a), b)
    with pytest.raises(Untileable, match="does not lead to the last node"):
        build_siblings(body, Tiling((4, 4)), "siblings")


def test_a_sibling_that_ends_in_something_else_cannot_be_cut() -> None:
    s = Sketch()
    x, w = s.input(4, 6), s.weight(6, 6)
    y = s.op("Relu", x)
    a, b = s.op("MatMul", y, w), s.op("MatMul", x, w)
    body = s.body(a, s.op("Neg", y), b)
    with pytest.raises(Untileable, match="does not end with what follows from its product"):
        build_siblings(body, Tiling((4, 4)), "siblings")


def test_what_a_tail_reduces_stays_whole() -> None:
    s = Sketch()
    x = s.input(6, 8)
    sums = [s.op("ReduceSum", s.op("MatMul", x, s.weight(8, 8)), axes=(1,)) for _ in range(2)]
    program = build_siblings(s.body(*sums), Tiling((2, 2), cores=0), "siblings")
    assert [(loop.extent, loop.step) for loop in program.loops] == [(6, 2)]


@pytest.mark.parametrize("machine", [GRID, CORES])
def test_the_menu_cuts_the_leads_as_one_product_alone_would_be(machine: Machine) -> None:
    body = queries_keys_values()
    s = Sketch()
    s.op("MatMul", s.input(1, SEQ, WIDTH), s.weight(WIDTH, WIDTH))

    assert list(sibling_menu(body, machine, 5)) == list(product_menu(s.body(), machine, 5))
    assert list(sibling_menu(elementwise(), machine, 2))

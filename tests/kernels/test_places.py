"""Ops about places, and what else is cut beside a dimension that it needs whole."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.body import Body
from emu.ir.graph import Attr
from emu.ir.place_rules import PLACE_RULES
from emu.kernels.build import build
from emu.kernels.claims import plain_pointwise
from tests.tiles import Sketch, blocks, check_program, tilings

Shape = tuple[int, ...]


def one(op: str, *shapes: Shape, ints: Shape = (), **attrs: Attr) -> Callable[[], Body]:
    """A body of one node; inputs whose positions are among ``ints`` are i64."""

    def make() -> Body:
        s = Sketch()
        dtypes = ("i64" if i in ints else "f32" for i in range(len(shapes)))
        s.op(op, *(s.input(*d, dtype=t) for d, t in zip(shapes, dtypes, strict=True)), **attrs)
        return s.body()

    return make


CASES: dict[str, Callable[[], Body]] = {
    "largest": one("ArgMax", (4, 5, 6), axis=1),
    "smallest, without the axis": one("ArgMin", (4, 5, 6), axis=1, keepdims=0),
    "smallest of a vector": one("ArgMin", (5,), axis=0, keepdims=0),
    "sums": one("CumSum", (4, 5, 6), axis=1, exclusive=1),
    "products": one("CumProd", (4, 5, 6), axis=-1, reverse=1),
    "top": one("TopPlaces", (4, 5, 6), axis=1, k=3),
    "elements": one("GatherElements", (4, 5, 6), (4, 7, 6), ints=(1,), axis=1),
    "fewer elements": one("GatherElements", (4, 5, 6), (3, 2, 6), ints=(1,), axis=1),
    "put": one("ScatterElements", (4, 5, 6), (4, 2, 6), (4, 2, 6), ints=(1,), axis=1),
    "put fewer, added": one(
        "ScatterElements", (4, 5, 6), (3, 2, 6), (3, 2, 6), ints=(1,), axis=1, reduction="add"
    ),
    "slices": one("GatherND", (4, 5, 6), (7, 3, 1), ints=(1,)),
    "slices of a batch": one("GatherND", (4, 5, 6, 3), (4, 7, 2), ints=(1,), batch_dims=1),
    "put slices": one("ScatterND", (4, 5, 6), (7, 1), (7, 5, 6), ints=(1,), reduction="max"),
    "put elements": one("ScatterND", (4, 5), (7, 2), (7,), ints=(1,), reduction="mul"),
    "backwards": one("ReverseSequence", (5, 4, 3), (4,), ints=(1,), batch_axis=1, time_axis=0),
    "norms of windows": one("LpPool", (2, 3, 8, 7), kernel_shape=(3, 2), p=3, pads=(1, 1, 1, 0)),
    "squares of neighbours": one("LRN", (2, 7, 3, 4), size=4, pads=(1, 2), alpha=0.5),
    "one of a row": one("Hardmax", (4, 5, 6), axis=1),
    "product of rows": one("ReduceProd", (4, 5, 6), axes=(1,), keepdims=0),
}


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_tiles_compute_what_the_whole_does(name: str, data: st.DataObject) -> None:
    body = CASES[name]()
    program = build(body, data.draw(tilings(body)), name)
    check_program(body, program, data.draw(blocks(program)))


def test_every_rule_about_places_is_tried_here() -> None:
    assert {make().nodes[0].op for make in CASES.values()} >= PLACE_RULES.keys()


@pytest.mark.parametrize("name", CASES)
def test_the_plainest_kernel_claims_what_can_be_cut(name: str) -> None:
    assert plain_pointwise(CASES[name]()) is None


def test_an_op_without_a_tile_rule_is_refused_by_name() -> None:
    s = Sketch()
    s.op("Concat", s.input(2, 3), s.input(2, 3), axis=1)
    assert plain_pointwise(s.body()) == "Concat only moves elements"

"""A built program means what its body means, and moves what is counted, however it is cut."""

from itertools import product

import pytest
from emu.ir.body import Body
from emu.ir.tile import Load, TileProgram
from emu.kernels.build import build
from emu.kernels.slicing import Untileable
from emu.kernels.tiling import Tiling
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bodies import BODIES
from tests.tiles import Sketch, check_program, parallel_loops


def tilings(body: Body) -> st.SearchStrategy[Tiling]:
    dims = body.types[body.nodes[-1].out].dims
    return st.builds(
        Tiling,
        tile=st.tuples(*(st.integers(1, d) for d in dims)),
        k=st.sampled_from((0, 1, 3, 4, 100)),
        order=st.permutations(range(len(dims))).map(tuple),
        cores=st.sampled_from((0, 1, 3, 16)),
        depth=st.sampled_from((1, 2)),
    )


@pytest.mark.parametrize("name", BODIES)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_built_program_computes_its_body_and_moves_what_is_counted(
    name: str, data: st.DataObject
) -> None:
    body = BODIES[name]()
    program = build(body, data.draw(tilings(body)), name)
    widths = st.sampled_from((1, 2, 5))
    block = {
        loop: data.draw(widths) for loop in parallel_loops(program) if data.draw(st.booleans())
    }
    check_program(body, program, block)

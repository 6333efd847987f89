"""A built program means what its body means, and moves what is counted, however it is cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.kernels.build import build
from tests.bodies import BODIES
from tests.tiles import blocks, check_program, tilings


@pytest.mark.parametrize("name", BODIES)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_built_program_computes_its_body_and_moves_what_is_counted(
    name: str, data: st.DataObject
) -> None:
    body = BODIES[name]()
    program = build(body, data.draw(tilings(body)), name)
    check_program(body, program, data.draw(blocks(program)))

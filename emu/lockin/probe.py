"""A small program that every loader is tried with: one addition, in one tile."""

from emu.ir.body import Body, BodyNode
from emu.ir.program import Alloc, Launch, Program, Wait
from emu.ir.tile import WHOLE as ALL
from emu.ir.tile import Buffer, Compute, Load, Operand, Store, TileProgram, View
from emu.ir.types import TensorType

_TYPE = TensorType("f32", (64,))
_BODY = Body(
    nodes=(BodyNode("Add", (0, 1), (2,)),),
    types=(_TYPE, _TYPE, _TYPE),
    inputs=2,
    weights=frozenset(),
    outputs=(2,),
)
_TILES = TileProgram(
    name="probe",
    views=(View(_TYPE, "input", 0), View(_TYPE, "input", 1), View(_TYPE, "output", 2)),
    loops=(),
    buffers=(Buffer(0, (ALL,)), Buffer(1, (ALL,)), Buffer(2, (ALL,))),
    steps=(
        Load(0, 0),
        Load(1, 0),
        Compute("Add", (), (Operand(0, (ALL,)), Operand(1, (ALL,))), 2, "vector", 0),
        Store(2, 2, 0),
    ),
)
PROBE = Program(
    model="probe",
    device="any",
    inputs=("a", "b"),
    outputs=("c",),
    commands=(
        *(Alloc(value, 256 * i, 256) for i, value in enumerate("abc")),
        Launch(0, "probe", ("a", "b"), ("c",), _BODY, _TILES),
        Wait(),
    ),
    peak_bytes=768,
)


def probe_tiles(body: Body) -> TileProgram:
    """What a driver compiles the portable form of the probe to."""
    assert body == _BODY
    return _TILES

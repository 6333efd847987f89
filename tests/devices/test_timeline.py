"""Jumping over periods is the same as stepping, for the time and for the ledger."""

from hypothesis import given, settings
from hypothesis import strategies as st

from emu.devices.arrays import NATIVE
from emu.devices.datasheet import load_datasheet
from emu.devices.moments import Passage
from emu.devices.rates import Rates
from emu.devices.tile_cost import Shares, TileCost
from emu.devices.timeline import OPEN, Clockwork
from emu.ir.body import Body
from emu.kernels.tiling import Tiling
from tests.devices.programs import BODIES, add_body, matmul_body, program_of


def clockwork(body: Body, tiling: Tiling, device: str = "systolic") -> Clockwork:
    rates = Rates(load_datasheet(device))
    return Clockwork(TileCost(program_of(body, tiling), rates, Shares(), NATIVE))


def accounts(work: Clockwork, entries: tuple[int, ...], passage: Passage) -> list[object]:
    """Times and charges of everything that a passage leaves; each is checked to be a whole sum."""
    found: list[object] = []
    for moment in (*passage.free, *passage.stored.values(), passage.end):
        charges = work.charges(moment.path, Shares())
        assert sum(charges.values()) + entries[moment.origin] == moment.ps
        found.append((moment.ps, moment.origin, sorted(charges.items())))
    return found


@st.composite
def tilings(draw: st.DrawFn, rank: int) -> Tiling:
    tile = tuple(draw(st.integers(1, 64)) for _ in range(rank))
    order = tuple(draw(st.permutations(range(rank))))
    return Tiling(
        tile,
        draw(st.sampled_from((0, 16, 48))),
        order,
        draw(st.sampled_from((1, 3, 16))),
        draw(st.integers(1, 3)),
    )


@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    name=st.sampled_from(sorted(BODIES)),
    device=st.sampled_from(("systolic", "npu")),
)
def test_jumping_over_periods_equals_stepping(data: st.DataObject, name: str, device: str) -> None:
    body = BODIES[name]()
    tiling = data.draw(tilings(len(body.types[body.nodes[-1].out].shape)))
    work = clockwork(body, tiling, device)
    lengths = st.integers(0, 10**6)
    entries = (0, *(data.draw(lengths) for _ in range(OPEN + len(work.inputs))))

    jumped = work.passage(entries)
    stepped = work.passage(entries, stepwise=True)

    assert accounts(work, entries, jumped) == accounts(work, entries, stepped)


def test_a_single_tile_is_load_then_compute_then_store() -> None:
    work = clockwork(add_body(8, 256), Tiling((8, 256)))
    entries = (0,) * (OPEN + 1 + len(work.inputs))
    size = 8 * 256 * 4
    load = -(-size * 1000 // 300)  # 300 GB/s are 0.3 bytes per ps

    end = work.passage(entries).end.ps

    # two loads, the latency of the second, one vector operation on 1024 lanes, one store
    assert end == 2 * load + 200_000 + 2 * 1000 + load


def test_double_buffers_hide_loads_behind_products() -> None:
    single = clockwork(matmul_body(2048, 128, 2048), Tiling((128, 128), 128, (0, 1), depth=1))
    double = clockwork(matmul_body(2048, 128, 2048), Tiling((128, 128), 128, (0, 1), depth=2))
    entries = (0,) * (OPEN + 3)

    assert double.passage(entries).end.ps < single.passage(entries).end.ps


def test_later_entries_never_make_the_end_earlier() -> None:
    work = clockwork(matmul_body(), Tiling((64, 64), 64))
    early = (0,) * (OPEN + 3)
    for i in range(1, len(early)):
        late = (*early[:i], 10**6, *early[i + 1 :])
        assert work.passage(late).end.ps >= work.passage(early).end.ps

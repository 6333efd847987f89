"""The limit of a board's power: the clock settles where energy meets it, and the time is shown."""

from fractions import Fraction

import pytest

from emu.devices.datasheet import device_names, generic_names, load_datasheet
from emu.devices.make import make_device
from emu.devices.power import THROTTLE, capped, dynamic_pj, least_ps
from emu.devices.terms import Settled
from emu.ir.trace import Footprint
from emu.pipeline import compile

A100 = load_datasheet("a100_sxm80")
SETTLED = Settled(10, (((0, "useful"), 3), ((1, "compulsory"), 7)))


def test_the_least_time_is_dynamic_energy_over_what_static_power_leaves() -> None:
    did = Footprint(l2_bytes=10**9)
    assert dynamic_pj(did, A100) == Fraction("1.75") * 10**9
    # 1.75e9 pJ / (400 W - 70.4 W)
    assert least_ps(did, A100) == -(-17_500_000_000 // 3296)
    assert least_ps(did, load_datasheet("gpu")) == 0  # whose board states no limit


def test_time_beyond_the_others_is_throttle_of_the_node_that_takes_longest() -> None:
    assert capped(SETTLED, 10, frozenset()) == SETTLED
    slow = capped(SETTLED, 16, frozenset())
    assert slow.ps == 16
    assert dict(slow.shares)[1, THROTTLE] == 6
    assert sum(ps for _, ps in slow.shares) == 16
    assert capped(SETTLED, 16, frozenset((THROTTLE,))) == SETTLED


def test_a_lower_limit_is_never_faster_and_the_ledger_still_sums() -> None:
    program = compile("bert_layer", device="t4", dtype="fp16").compiled.program
    times: list[int] = []
    for watts in (70, 40, 20, 14):
        trace = make_device("t4", changes=(("board.power_w", watts),)).simulate(program)
        assert sum(trace.ledger.values()) == trace.total_ps
        times.append(trace.total_ps)
    assert times == sorted(times)
    assert trace.ledger[THROTTLE] > 0
    free = make_device("t4", changes=(("board.power_w", 14),)).simulate(
        program, frozenset((THROTTLE,))
    )
    assert free.total_ps < times[0]


# Power at equal speed over that of the 4N of an H100, by what the foundries say of their nodes.
NODES = {5: 1, 7: 1 / 0.7, 8: 0.65 * 0.9 / (0.65 * 0.6) / 0.7, 12: 0.75 / (0.65 * 0.6) / 0.7}


def test_energies_of_gpus_are_those_of_one_measured_chip_by_the_power_of_their_nodes() -> None:
    measured = load_datasheet("h100_sxm").energy
    sheets = [load_datasheet(n) for n in device_names() if n not in generic_names()]
    gpus = [sheet for sheet in sheets if sheet.kind == "gpu"]
    assert len(gpus) == 13
    for sheet in gpus:
        energy, node = sheet.energy, NODES[int(sheet.energy.process_nm)]
        assert energy.pj_per_flop_f32 == pytest.approx(measured.pj_per_flop_f32 * node, rel=0.01)
        for dtype, each in energy.pj_per_flop.items():
            assert each == pytest.approx(measured.pj_per_flop[dtype] * node, rel=0.02)
        assert sheet.memory.onchip.energy_pj_byte == pytest.approx(1.0625 * node * 0.7, rel=0.01)
        assert sheet.memory.l2 is not None
        assert sheet.memory.l2.energy_pj_byte == pytest.approx(1.75 * node * 0.7, rel=0.01)
        assert sheet.board is not None
        assert energy.static_w == pytest.approx(0.176 * (sheet.board.power_w or 0), rel=0.01)

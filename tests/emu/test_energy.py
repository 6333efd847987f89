"""Energy by hand: each operation and byte at its figure, watts times picoseconds are picojoules."""

from dataclasses import replace

from emu.devices.datasheet import load_datasheet
from emu.energy import Energy, energy_pj
from emu.ir.ops import Work
from emu.ir.trace import Footprint, Launched, Trace, Traffic
from emu.pipeline import compile


def spent(device: str, did: Footprint, total_ps: int = 0) -> Energy:
    launched = Launched(0, 0, total_ps, {}, did)
    return energy_pj(Trace(total_ps, (launched,), 0), load_datasheet(device))


def test_operations_and_bytes_of_every_level_are_charged() -> None:
    sheet = load_datasheet("gpu")
    figures, memory = sheet.energy, sheet.memory
    assert memory.l2 is not None
    cases = (
        (Footprint(work=Work(flops=1000)), figures.pj_per_flop_f32),
        (Footprint(work=Work(transcendentals=1000)), figures.pj_per_transcendental),
        (Footprint(Traffic(600, 300, 60, 40)), memory.dram.energy_pj_byte),
        (Footprint(onchip_bytes=1000), memory.onchip.energy_pj_byte),
        (Footprint(l2_bytes=1000), memory.l2.energy_pj_byte),
        (Footprint(link_bytes=1000), sheet.link.energy_pj_byte),
    )
    for did, figure in cases:
        assert spent("gpu", did) == Energy(int(1000 * figure), 0), did


def test_a_watt_for_a_picosecond_is_a_picojoule() -> None:
    watts = load_datasheet("systolic").energy.static_w
    assert spent("systolic", Footprint(), 1000) == Energy(0, int(1000 * watts))


def test_the_energy_of_launches_adds_up() -> None:
    did = Footprint(Traffic(1000), onchip_bytes=500, work=Work(8, 2))
    twice = Trace(10, (Launched(0, 0, 5, {}, did), Launched(1, 5, 10, {}, did)), 0)
    sheet = load_datasheet("npu")
    alone = energy_pj(replace(twice, launches=twice.launches[:1]), sheet)
    assert abs(energy_pj(twice, sheet).dynamic - 2 * alone.dynamic) <= 1


def test_the_energy_of_a_small_net_by_hand() -> None:
    settings = {"batch": 1, "features": 8, "hidden": 4, "layers": 1, "classes": 2}
    made = compile("mlp", device="systolic", fusion="none", settings=settings).compiled
    did = made.trace.did

    # x [1, 8] @ w [8, 2] + b [2], the sum [1, 2] written, read and written: 2 launches in all
    assert [n.op for n in made.graph.nodes] == ["MatMul", "Add"]
    assert did.work == Work(2 * 8 * 2 + 2)
    assert did.traffic.total == 4 * (8 + 16 + 2) + 4 * (2 + 2 + 2)
    spent = energy_pj(made.trace, load_datasheet("systolic"))
    by_hand = 34 * 2.3 + 128 * 162.5 + did.onchip_bytes * 12.5
    assert spent == Energy(int(by_hand), made.trace.total_ps * 28)

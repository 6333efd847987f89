"""Energy by hand: each operation and byte at its figure, watts times picoseconds are picojoules."""

from dataclasses import replace

from emu.devices.datasheet import load_datasheet
from emu.devices.power import dynamic_pj
from emu.energy import Energy, energy_pj, launches_pj
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
    half = figures.pj_per_flop["f16"]
    cases = (
        ("f32", Footprint(work=Work(flops=1000)), figures.pj_per_flop_f32),
        ("f16", Footprint(work=Work(flops=1000), narrow={"f16": 1000}), half),
        (
            "transcendental",
            Footprint(work=Work(transcendentals=1000)),
            figures.pj_per_transcendental,
        ),
        ("dram", Footprint(Traffic(600, 300, 60, 40)), memory.dram.energy_pj_byte),
        ("onchip", Footprint(onchip_bytes=1000), memory.onchip.energy_pj_byte),
        ("l2", Footprint(l2_bytes=1000), memory.l2.energy_pj_byte),
        ("link", Footprint(link_bytes=1000), sheet.link.energy_pj_byte),
    )
    for part, did, figure in cases:
        found = spent("gpu", did)
        assert found.total == found.dynamic == int(1000 * figure), part
        assert {**found.operations, **found.levels}[part] == found.total, part


def test_a_watt_for_a_picosecond_is_a_picojoule() -> None:
    watts = load_datasheet("systolic").energy.static_w
    found = spent("systolic", Footprint(), 1000)
    assert (found.dynamic, found.static) == (0, int(1000 * watts))


def test_parts_that_are_no_whole_picojoules_sum_to_the_total_rounded_down() -> None:
    sheet = load_datasheet("gpu")
    did = Footprint(Traffic(7), 3, 5, 1, Work(11, 3), narrow={"f16": 4, "bf16": 2})
    found = spent("gpu", did)
    assert set(found.operations) == {"f32", "f16", "bf16", "transcendental"}
    assert found.dynamic == int(dynamic_pj(did, sheet))
    assert all(pj >= 0 for pj in (*found.operations.values(), *found.levels.values()))


def test_shares_of_launches_sum_to_the_dynamic_energy() -> None:
    made = compile("mlp", device="gpu").compiled
    sheet = load_datasheet("gpu")
    shares = launches_pj(made.trace, sheet)
    assert len(shares) == len(made.trace.launches)
    assert sum(shares) == energy_pj(made.trace, sheet).dynamic


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
    assert (spent.dynamic, spent.static) == (int(by_hand), made.trace.total_ps * 28)
    assert spent.operations["f32"] == 78  # of 78.2; what is left over goes to the next part
    assert spent.levels["dram"] == 20800

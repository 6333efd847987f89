"""The network between cores, by hand."""

from fractions import Fraction
from pathlib import Path

import pytest

from emu.devices.datasheet import datasheet_path, load_datasheet
from emu.devices.network import Transfer, grid, hops, loads, middle
from emu.devices.rates import Rates
from emu.ir.errors import DatasheetError


def test_a_mesh_is_as_near_to_a_square_as_it_can_be() -> None:
    assert [grid(cores) for cores in (1, 2, 7, 12, 16, 72)] == [
        *((1, 1), (1, 2), (1, 7), (3, 4), (4, 4), (8, 9))
    ]
    assert [hops("mesh", 16), hops("ring", 16), hops("crossbar", 16)] == [6, 8, 1]
    assert {hops(topology, 1) for topology in ("mesh", "ring", "crossbar")} == {0}
    assert [middle("mesh", 16), middle("ring", 16), middle("crossbar", 16)] == [4, 2, 0]


def test_what_binds_is_a_reader_a_holder_or_the_middle() -> None:
    # 16 readers of 100 bytes each, 1,600 in all, out of 2 scratchpads.
    apart = Transfer(mine=100, readers=16, holders=2, alike=1)
    assert list(loads("mesh", 16, apart)) == [(100, 1), (1600, 2), (Fraction(400), 4)]
    # All 16 read the same 100 bytes: sent once, and once over the middle.
    alike = Transfer(mine=100, readers=16, holders=2, alike=16)
    assert list(loads("mesh", 16, alike)) == [(100, 1), (100, 2), (Fraction(50), 4)]
    assert list(loads("crossbar", 16, alike)) == [(100, 1), (100, 2)]


def test_rates_are_those_of_the_datasheet() -> None:
    rates = Rates(load_datasheet("npu"))
    (hop,) = rates.hops()[0].alternatives[0]
    assert hop.ps == 6 * 9000
    assert rates.network_bounds(Transfer(100, 16, 2, 16))[0] == (100, Fraction(32, 1000))


def test_a_chip_without_a_network_has_no_rates_of_one() -> None:
    with pytest.raises(ValueError, match="systolic has no network"):
        Rates(load_datasheet("systolic")).hops()


@pytest.mark.parametrize(
    ("device", "said"),
    [("gpu", "network: the cores of a gpu meet in memory.l2"), ("systolic", "is none of mesh")],
)
def test_a_network_that_cannot_be_is_refused(tmp_path: Path, device: str, said: str) -> None:
    block = '\n[network]\ntopology = "star"\nhop_ns = 1\nlink_bytes_per_cycle = 1\nsource = "me"\n'
    path = tmp_path / "mine.toml"
    path.write_text(datasheet_path(device).read_text() + block)
    with pytest.raises(DatasheetError, match=said):
        load_datasheet(path)

"""A library reaches a chip through the functions that the driver exports, and no others."""

import pytest

from emu.devices.driver.linker import Export, Import, link
from emu.ir.errors import AbiMismatch


def square(x: int) -> int:
    return x * x


def add(x: int, y: int) -> int:
    return x + y


TABLE = Export("calls", 2, 5, {"square": square, "add": add})


def test_a_call_goes_through_the_linked_table_and_is_counted() -> None:
    handle = link(Import("calls", 3, 9, ("square", "add")), (TABLE,))
    assert (handle.version, handle.call("square", 4), handle.call("add", 1, 2)) == (5, 16, 3)
    handle.call("square", 1)
    assert handle.calls == {"square": 2, "add": 1}


def test_what_was_not_imported_cannot_be_called_although_it_is_exported() -> None:
    handle = link(Import("calls", 1, 9, ("add",)), (TABLE,))
    with pytest.raises(AbiMismatch, match="have add, need square"):
        handle.call("square", 1)


def test_a_driver_without_the_interface_names_those_that_it_has() -> None:
    with pytest.raises(AbiMismatch, match=r"K5 at link: .*have calls, need other"):
        link(Import("other", 1, 1, ()), (TABLE,))
    with pytest.raises(AbiMismatch, match="have no table"):
        link(Import("other", 1, 1, ()), ())


@pytest.mark.parametrize(("least", "most"), [(1, 1), (6, 9)])
def test_a_consumer_outside_of_the_window_is_refused(least: int, most: int) -> None:
    with pytest.raises(AbiMismatch, match=f"have calls 2 to 5, need calls {least} to {most}"):
        link(Import("calls", least, most, ("add",)), (TABLE,))


@pytest.mark.parametrize(("least", "most", "agreed"), [(1, 2, 2), (5, 9, 5), (4, 4, 4)])
def test_the_edges_of_the_window_are_inside(least: int, most: int, agreed: int) -> None:
    assert link(Import("calls", least, most, ()), (TABLE,)).version == agreed


def test_a_partial_table_is_refused_with_what_is_missing() -> None:
    wanted = Import("calls", 2, 5, ("add", "sub", "mul"))
    with pytest.raises(AbiMismatch, match="have 1 of 3 functions, need sub, mul"):
        link(wanted, (TABLE,))

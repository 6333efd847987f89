"""Policies are carried out by functions that exist, on parts that a chip can be cut into."""

from dataclasses import replace

import pytest

from emu.devices.driver.management import Management, Policy, admit
from emu.devices.driver.partition import Placement, Profile
from emu.ir.errors import ApiUnknown, NotSupported, TelemetryMissing

# As documented for a part of seven instances on eight slices of memory.
SEVENTHS = Placement(
    "table",
    {
        "1g": Profile("1g", 1, 7, 1, tuple(range(7))),
        "2g": Profile("2g", 2, 7, 2, (0, 2, 4)),
        "3g": Profile("3g", 3, 7, 4, (0, 4)),
        "7g": Profile("7g", 7, 7, 8, (0,)),
    },
    slices=8,
    most=7,
)
NAMES = {"partition": "makeParts", "measure": "readFigures"}
MANAGED = Management(NAMES, ("busy", "power"), SEVENTHS)
POLICY = Policy(("1g",) * 7, ("busy",), ("partition", "measure"), NAMES)


def test_seven_instances_are_placed_each_on_its_own_slice() -> None:
    admitted = admit(POLICY, MANAGED)
    assert admitted.partitions == tuple(("1g", start) for start in range(7))
    assert admitted.figures == ("busy",)


def test_large_parts_are_placed_first() -> None:
    assert SEVENTHS.place(("1g", "3g", "2g")) == (("3g", 0), ("2g", 4), ("1g", 6))


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (("1g",) * 8, "have room for 7, need 8"),
        (("3g", "3g", "1g"), "have 0 of 8 slices free, need 1g"),
        (("9g",), "have 1g, 2g, 3g, 7g, need 9g"),
    ],
)
def test_what_does_not_fit_the_table_is_not_supported(wanted: tuple[str, ...], said: str) -> None:
    with pytest.raises(NotSupported, match=said):
        SEVENTHS.place(wanted)


def test_a_chip_that_is_whole_supports_no_partition() -> None:
    with pytest.raises(NotSupported, match="a chip that is whole, need 1g"):
        Placement("none", {}, 1, 1).place(("1g",))


def test_a_mode_makes_equal_parts_only() -> None:
    parts = {"half": Profile("half", 1, 2, 4, (0, 4)), "eighth": Profile("eighth", 1, 8, 1, (0, 1))}
    modes = Placement("mode", parts, 8, 8)
    assert modes.place(("half", "half")) == (("half", 0), ("half", 4))
    with pytest.raises(NotSupported, match="equal parts only"):
        modes.place(("half", "eighth"))


def test_a_function_that_the_driver_does_not_have_is_unknown() -> None:
    with pytest.raises(ApiUnknown, match=r"K8 at admit: .*have makeParts, readFigures, need cut"):
        admit(replace(POLICY, binding={"partition": "cut"}), MANAGED)
    with pytest.raises(ApiUnknown, match="need a binding for it"):
        admit(replace(POLICY, roles=("health",)), replace(MANAGED, functions={}))


def test_a_figure_that_is_not_measured_is_missing() -> None:
    with pytest.raises(TelemetryMissing, match="have busy, power, need links"):
        admit(replace(POLICY, figures=("busy", "links")), MANAGED)

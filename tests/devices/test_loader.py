"""Which binaries a driver runs: native, portable, signed, by feature and by version."""

from dataclasses import replace
from typing import Any, cast

import pytest

from emu.devices.driver import Image, Isa, Loader, encode, load
from emu.devices.driver.container import HOST_CALLS
from emu.ir.body import Body
from emu.ir.errors import ContainerError, NoBinaryForDevice, PortableTooNew, VersionSkew
from emu.ir.program import HostCall, Launch
from emu.ir.tile import TileProgram
from tests.devices.signing import MODULUS, PRIVATE, rom
from tests.devices.test_container import BODY, CHIP, PROGRAM, TILE, resealed

OTHER = Isa("other", word_bytes=2, opcodes={"Load": 41})
LAUNCHES = replace(
    PROGRAM, commands=tuple(c for c in PROGRAM.commands if not isinstance(c, HostCall))
)


def compiled(body: Body) -> TileProgram:
    assert body == BODY
    return replace(TILE, name="compiled")


def test_a_native_image_runs_on_the_same_major_and_no_older_minor_version() -> None:
    for minor in (2, 3, 9):
        assert load(encode(PROGRAM, CHIP), Loader(replace(CHIP, minor=minor))) == PROGRAM


@pytest.mark.parametrize("chip", [replace(CHIP, minor=1), replace(CHIP, major=2, minor=9)])
def test_a_native_image_of_another_major_or_a_newer_minor_is_refused(chip: Isa) -> None:
    with pytest.raises(VersionSkew, match=r"K6 at load: .*have 'chip' 1\.2, need"):
        load(encode(PROGRAM, CHIP), Loader(chip))


def test_some_drivers_take_the_very_minor_version_only() -> None:
    newer = replace(CHIP, minor=3)
    with pytest.raises(VersionSkew, match=r"need 1\.3$"):
        load(encode(PROGRAM, CHIP), Loader(newer, exact=True))
    assert load(encode(PROGRAM, CHIP), Loader(CHIP, exact=True)) == PROGRAM


def test_an_image_for_another_chip_is_refused() -> None:
    with pytest.raises(NoBinaryForDevice, match=r"have 'chip' 1\.2, need 'other'"):
        load(encode(PROGRAM, CHIP), Loader(OTHER))


def test_a_forged_header_still_fails_at_decode() -> None:
    data = encode(PROGRAM, replace(OTHER, name="chip", minor=2))
    with pytest.raises(ContainerError, match="container: "):
        load(data, Loader(CHIP))


@pytest.mark.parametrize("wrong", [replace(CHIP, opcodes={}), replace(CHIP, word_bytes=8)])
def test_opcodes_and_words_are_what_is_decoded(wrong: Isa) -> None:
    with pytest.raises(ContainerError):
        load(encode(PROGRAM, wrong), Loader(CHIP))


def test_without_a_native_image_the_driver_compiles_the_portable_section() -> None:
    data = encode(PROGRAM, CHIP, Image(native=False, portable=3))
    program = load(data, Loader(OTHER, portable=3, compile=compiled))
    made = [c.program for c in program.commands if isinstance(c, Launch)]
    assert made == [replace(TILE, name="compiled")]


def test_a_native_image_that_fits_is_preferred_to_compiling() -> None:
    data = encode(PROGRAM, CHIP, Image(portable=1))
    assert load(data, Loader(CHIP, portable=1, compile=compiled)) == PROGRAM


def test_a_portable_section_newer_than_the_driver_is_refused() -> None:
    data = encode(PROGRAM, CHIP, Image(portable=4))
    with pytest.raises(PortableTooNew, match="have version 3, need 4"):
        load(data, Loader(OTHER, portable=3, compile=compiled))


def test_a_portable_section_older_than_the_window_of_the_driver_is_refused() -> None:
    loader = Loader(OTHER, portable=4, oldest=2, compile=compiled)
    load(encode(PROGRAM, CHIP, Image(native=False, portable=2)), loader)
    with pytest.raises(VersionSkew, match="have versions 2 to 4, need 1"):
        load(encode(PROGRAM, CHIP, Image(native=False, portable=1)), loader)


def test_a_driver_without_a_compiler_has_no_use_for_a_portable_section() -> None:
    data = encode(PROGRAM, CHIP, Image(native=False, portable=1))
    with pytest.raises(NoBinaryForDevice, match="a portable one, and no compiler"):
        load(data, Loader(OTHER, portable=1))
    with pytest.raises(NoBinaryForDevice, match="no native image"):
        load(encode(PROGRAM, CHIP, Image(native=False)), Loader(CHIP))


@pytest.mark.parametrize(("name", "said"), [("für", "'für' 1."), ("a\x1b[2J", r"'a\x1b[2J' ")])
def test_the_name_of_a_chip_is_escaped_if_a_terminal_cannot_show_it(name: str, said: str) -> None:
    with pytest.raises(NoBinaryForDevice) as refused:
        load(encode(PROGRAM, replace(CHIP, name=name)), Loader(CHIP))
    assert said in str(refused.value)


def test_a_binary_format_outside_of_the_window_is_refused() -> None:
    old = encode(PROGRAM, CHIP, Image(format=1))
    assert load(old, Loader(CHIP)) == PROGRAM
    with pytest.raises(VersionSkew, match="have 1, need 2 to 2"):
        load(old, Loader(CHIP, formats=(2, 2)))


def test_a_window_that_claims_more_than_the_driver_can_read_fails_by_reading() -> None:
    data = resealed(b"".join((encode(PROGRAM, CHIP)[:8], b"\x03", encode(PROGRAM, CHIP)[9:])))
    with pytest.raises(ContainerError, match="format at byte 8"):
        load(data, Loader(CHIP, formats=(1, 3)))


def test_features_must_be_on_or_off_where_the_binary_says_so() -> None:
    with pytest.raises(NoBinaryForDevice, match="wants features on: have features 0x0, need 0x1"):
        load(encode(PROGRAM, CHIP), Loader(CHIP, features=0))
    data = encode(LAUNCHES, CHIP, Image(off=HOST_CALLS))
    with pytest.raises(NoBinaryForDevice, match="wants features off"):
        load(data, Loader(CHIP))
    assert load(data, Loader(CHIP, features=0)) == LAUNCHES
    assert load(encode(LAUNCHES, CHIP), Loader(CHIP)) == LAUNCHES  # does not care


def sign(number: int) -> int:
    return pow(number % MODULUS, PRIVATE, MODULUS)


def test_a_vendor_may_sign_user_binaries() -> None:
    loader = Loader(CHIP, key=rom())
    assert load(encode(PROGRAM, CHIP, Image(sign=sign)), loader) == PROGRAM
    assert load(encode(PROGRAM, CHIP, Image(sign=sign)), Loader(CHIP)) == PROGRAM
    for unsigned in (Image(), Image(sign=lambda number: number)):
        with pytest.raises(ContainerError, match="this driver runs signed binaries only"):
            load(encode(PROGRAM, CHIP, unsigned), loader)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"word_bytes": 3}, "a word of 3 bytes"),
        ({"opcodes": {"Moan": 3}}, "nothing is called Moan"),
        ({"opcodes": {"Load": 0}}, "distinct numbers"),
        ({"opcodes": {"Load": 64}}, "distinct numbers"),
    ],
)
def test_an_impossible_instruction_set_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ContainerError, match=said):
        Isa("x", **cast(Any, changes))

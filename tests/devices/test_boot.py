"""A chip comes up only with firmware of its maker, of the version that its ROM demands."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.devices.driver.boot import bind, trusts
from emu.ir.errors import DeviceNotBound, FirmwareAuth, FirmwareVersion
from tests.devices.signing import rom, signed


def test_signed_firmware_of_the_right_version_brings_a_known_chip_up() -> None:
    assert trusts(rom(), signed())
    bind(rom(), signed(), {"a", "b"})


def test_a_chip_that_the_driver_does_not_know_is_not_bound() -> None:
    with pytest.raises(DeviceNotBound, match=r"K7 at bind: .*have drivers for b, c, need a"):
        bind(rom("a"), signed(), ["c", "b"])


def test_firmware_that_was_changed_after_signing_is_refused() -> None:
    with pytest.raises(FirmwareAuth, match="the boot ROM verifies the firmware"):
        bind(rom(), replace(signed(), contents=b"boot."), ["a"])


@given(guess=st.integers(0, 2**600))
@settings(max_examples=30, deadline=None)
def test_no_signature_can_be_guessed(guess: int) -> None:
    assert not trusts(rom(), replace(signed(), signature=guess))


def test_firmware_must_be_of_exactly_the_version_that_the_rom_demands() -> None:
    with pytest.raises(FirmwareVersion, match=r"have 1\.3, need 1\.2"):
        bind(rom(), signed("1.3"), ["a"])

"""Binding a driver to a chip: the configuration space is probed, the boot ROM checks firmware.

The chip's maker signs firmware with a private exponent; only the public key is in the ROM. Who has
no exponent cannot make firmware that the ROM accepts, however the driver is written.
"""

from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256

from emu.ir.errors import DeviceNotBound, FirmwareAuth, FirmwareVersion


@dataclass(frozen=True)
class Rom:
    """What a chip answers before any firmware runs: its id, the key it trusts, what it demands.

    ``modulus`` and ``exponent`` are an RSA public key (Rivest, Shamir and Adleman, 1978), without
    padding, over SHA-256 reduced by the modulus.
    """

    chip_id: str
    modulus: int
    exponent: int
    firmware_version: str


@dataclass(frozen=True)
class Firmware:
    """An image that a driver brings: its contents are what is signed."""

    version: str
    contents: bytes
    signature: int


def bind(rom: Rom, firmware: Firmware, chip_ids: Collection[str]) -> None:
    """Bring a chip up; raises DeviceNotBound, FirmwareAuth or FirmwareVersion, in this order."""
    if rom.chip_id not in chip_ids:
        known = ", ".join(sorted(chip_ids)) or "no chip"
        raise DeviceNotBound("the driver probes the chip", f"drivers for {known}", rom.chip_id)
    if not trusts(rom, firmware):
        raise FirmwareAuth(
            "the boot ROM verifies the firmware",
            f"signature {firmware.signature:x}"[:40],
            f"one by the key of modulus {rom.modulus:x}"[:60],
        )
    if firmware.version != rom.firmware_version:
        raise FirmwareVersion(
            "the boot ROM starts the firmware", firmware.version, rom.firmware_version
        )


def trusts(rom: Rom, firmware: Firmware) -> bool:
    """Whether the signature, raised to the public exponent, is the digest of the contents."""
    opened = pow(firmware.signature, rom.exponent, rom.modulus)
    return opened == digest(firmware.contents) % rom.modulus


def digest(contents: bytes) -> int:
    """The SHA-256 of contents as a number."""
    return int.from_bytes(sha256(contents).digest(), "big")

"""A maker of chips for tests: a key pair, of which only the public half ever reaches a ROM."""

from emu.devices.driver.boot import Firmware, Rom, digest

# Two primes of 2^127 - 1 and 2^521 - 1 (Mersenne), so that a test can sign what it likes.
P, Q, EXPONENT = 2**127 - 1, 2**521 - 1, 65537
MODULUS = P * Q
PRIVATE = pow(EXPONENT, -1, (P - 1) * (Q - 1))


def rom(chip_id: str = "a", firmware_version: str = "1.2") -> Rom:
    return Rom(chip_id, MODULUS, EXPONENT, firmware_version)


def signed(version: str = "1.2", contents: bytes = b"boot") -> Firmware:
    return Firmware(version, contents, pow(digest(contents) % MODULUS, PRIVATE, MODULUS))

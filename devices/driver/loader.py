"""Loading a binary: which of its sections runs on a chip, by the rules that drivers really have.

A native image runs if its instruction set is the chip's, of the same major version and of no newer
minor one. Otherwise a portable section is compiled, unless it is newer than the driver.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from emu.devices.driver.boot import Rom
from emu.devices.driver.check import check
from emu.devices.driver.container import (
    FEATURES,
    KEPT,
    NATIVE,
    NEWEST,
    Opened,
    decode,
    named,
    open_binary,
)
from emu.devices.driver.isa import Isa
from emu.devices.driver.stream import Damage, shown
from emu.ir.body import Body
from emu.ir.errors import ContainerError, NoBinaryForDevice, PortableTooNew, VersionSkew
from emu.ir.program import Launch, Program
from emu.ir.tile import TileProgram


@dataclass(frozen=True)
class Loader:
    """What a driver takes for a chip.

    ``formats`` is the window of binary formats; ``exact`` wants the chip's own minor version;
    ``oldest`` to ``portable`` are the portable sections that ``compile`` understands; ``features``
    are what the driver has; with ``key`` (modulus and exponent) binaries must be signed.
    """

    isa: Isa
    formats: tuple[int, int] = (1, NEWEST)
    exact: bool = False
    portable: int = 0
    oldest: int = 0
    features: int = FEATURES
    compile: Callable[[Body], TileProgram] | None = None
    key: Rom | None = None


def load(data: bytes, loader: Loader) -> Program:
    """Return the program of a binary.

    Raises ContainerError, with field and offset, if it is damaged or refers to things that it does
    not have; VersionSkew, PortableTooNew or NoBinaryForDevice if no section is for this driver.
    """
    try:
        opened = open_binary(data)
    except Damage as damage:
        raise named(damage) from None
    _check_format(opened, loader)
    _check_signature(opened, loader)
    _check_features(opened, loader)
    if _runs_native(opened, loader):
        return check(decode(opened, loader.isa))
    if opened.portable:
        return check(_compiled(opened, loader))
    have = f"'{shown(opened.isa)[:40]}' {opened.major}.{opened.minor}"
    if NATIVE in opened.sections and opened.isa == loader.isa.name:
        raise VersionSkew("the driver loads a native image", have, _version(loader))
    have = have if NATIVE in opened.sections else "no native image"
    raise NoBinaryForDevice("the driver looks for a section", have, f"'{loader.isa.name}'")


def _check_format(opened: Opened, loader: Loader) -> None:
    form = int.from_bytes(opened.data[8:10], "little")
    least, most = loader.formats
    if not least <= form <= most:
        raise VersionSkew("the driver reads the format", f"{form}", f"{least} to {most}")


def _check_signature(opened: Opened, loader: Loader) -> None:
    if loader.key is None:
        return
    rom, given = loader.key, opened.signature
    if given is None or pow(given, rom.exponent, rom.modulus) != opened.signed % rom.modulus:
        raise ContainerError("container: signature: this driver runs signed binaries only")


def _check_features(opened: Opened, loader: Loader) -> None:
    if missing := opened.on & ~loader.features:
        have = f"features {loader.features:#x}"
        raise NoBinaryForDevice("the binary wants features on", have, f"{missing:#x}")
    if disliked := opened.off & loader.features:
        have = f"features {loader.features:#x}"
        raise NoBinaryForDevice("the binary wants features off", have, f"{disliked:#x} off")


def _runs_native(opened: Opened, loader: Loader) -> bool:
    """Whether there is a native image that the chip runs."""
    isa = loader.isa
    if NATIVE not in opened.sections or (opened.isa, opened.major) != (isa.name, isa.major):
        return False
    return opened.minor == isa.minor if loader.exact else opened.minor <= isa.minor


def _version(loader: Loader) -> str:
    isa = loader.isa
    return f"{isa.major}.{isa.minor}" + ("" if loader.exact else " or an older minor")


def _compiled(opened: Opened, loader: Loader) -> Program:
    """The program with tile programs that the driver compiles from the portable section."""
    compile = loader.compile
    if compile is None:
        raise NoBinaryForDevice(
            "the driver looks for a section",
            "a portable one, and no compiler",
            f"'{loader.isa.name}'",
        )
    if opened.on & KEPT:
        raise NoBinaryForDevice(
            "the driver compiles the portable section",
            "values that its own kernels do not keep on chip",
            "a program without them",
        )
    if opened.portable > loader.portable:
        raise PortableTooNew(
            "the driver compiles the portable section",
            f"version {loader.portable}",
            opened.portable,
        )
    if opened.portable < loader.oldest:
        window = f"versions {loader.oldest} to {loader.portable}"
        raise VersionSkew("the driver compiles the portable section", window, opened.portable)
    program = decode(opened, None)
    commands = (
        replace(c, program=compile(c.body)) if isinstance(c, Launch) else c
        for c in program.commands
    )
    return replace(program, commands=tuple(commands))

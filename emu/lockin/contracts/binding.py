"""K7, bind, and K8, admit: a driver brings the chip up, and an orchestrator has its policy run."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, cast

from emu.devices.driver import boot
from emu.devices.driver.boot import Firmware, Rom
from emu.devices.driver.management import Admitted, Management, Policy, admit
from emu.devices.driver.partition import Placement, Profile
from emu.ir.errors import ApiUnknown, NotSupported
from emu.lockin.parts import Catalogue, Choice, Meeting, Part, meetings
from emu.lockin.schema import FIGURE, PARTITION
from emu.lockin.source import Source
from emu.telemetry import FIGURES


def bind(choice: Choice, source: Source, catalogue: Catalogue) -> Part:
    """K7: the first driver of the bundle that has firmware probes the chip and boots it.

    Returns that driver. Raises DeviceNotBound, FirmwareAuth or FirmwareVersion.
    """
    del source, catalogue
    rom = rom_of(choice["device"][0])
    ids = [chip for driver in choice["driver"] for chip in driver.fact("chip_ids")]
    drivers = [d for d in choice["driver"] if rom.chip_id in d.fact("chip_ids")]
    booting = drivers[0] if drivers else choice["driver"][0]
    boot.bind(rom, firmware_of(booting), ids)
    return booting


def rom_of(device: Part) -> Rom:
    """The boot ROM of a chip."""
    return Rom(
        device.fact("chip_id"),
        int(device.fact("rom_modulus"), 16),
        device.fact("rom_exponent"),
        device.fact("firmware_version"),
    )


def firmware_of(driver: Part) -> Firmware:
    """The firmware that a driver brings; what is signed is its version."""
    version: str = driver.fact("firmware_version")
    return Firmware(version, version.encode(), int(driver.fact("firmware_signature"), 16))


def admitted(choice: Choice, source: Source, catalogue: Catalogue) -> Admitted:
    """K8: the orchestrator calls the driver's management functions to carry its policy out.

    Raises ApiUnknown, NotSupported or TelemetryMissing.
    """
    del source
    orchestrator, device = choice["orchestrator"][0], choice["device"][0]
    intents: list[str] = orchestrator.fact("intents")
    if not intents:
        return Admitted((), (), ())
    met = _met(choice, orchestrator, catalogue)
    functions = catalogue.interfaces[met.interface].upto(met.version)
    placement = placement_of(device)
    claimed = (figure for driver in choice["driver"] for figure in driver.fact("figures"))
    figures = tuple(figure for figure in claimed if figure in FIGURES)
    management = Management(_open(functions, choice["driver"]), figures, placement)
    return admit(_policy(intents, functions, placement), management)


def booted(choice: Choice, driver: Part, catalogue: Catalogue) -> tuple[Part, ...]:
    """Who took part in K7."""
    del catalogue
    return driver, choice["device"][0]


def managed(choice: Choice, admitted: Admitted, catalogue: Catalogue) -> tuple[Part, ...]:
    """Who took part in K8: nobody where no function was called."""
    if not admitted.functions:
        return ()
    orchestrator = choice["orchestrator"][0]
    return orchestrator, _met(choice, orchestrator, catalogue).exporter


def _met(choice: Choice, orchestrator: Part, catalogue: Catalogue) -> Meeting:
    kinds = catalogue.of_kind("management")
    found = meetings(choice["driver"], (orchestrator,), kinds)
    if not found:
        have = [o.interface for d in choice["driver"] for o in d.exports if o.interface in kinds]
        need = [f"{o.interface} {o.least} to {o.most}" for o in orchestrator.imports]
        raise ApiUnknown(
            "the orchestrator opens the management interface",
            ", ".join(have) or "no management interface",
            ", ".join(need) or "any",
        )
    return found[0]


def _open(functions: Mapping[str, str], drivers: tuple[Part, ...]) -> dict[str, str]:
    """The functions that the drivers let others call."""
    closed = {name for driver in drivers for name in driver.fact("closed")}
    return {role: name for role, name in functions.items() if name not in closed}


def _policy(intents: list[str], functions: Mapping[str, str], placement: Placement) -> Policy:
    partitions = profiles_of(intents, placement)
    figures = figures_of(intents)
    roles = [i for i in intents if not i.startswith((PARTITION, FIGURE))]
    roles += ["partition"] * bool(partitions) + ["measure"] * bool(figures)
    return Policy(partitions, figures, tuple(roles), functions)


def profiles_of(intents: list[str], placement: Placement) -> tuple[str, ...]:
    """The profiles that are the shares of a chip which a policy asks for."""
    shares = [i.removeprefix(PARTITION) for i in intents if i.startswith(PARTITION)]
    return tuple(_profile(Fraction(share), placement) for share in shares)


def figures_of(intents: list[str]) -> tuple[str, ...]:
    """The figures that a policy reads, each once."""
    read = (i.removeprefix(FIGURE) for i in intents if i.startswith(FIGURE))
    return tuple(dict.fromkeys(read))


def _profile(share: Fraction, placement: Placement) -> str:
    """The profile that is such a share of the chip."""
    for profile in placement.profiles.values():
        if profile.share == share:
            return profile.name
    have = [f"{profile.share}" for profile in placement.profiles.values()]
    raise NotSupported("a partition is asked for", ", ".join(have) or "a whole chip", share)


def placement_of(device: Part) -> Placement:
    """How a chip can be cut, from its facts."""
    table: dict[str, Any] = device.fact("placement")
    rows = cast("list[dict[str, Any]]", table.get("profiles", []))
    profiles = {
        row["name"]: Profile(
            row["name"], row["cores"], row["of"], row["slices"], tuple(row["starts"])
        )
        for row in rows
    }
    slices, most = table.get("slices", 1), table.get("most", 1)
    return Placement(device.fact("placement_kind"), profiles, slices, most)

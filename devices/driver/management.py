"""Managing a chip from outside: functions by name, partitions, and figures that are measured."""

from collections.abc import Mapping
from dataclasses import dataclass

from emu.devices.driver.partition import Placement
from emu.ir.errors import ApiUnknown, TelemetryMissing

PARTITION, MEASURE, HEALTH, VERSIONS = "partition", "measure", "health", "versions"
ROLES = (PARTITION, MEASURE, HEALTH, VERSIONS)


@dataclass(frozen=True)
class Policy:
    """What an orchestrator demands, and by which functions it asks for it.

    ``binding`` maps a role to the name of the management function that it will call.
    """

    partitions: tuple[str, ...]
    figures: tuple[str, ...]
    roles: tuple[str, ...]
    binding: Mapping[str, str]


@dataclass(frozen=True)
class Management:
    """What a driver lets be managed: names of functions by role, and what it measures."""

    functions: Mapping[str, str]
    figures: tuple[str, ...]
    placement: Placement


@dataclass(frozen=True)
class Admitted:
    """A policy that a chip is run under.

    The partitions with their slices, the figures read, and the functions called for all of it.
    """

    partitions: tuple[tuple[str, int], ...]
    figures: tuple[str, ...]
    functions: tuple[str, ...]


def admit(policy: Policy, management: Management) -> Admitted:
    """Carry a policy out; raises ApiUnknown, NotSupported or TelemetryMissing."""
    exported = set(management.functions.values())
    for role in policy.roles:
        name = policy.binding.get(role, "")
        if name not in exported:
            have = ", ".join(sorted(exported)) or "no management function"
            raise ApiUnknown(f"the orchestrator asks for {role}", have, name or "a binding for it")
    placed = management.placement.place(policy.partitions) if policy.partitions else ()
    for figure in policy.figures:
        if figure not in management.figures:
            have = ", ".join(management.figures) or "no figure"
            raise TelemetryMissing("the orchestrator reads telemetry", have, figure)
    functions = tuple(policy.binding[role] for role in policy.roles)
    return Admitted(placed, policy.figures, functions)

"""Whether a stack has its launches issued as graphs, by what its compiler, drivers and chip are."""

from emu.devices.device import Device
from emu.devices.driver.handles import GRAPH
from emu.lockin.contracts.linking import roles_of
from emu.lockin.partitions import cuts
from emu.lockin.parts import Bundle, Catalogue, Choice

PROGRAM = ("front_end", "compiler", "kernels", "device")  # slots that all programs follow from


def replays(choice: Choice, catalogue: Catalogue, chip: Device) -> bool:
    """Whether the compiler has its program captured, and drivers and chip can replay it.

    Where they cannot it launches one by one, as compilers go on without graphs. Raises AbiMismatch
    if the drivers cannot be opened.
    """
    eager = choice["front_end"][0].fact("mode") == "eager"
    if eager or not wishes(choice["compiler"]) or chip.sheet.launch.replay_us is None:
        return False
    return GRAPH in roles_of(choice, catalogue)


def wishes(compilers: Bundle) -> bool:
    """Whether a compiler has programs captured: with no other do drivers matter to a program."""
    return any(part.fact("replays") for part in compilers)


def program_slots(compilers: Bundle, orchestrators: Bundle) -> tuple[str, ...]:
    """What programs follow from: drivers if the compiler would replay, who cuts chips if one is."""
    drivers = ("driver",) if wishes(compilers) else ()
    return (*PROGRAM, *drivers, *(("orchestrator",) if cuts(orchestrators) else ()))

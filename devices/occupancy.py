"""How many tiles a core of a GPU holds at once."""

from emu.devices.datasheet import Datasheet
from emu.ir.regions import footprint_bytes
from emu.ir.tile import TileProgram


def occupancy(program: TileProgram, sheet: Datasheet) -> int:
    """Tiles that one core holds at once, by on-chip memory (registers too) and by threads."""
    limits = sheet.limits
    if limits is None:
        return 1
    onchip = sheet.memory.onchip.capacity_kib + limits.registers_kib_per_core
    by_memory = int(onchip * 1024) // max(1, footprint_bytes(program))
    by_threads = limits.max_threads_per_core // program.threads
    return max(1, min(by_memory, by_threads, limits.max_tiles_per_core))

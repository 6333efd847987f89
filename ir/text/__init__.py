"""Every level as text, in MLIR's generic form, so that upstream MLIR parses what emu prints."""

from emu.ir.text.graph import print_graph
from emu.ir.text.groups import print_fused, print_schedule
from emu.ir.text.program import print_program
from emu.ir.text.tile import print_schedule_tiles, print_tile

__all__ = [
    "print_fused",
    "print_graph",
    "print_program",
    "print_schedule",
    "print_schedule_tiles",
    "print_tile",
]

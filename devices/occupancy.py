"""How many tiles a core of a GPU holds at once."""

from functools import lru_cache

from emu.devices.datasheet import Datasheet
from emu.ir.regions import footprint_bytes, held_bytes
from emu.ir.tile import Compute, TileProgram

KIB = 1024
# Sums of products take about half of the registers, fragments of operands and addresses the rest:
# "typically at least half a thread's total register budget" (CUTLASS, Efficient GEMM in CUDA).
BESIDE_SUMS = 2


def occupancy(program: TileProgram, sheet: Datasheet) -> int:
    """Tiles that one core holds at once, by shared memory, registers and threads.

    What warps of a tile exchange, the operands of its products, lies in shared memory; the sums of
    products lie in registers; anything else in either.
    """
    limits = sheet.limits
    if limits is None:
        return 1
    shared, registers = sheet.memory.onchip.capacity_kib, limits.registers_kib_per_core
    operands, sums = _of_products(program)
    held = BESIDE_SUMS * sums
    needs = ((shared, operands), (registers, held), (shared + registers, footprint_bytes(program)))
    by_memory = (int(kib * KIB) // size for kib, size in needs if size)
    by_threads = limits.max_threads_per_core // program.threads
    return max(1, min(*by_memory, by_threads, limits.max_tiles_per_core))


@lru_cache(maxsize=16384)
def _of_products(program: TileProgram) -> tuple[int, int]:
    """Bytes of the operands of all products in a tile, and of their sums; all versions of each."""
    operands, sums = set[int](), set[int]()
    for placed in program.statements:
        match placed.statement:
            case Compute(ins=ins, out=out, kind="matrix"):
                operands |= {operand.buffer for operand in ins if operand is not None}
                sums.add(out)
            case _:
                pass
    return held_bytes(program, operands), held_bytes(program, sums - operands)

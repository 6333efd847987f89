"""Pick one tiling by a rule about shapes, without timing anything, as many libraries do."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import prod

from emu.ir.body import Body
from emu.ir.machine import Machine
from emu.ir.regions import trips
from emu.ir.tile import TileProgram
from emu.kernels.granules import whole_granules
from emu.kernels.library import Kernel
from emu.kernels.slicing import Untileable
from emu.kernels.tiling import Tiling


def heuristic(
    kernel: Kernel,
    body: Body,
    machine: Machine,
    length: int,
    fits: Callable[[TileProgram], bool],
) -> Tiling | None:
    """The tiling that keeps most cores busy with the largest tiles; None if none ``fits`` the chip.

    It is one of the first ``length`` of the kernel's menu, the first of equal ones. Larger tiles
    load less again, and more tiles than cores are not needed for a core to have work.
    """
    best, best_key = None, (0, 0)
    for tiling, program in _fitting(kernel, body, machine, length, fits):
        key = (min(_tiles(program), machine.cores), prod(tiling.tile))
        if best is None or key > best_key:
            best, best_key = tiling, key
    return best


def _fitting(
    kernel: Kernel,
    body: Body,
    machine: Machine,
    length: int,
    fits: Callable[[TileProgram], bool],
) -> Iterator[tuple[Tiling, TileProgram]]:
    """The tilings of the menu whose programs fit on chip, with one version of each buffer if not.

    They are in the order of the menu.
    """
    for tiling in kernel.menu(body, machine, length):
        for version in (tiling, replace(tiling, depth=1)):
            program = _program(kernel, body, version)
            if program is not None and fits(program):
                yield version, program
                break


def _program(kernel: Kernel, body: Body, tiling: Tiling) -> TileProgram | None:
    """The program of a tiling, None if the body cannot be cut that way."""
    try:
        return kernel.template(body, whole_granules(body, tiling), kernel.name)
    except Untileable:
        return None


def _tiles(program: TileProgram) -> int:
    """How many tiles can run at once: the iterations of all parallel loops."""
    return prod(trips(loop, {}) for loop in program.loops if loop.parallel)

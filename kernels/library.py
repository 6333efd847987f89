"""What a kernel and a library are: a claim with a reason, a template, and a menu of tilings."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from emu.ir.body import Body
from emu.ir.machine import Machine
from emu.ir.regions import footprint_bytes
from emu.ir.tile import TileProgram
from emu.kernels.slicing import Untileable
from emu.kernels.tiling import Tiling

Claims: TypeAlias = Callable[[Body], str | None]
Template: TypeAlias = Callable[[Body, Tiling, str], TileProgram]
Menu: TypeAlias = Callable[[Body, Machine, int], Iterator[Tiling]]


@dataclass(frozen=True)
class Kernel:
    """One way to compute groups.

    ``claims`` returns None if it takes a body, else the reason why not. ``tilewise`` kernels
    promise to compute in the order of their tiles.
    """

    name: str
    about: str
    claims: Claims
    template: Template
    menu: Menu
    tilewise: bool = False


@dataclass(frozen=True)
class Library:
    """Kernels in order of preference; depth is which groups they claim and how many tilings.

    ``menu_length`` tilings are tried for a group; lanes load ``load_width_bytes`` at a time.
    """

    name: str
    about: str
    kernels: tuple[Kernel, ...]
    menu_length: int
    load_width_bytes: int

    def programs(self, kernel: Kernel, body: Body, machine: Machine) -> Iterator[TileProgram]:
        """The tile programs of ``kernel`` for a body that it claims; none if it cannot be cut.

        Where two versions of every streamed buffer do not fit on chip, there is only one of each.
        """
        seen: set[TileProgram] = set()
        for tiling in kernel.menu(body, machine, self.menu_length):
            program = self.program(kernel, body, tiling)
            if program is not None and footprint_bytes(program) > machine.onchip_bytes:
                program = self.program(kernel, body, replace(tiling, depth=1))
            if program is not None and program not in seen:
                seen.add(program)
                yield program

    def program(self, kernel: Kernel, body: Body, tiling: Tiling) -> TileProgram | None:
        """One tile program of the menu, None if the body cannot be cut that way."""
        tiling = replace(tiling, load_width_bytes=self.load_width_bytes)
        try:
            return kernel.template(body, tiling, f"{self.name}.{kernel.name}")
        except Untileable:
            return None

"""What a kernel and a library are: a claim with a reason, a template, and a menu of tilings."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

from emu.ir.body import Body
from emu.ir.machine import Machine
from emu.ir.regions import taken_bytes
from emu.ir.tile import TileProgram
from emu.kernels.alignment import aligned_width
from emu.kernels.granules import reductions, whole_granules
from emu.kernels.slicing import Untileable
from emu.kernels.tiling import Tiling

Claims: TypeAlias = Callable[[Body], str | None]
Template: TypeAlias = Callable[[Body, Tiling, str], TileProgram]
Menu: TypeAlias = Callable[[Body, Machine, int], Iterator[Tiling]]

COUNTING = frozenset(("i1", "i64"))  # masks and indices: every kernel that reads them takes them


@dataclass(frozen=True)
class Kernel:
    """One way to compute groups.

    ``claims`` returns None if it takes a body, else the reason why not. ``dtypes`` are the element
    types and ``layouts`` the layouts that it takes, None any. ``tilewise`` kernels promise to
    compute in the order of their tiles.
    """

    name: str
    about: str
    claims: Claims
    template: Template
    menu: Menu
    tilewise: bool = False
    dtypes: frozenset[str] | None = None
    layouts: frozenset[str] | None = None

    def refusal(self, body: Body) -> str | None:
        """Why the kernel does not take a body, None if it does: types and layouts, then claims."""
        used = dict.fromkeys(t.dtype for t in body.types if t.dtype not in COUNTING)
        stored = dict.fromkeys(t.layout for t in body.types)
        return (
            _outside("element type", used, self.dtypes)
            or _outside("layout", stored, self.layouts)
            or self.claims(body)
        )


def _outside(kind: str, used: Iterable[str], known: frozenset[str] | None) -> str | None:
    """Why a kernel that knows some names of a kind cannot take those that are used."""
    foreign = [] if known is None else [name for name in used if name not in known]
    if known is None or not foreign:
        return None
    return f"takes {kind} {' or '.join(sorted(known))}, not {' and '.join(foreign)}"


ONE_ELEMENT = 0  # a width of loads


@dataclass(frozen=True)
class Library:
    """Kernels in order of preference; depth is which groups they claim and how many tilings.

    ``menu_length`` tilings are tried for a group; lanes load ``load_width_bytes`` at a time, which
    may be ONE_ELEMENT of the result, or less where rows of factors are not aligned. Its products
    ``split`` their reductions as a ``Tiling`` says. What it ``teaches`` are ops that it brings to
    chips whose datasheets refuse them.
    """

    name: str
    about: str
    kernels: tuple[Kernel, ...]
    menu_length: int
    load_width_bytes: int
    split: str = ""
    teaches: frozenset[str] = frozenset()

    def home(self, kernel: Kernel) -> "Library":
        """The library whose depth a kernel of this one has: its menu and its width of loads."""
        del kernel
        return self

    def cuts(self, kernel: Kernel) -> Hashable:
        """All that the programs of ``kernel`` follow from: neither what it takes, nor who else."""
        way = kernel.name, kernel.template, kernel.menu, kernel.tilewise
        return self.name, self.menu_length, self.load_width_bytes, self.split, *way

    def programs(
        self, kernel: Kernel, body: Body, machine: Machine
    ) -> Sequence[tuple[Tiling, TileProgram]]:
        """The tile programs of ``kernel`` for a body that it claims, each with its tiling.

        There are none if the body cannot be cut. Where two versions of every streamed buffer do not
        fit on chip, there is only one of each. Equal machines share them.
        """
        return _programs(self, kernel, body, machine)

    def one_by_one(
        self, kernel: Kernel, body: Body, machine: Machine
    ) -> Iterator[tuple[Tiling, TileProgram]]:
        """The same, each made when it is asked for; equal programs come again."""
        menu = kernel.menu(body, machine, self.menu_length)
        for tiling in (way for asked in menu for way in reductions(body, asked)):
            program = self.program(kernel, body, tiling)
            if program is not None and taken_bytes(program, machine) > machine.onchip_bytes:
                tiling = replace(tiling, depth=1)
                program = self.program(kernel, body, tiling)
            if program is not None:
                yield tiling, program

    def program(self, kernel: Kernel, body: Body, tiling: Tiling) -> TileProgram | None:
        """One tile program of the menu, None if the body cannot be cut that way."""
        width = self.load_width_bytes or body.types[body.nodes[-1].out].itemsize
        width = aligned_width(body, width)
        tiling = replace(tiling, load_width_bytes=width, split=self.split)
        tiling = whole_granules(body, tiling)
        try:
            return kernel.template(body, tiling, f"{self.name}.{kernel.name}")
        except Untileable:
            return None


@lru_cache(maxsize=4096)
def _programs(
    library: Library, kernel: Kernel, body: Body, machine: Machine
) -> Sequence[tuple[Tiling, TileProgram]]:
    found: dict[TileProgram, Tiling] = {}
    for tiling, program in library.one_by_one(kernel, body, machine):
        found.setdefault(program, tiling)
    return tuple((tiling, program) for program, tiling in found.items())

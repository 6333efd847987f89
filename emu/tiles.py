"""Choose the tiles of one kernel: by a rule, by timing a menu, or by walking on from there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from emu.devices.device import Device
from emu.ir.body import Body
from emu.ir.machine import Machine
from emu.ir.regions import taken_bytes
from emu.ir.tile import TileProgram
from emu.kernels.heuristic import heuristic
from emu.kernels.library import Kernel, Library
from emu.kernels.tiling import Tiling
from emu.tuning.tuner import Tuner


@dataclass(frozen=True)
class Choice:
    """The cheapest way that one library has to compute a body, or why it has none.

    ``ps`` is its time alone on the chip; a choice that was not worth timing has a bound instead
    (``timed`` False). ``tiling`` is what its program was cut by; ``trials`` tilings were tried
    besides the menu, whose best takes ``menu_ps``.
    """

    kernel: str = ""
    program: TileProgram | None = None
    tilewise: bool = False
    ps: int = 0
    why: str = ""
    timed: bool = True
    tiling: Tiling | None = None
    trials: int = 0
    menu_ps: int = 0


Ranked = tuple[int, int, Tiling, TileProgram]  # bound in ps, place on the menu


@dataclass(frozen=True)
class Tiler:
    """How tiles are chosen on one machine: ``how`` is "heuristic", "exhaustive" or "any".

    Any are the first of a menu that fit, which is quick to find. With a ``tuner``, kernels that the
    compiler generates are tuned from there.
    """

    device: Device
    machine: Machine
    how: str = "exhaustive"
    tuner: Tuner | None = None

    def best(self, library: Library, kernel: Kernel, body: Body, worth_ps: int | None) -> Choice:
        """The program of a kernel that claims ``body``; one without a program if none fits.

        Programs are timed in the order of a bound on their time, until no other can be faster;
        with ``worth_ps``, those that cannot be faster than that are not timed.
        """
        library = library.home(kernel)
        if self.how == "any":
            return self.first(library, kernel, body)
        ranked, why_not = self.ranked(library, kernel, body)
        if not ranked:
            return Choice(why=why_not)
        bound, _, tiling, program = ranked[0]
        if worth_ps is not None and bound >= worth_ps:
            return replace(_chosen(library, kernel, bound, tiling, program), timed=False)
        chosen = _chosen(library, kernel, *self.fastest(ranked, worth_ps))
        return self.tuned(library, kernel, body, chosen)

    def first(self, library: Library, kernel: Kernel, body: Body) -> Choice:
        """The first program of a menu that fits the chip; a choice without one if none does."""
        key = "first", self.machine.cores, library.cuts(kernel), body
        menu = library.one_by_one(kernel, body, self.machine)
        fitting = ((tiling, made) for tiling, made in menu if self.device.fits(made))
        tiling, program = self.device.memo(key, lambda: next(fitting, (None, None)))
        if program is None:
            return Choice(why="no tiling of its menu fits")
        return _chosen(library, kernel, self.device.price(program), tiling, program)

    def ranked(self, library: Library, kernel: Kernel, body: Body) -> tuple[Sequence[Ranked], str]:
        """The programs that fit in the order of a bound on their time, or why none does.

        Worked out once on a chip, whatever else the library has and the kernel takes.
        """
        key = "ranked", self.machine.cores, self.how, library.cuts(kernel), body
        return self.device.memo(key, lambda: self.rank(self.cut(library, kernel, body)))

    def rank(self, cut: Sequence[tuple[Tiling, TileProgram]]) -> tuple[Sequence[Ranked], str]:
        """The same for programs with their tilings, the first of equal bounds first."""
        if not cut:
            return (), "cannot be cut"
        fitting = [
            (self.device.bound_ps(p), i, t, p)
            for i, (t, p) in enumerate(cut)
            if self.device.fits(p)
        ]
        smallest = min((p for _, p in cut), key=lambda p: taken_bytes(p, self.machine))
        return sorted(fitting), "" if fitting else self.device.shortage(smallest)

    def cut(
        self, library: Library, kernel: Kernel, body: Body
    ) -> Sequence[tuple[Tiling, TileProgram]]:
        """The programs to choose from, with their tilings: one by the rule, or the whole menu."""
        if self.how != "heuristic":
            return library.programs(kernel, body, self.machine)
        tiling = heuristic(kernel, body, self.machine, library.menu_length, self.device.fits)
        program = None if tiling is None else library.program(kernel, body, tiling)
        return () if tiling is None or program is None else ((tiling, program),)

    def fastest(
        self, ranked: Sequence[Ranked], worth_ps: int | None
    ) -> tuple[int, Tiling, TileProgram]:
        """The fastest program, the first of equal ones; timed if a close bound leaves it a chance.

        With ``worth_ps``, programs that cannot be faster than that are not timed.
        """
        device = self.device
        best = device.price(ranked[0][3]), 0
        for place, (bound, _, _, program) in enumerate(ranked[1:], 1):
            if bound >= (best[0] if worth_ps is None else min(best[0], worth_ps)):
                break  # of equal ones the first is kept, and the bounds only grow
            if (device.least_ps(program), place) < best:
                best = min(best, (device.price(program), place))
        return best[0], *ranked[best[1]][2:]

    def tuned(self, library: Library, kernel: Kernel, body: Body, start: Choice) -> Choice:
        """The choice that tuning makes from the best of the menu, for a generated kernel."""
        if self.tuner is None or library.name != "generated" or start.tiling is None:
            return start
        found = self.tuner.tune(library, kernel, body, self.machine, start.tiling, start.ps)
        program = library.program(kernel, body, found.tiling)
        return replace(
            start,
            program=program,
            tiling=found.tiling,
            ps=found.ps,
            trials=found.trials,
            menu_ps=start.ps,
        )


def _chosen(
    library: Library, kernel: Kernel, ps: int, tiling: Tiling | None, program: TileProgram
) -> Choice:
    name = f"{library.name}.{kernel.name}"
    return Choice(name, program, kernel.tilewise, ps, f"claimed by {name}", tiling=tiling)

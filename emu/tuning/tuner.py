"""Tune the tiles of a generated kernel: start from its menu's best and walk over the tile space."""

from dataclasses import dataclass

from emu.devices.device import Device
from emu.digest import digest
from emu.dump import Tick, unwatched
from emu.ir.body import Body
from emu.ir.machine import Machine
from emu.ir.tile import TileProgram
from emu.kernels.library import Kernel, Library
from emu.kernels.tile_space import TileSpace, tile_space
from emu.kernels.tiling import Tiling
from emu.tuning.annealing import anneal
from emu.tuning.database import Key, Tuning, TuningDatabase


@dataclass(frozen=True)
class Tuner:
    """Tunes kernels on one device with ``trials`` tilings each, and remembers what it found.

    With a ``database`` what is stored there is looked up first and is kept up to date; ``tick`` is
    called after every trial.
    """

    device: Device
    array_model: str
    trials: int
    database: TuningDatabase | None = None
    tick: Tick = unwatched

    def tune(
        self,
        library: Library,
        kernel: Kernel,
        body: Body,
        machine: Machine,
        tiling: Tiling,
        ps: int,
    ) -> Tuning:
        """The best tiling that is known or found, never slower than ``tiling``, which takes ``ps``.

        What is stored is cut and priced again; with at least as many trials as are asked for, it
        stands for the walk.
        """
        case = _Case(self.device, library, kernel, body, machine)
        start = Tuning(tiling, ps, 0)
        known = self.known(case, start)
        if known.trials >= self.trials:
            return known
        found = self.walk(case, start)
        best = min(known, found, key=lambda tuning: tuning.ps)
        best = Tuning(best.tiling, best.ps, max(known.trials, self.trials))
        if self.database is not None:
            self.database.keep(self.key(case), best)
        return best

    def known(self, case: "_Case", start: Tuning) -> Tuning:
        """What the database has, if that can still be cut and is faster than ``start``."""
        stored = None if self.database is None else self.database.find(self.key(case))
        if stored is None:
            return start
        if not case.space(start.tiling).holds(stored.tiling):
            return start
        program = case.program(stored.tiling)
        if program is None:
            return start
        ps = self.device.price(program)
        best = stored.tiling if ps < start.ps else start.tiling
        return Tuning(best, min(ps, start.ps), stored.trials)

    def key(self, case: "_Case") -> Key:
        """What the database knows a kernel by: nothing in it changes from process to process."""
        dtypes = sorted({type.dtype for type in case.body.types})
        return Key(
            f"{case.library.name}.{case.kernel.name}",
            digest((case.library.load_width_bytes, case.body)),
            ",".join(dtypes),
            digest((self.device.sheet, self.array_model, case.machine.cores)),
        )

    def walk(self, case: "_Case", start: Tuning) -> Tuning:
        """Anneal from ``start``; equal walks on one device are made once."""
        key = ("walk", case.library, case.kernel, case.body, case.machine, start, self.trials)
        return self.device.memo(key, lambda: self.new_walk(case, start))

    def new_walk(self, case: "_Case", start: Tuning) -> Tuning:
        """Price every distinct program that the walk comes to and that fits the chip."""
        seen = {case.program(start.tiling)}

        def price(tiling: Tiling) -> int | None:
            program = case.program(tiling)
            if program is None or program in seen:
                return None
            seen.add(program)
            self.tick()
            return self.device.price(program)

        space = case.space(start.tiling)
        seed = int(digest((case.kernel.name, case.body))[:16], 16)
        found = anneal(start.tiling, start.ps, space.neighbour, price, self.trials, seed)
        return Tuning(found.point, found.price, self.trials)


@dataclass(frozen=True)
class _Case:
    """One kernel for one body on one machine."""

    device: Device
    library: Library
    kernel: Kernel
    body: Body
    machine: Machine

    def space(self, tiling: Tiling) -> TileSpace:
        """All tilings around one of the menu."""
        return tile_space(self.body, self.machine, tiling)

    def program(self, tiling: Tiling) -> TileProgram | None:
        """The program of a tiling, None if it cannot be cut so or does not fit on chip."""
        program = self.library.program(self.kernel, self.body, tiling)
        return program if program is not None and self.device.fits(program) else None

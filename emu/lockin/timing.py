"""How long the programs of stacks run, or what bounds their times; found once for equal ones."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from math import floor

from emu.devices.device import Device
from emu.digest import digest
from emu.fastest import fewer_cores
from emu.ir.body import Body, body_of
from emu.ir.errors import CapacityError, EmuError, Unsupported
from emu.lockin.at_least import AtLeast
from emu.lockin.bundles import listed
from emu.lockin.compiling import Compiled, Compiling, dispatch_us
from emu.lockin.partitions import runs_on
from emu.lockin.parts import Choice
from emu.lockin.segments import Timed, latency_ps, serially_ps, timed
from emu.lockin.shared import Shared

ALONE = Shared()


@dataclass(eq=False)
class Timing(Compiling):
    """Times stacks of parts on one source program; what is found is kept by number of program.

    ``longer`` has times that programs are known to take longer than, and ``shorter`` times that
    they take no longer than. Other processes may find some of it, which is ``shared``.
    """

    shared: Shared = ALONE
    times: dict[int, Timed | EmuError] = field(default_factory=dict[int, Timed | EmuError])
    programs: dict[int, Compiled] = field(default_factory=dict[int, Compiled])
    rescaled: dict[Hashable, Timed] = field(default_factory=dict[Hashable, Timed])
    shorter: dict[int, int | EmuError] = field(default_factory=dict[int, int | EmuError])
    longer: dict[int, float] = field(default_factory=dict[int, float])
    least: dict[int, int] = field(default_factory=dict[int, int])
    nodes: dict[Hashable, tuple[Body, ...]] = field(
        default_factory=dict[Hashable, tuple[Body, ...]]
    )
    digests: dict[int, str] = field(default_factory=dict[int, str])

    def time(self, choice: Choice) -> Timed | EmuError:
        """A warm run, or why it cannot run."""
        number = self.known_number(choice)
        if isinstance(number, Unsupported):
            return number
        if not self._told(number):
            try:
                program = self.compiled(choice)
            except (CapacityError, Unsupported) as error:
                self.times[number] = error
            else:
                self._keep(number, timed(program, self.chip(choice), dispatch_us(choice)))
        return self.times[number]

    def _told(self, number: int) -> bool:
        """Whether the time of a program is known, here or to another process."""
        if number not in self.times:
            found = self.shared.time(self._digest(number))
            if found is None:
                return False
            self.times[number] = found
        return True

    def _keep(self, number: int, found: Timed) -> None:
        self.times[number] = found
        self.shared.keep_time(self._digest(number), found)

    def digest(self, choice: Choice) -> str:
        """What the program of a stack is called in every process; raises Unsupported for none."""
        return self._digest(self.number(choice))

    def _digest(self, number: int) -> str:
        """What a program is called in every process."""
        if number not in self.digests:
            self.digests[number] = digest(self.keys[number])
        return self.digests[number]

    def compiled(self, choice: Choice) -> Compiled:
        """The program of a stack; raises CapacityError or Unsupported if there is none."""
        number = self.number(choice)
        if number not in self.programs:
            self.programs[number] = self.planned(choice, self.chip(choice))
        return self.programs[number]

    def at_peaks(self, choice: Choice, like: Choice) -> Timed:
        """A warm run of the program of a stack that runs, on its chip with the peaks of ``like``.

        The program is the one that the stack was timed with, so that all that changes is rates.
        """
        key = self.number(choice), runs_on(like)
        if key not in self.rescaled:
            program, chip = self.compiled(choice), self.chip(choice, like)
            self.rescaled[key] = timed(program, chip, dispatch_us(choice))
        return self.rescaled[key]

    def within(self, choice: Choice, most_ps: float) -> bool:
        """Whether a stack can run, and a warm run takes no longer than ``most_ps``.

        No more is tried than that needs: of what takes longer, the time need not be found.
        """
        number = self.known_number(choice)
        if isinstance(number, Unsupported):
            return False
        if most_ps > self.longer.get(number, -1) and not self._told(number):
            if self._is_shorter(choice, number, most_ps):
                return True
            self._try(choice, number, most_ps)
        known = self.times.get(number)
        return isinstance(known, Timed) and known.ps <= most_ps

    def _is_shorter(self, choice: Choice, number: int, most_ps: float) -> bool:
        """Whether a stack can run, and one of its plans that is quick to find takes no longer."""
        chip, known = self.chip(choice), self.shorter.get(number)
        if isinstance(known, int) and known <= most_ps:
            return True
        try:
            program = self.quickly(choice, chip, "menu")
        except (CapacityError, Unsupported):
            return False
        found = latency_ps(program, chip, dispatch_us(choice))
        self.shorter[number] = min(found, known) if isinstance(known, int) else found
        return found <= most_ps

    def _try(self, choice: Choice, number: int, most_ps: float) -> None:
        """Find the time of a stack, or that it takes longer."""
        chip = self.chip(choice)
        try:
            program = self.planned(choice, chip, worth_ps=floor(most_ps) + 1)
        except (CapacityError, Unsupported) as error:
            self.times[number] = error
            return
        found = timed(program, chip, dispatch_us(choice))
        if found.ps <= most_ps or not fewer_cores(chip.machine):
            self.programs[number] = program
            self._keep(number, found)
        else:
            self.longer[number] = most_ps

    def at_most(self, choice: Choice) -> int | EmuError:
        """Picoseconds that are quick to find, or why it cannot run: a warm run takes no longer."""
        number = self.known_number(choice)
        if isinstance(number, Unsupported):
            return number
        if number in self.shorter and number not in self.times:
            return self.shorter[number]
        if self._told(number):
            known = self.times[number]
            return known.ps if isinstance(known, Timed) else known
        self.shorter[number] = self._at_most(choice, number)
        return self.shorter[number]

    def _at_most(self, choice: Choice, number: int) -> int | EmuError:
        chip, told = self.chip(choice), self.shared.most(self._digest(number))
        if told is not None:
            return told
        try:
            program = self.quickly(choice, chip, "any")
        except (CapacityError, Unsupported) as error:
            return error
        most_ps = serially_ps(program, chip, dispatch_us(choice))
        self.shared.keep_most(self._digest(number), most_ps)
        return most_ps

    def at_least(self, choice: Choice) -> int:
        """A bound on a warm run in picoseconds, from what is done whatever is planned.

        It is 0 for what cannot run at all.
        """
        try:
            number = self.number(choice)
            if number not in self.least:
                chip = self.chip(choice)
                bound = self._at_least(choice, chip)
                self.least[number] = bound.ps(self._nodes(choice, chip))
        except (CapacityError, Unsupported):
            return 0
        return self.least[number]

    def _nodes(self, choice: Choice, chip: Device) -> tuple[Body, ...]:
        """Each node of the program alone."""
        key = self._typing(choice, chip)
        if key not in self.nodes:
            graphs = self.pieces(choice, chip)
            self.nodes[key] = tuple(body_of(g, [node]).body for g in graphs for node in g.nodes)
        return self.nodes[key]

    def _at_least(self, choice: Choice, chip: Device) -> AtLeast:
        compiler = self.stack(choice, chip).compiler
        apart = compiler.scope == "none" and compiler.graph_replay == "off"
        generates = compiler.fallback == "generated"
        teach = self.library(choice, chip, self.source).teaches
        return AtLeast(chip, listed(choice, self.catalogue), generates, apart, teach)

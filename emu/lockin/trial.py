"""Trying a stack of parts: every contract is executed, then the program is compiled and timed."""

from collections.abc import Hashable
from dataclasses import dataclass, field

from emu.ir.errors import CapacityError, ContainerError, ContractError, EmuError, Unsupported
from emu.lockin.compiling import Compiled
from emu.lockin.contracts import CONTRACTS, Contract
from emu.lockin.meetings import Meetings
from emu.lockin.parts import Choice, Part
from emu.lockin.playing import Playing
from emu.lockin.segments import Timed, programs_of
from emu.lockin.timing import Timing

Called = frozenset[Part]


@dataclass(frozen=True)
class Failure:
    """Where a stack failed: the contract ("" for none), the stage, and the error."""

    contract: str
    stage: str
    error: EmuError

    @property
    def name(self) -> str:
        """The name of the error."""
        return type(self.error).__name__


@dataclass(frozen=True)
class Trial:
    """What came of trying a stack: its failure, or its time; and which parts were called."""

    failure: Failure | None
    timed: Timed = field(default_factory=Timed)
    called: frozenset[Part] = frozenset()

    @property
    def ps(self) -> int:
        """Picoseconds of a warm run."""
        return self.timed.ps


@dataclass(eq=False)
class Laboratory(Timing):
    """Tries stacks on one source program; equal contracts and equal programs are met once."""

    meetings: Meetings = field(default_factory=Meetings)
    played: dict[Hashable, Called | EmuError] = field(
        default_factory=dict[Hashable, Called | EmuError]
    )

    def meets(
        self, contract: Contract, choice: Choice, seen: tuple[int, ...] | None = None
    ) -> EmuError | None:
        """The error that a contract ends with, None if it holds.

        ``seen`` are the numbers of what it sees in each slot, for those who know them already.
        """
        seen = seen or self.meetings.seen(contract, choice, self.catalogue)
        return self.meetings.error((contract, seen), choice, self.catalogue, self.source)

    def refusal(self, choice: Choice) -> Failure | None:
        """The first contract that a stack breaks."""
        for contract in CONTRACTS:
            error = self.meets(contract, choice)
            if error is not None:
                return Failure(contract.name, contract.stage, error)
        return None

    def try_(self, choice: Choice) -> Trial:
        """Go through all stages until one fails."""
        refused = self.refusal(choice)
        if refused is not None:
            return Trial(refused)
        timed = self.time(choice)
        if isinstance(timed, EmuError):
            return Trial(Failure("", "run", timed))
        called = self.called(choice)
        if isinstance(called, EmuError):
            return Trial(Failure(getattr(called, "contract", ""), "run", called))
        return Trial(None, timed, called)

    def called(self, choice: Choice) -> Called | EmuError:
        """Who took part in the contracts and in a run of a stack that can be timed.

        The run is one without values, played once for equal programs from the same compiler on
        the same libraries, drivers and chip; what stops it is returned.
        """
        slots = (choice[slot] for slot in ("compiler", "kernels", "driver", "device"))
        program = self.number(choice)
        key = program, choice["front_end"][0].fact("mode"), *slots
        if key not in self.played:
            self.played[key] = self._play(choice, self.compiled(choice))
        played = self.played[key]
        if isinstance(played, EmuError):
            return played
        return played | self.meetings.took_part(choice, self.catalogue)

    def _play(self, choice: Choice, segments: Compiled) -> Called | EmuError:
        compiled = programs_of(segments)
        chip, outputs = self.chip(choice), self.source.graph.outputs
        playing = Playing(segments, choice, self.catalogue, chip, compiled.__getitem__)
        try:
            return playing.play(outputs).called
        except (ContractError, ContainerError, CapacityError, Unsupported) as error:
            return error

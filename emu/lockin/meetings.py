"""Contracts, each executed once for what it sees of a stack."""

from collections.abc import Hashable
from dataclasses import dataclass, field

from emu.ir.errors import ContainerError, ContractError, EmuError
from emu.lockin.contracts import CONTRACTS, Contract
from emu.lockin.parts import SLOTS, Bundle, Catalogue, Choice, Part
from emu.lockin.source import Source

Met = tuple[Contract, tuple[int, ...]]  # a contract, and the numbers of what it sees in each slot
Failed = EmuError | None  # the error that a contract ends with, None if it holds
NOBODY = frozenset[Part]()


@dataclass(eq=False)
class Meetings:
    """What came of the contracts of one source program, in whatever catalogue the parts stand.

    What a contract sees of a bundle has a number, since stacks are asked for by the million.
    """

    numbers: dict[Hashable, int] = field(default_factory=dict[Hashable, int])
    errors: dict[Met, Failed] = field(default_factory=dict[Met, Failed])
    called: dict[Met, frozenset[Part]] = field(default_factory=dict[Met, frozenset[Part]])

    def number(self, contract: Contract, slot: str, bundle: Bundle, catalogue: Catalogue) -> int:
        """The number of what a contract sees of a bundle: equal where it sees no difference."""
        seen = contract.sees(slot, bundle, catalogue)
        return self.numbers.setdefault(seen, len(self.numbers))

    def seen(self, contract: Contract, choice: Choice, catalogue: Catalogue) -> tuple[int, ...]:
        """The numbers of what a contract sees in each slot of a stack."""
        return tuple(self.number(contract, slot, choice[slot], catalogue) for slot in SLOTS)

    def error(self, met: Met, choice: Choice, catalogue: Catalogue, source: Source) -> Failed:
        """What executing a contract on a stack ends with; ``met`` has what it sees of it."""
        if met not in self.errors:
            self.errors[met] = self._run(met, choice, catalogue, source)
        return self.errors[met]

    def took_part(self, choice: Choice, catalogue: Catalogue) -> frozenset[Part]:
        """Who took part in the contracts of a stack, as far as they were executed."""
        met = ((c, self.seen(c, choice, catalogue)) for c in CONTRACTS)
        return NOBODY.union(*(self.called.get(one, NOBODY) for one in met))

    def _run(self, met: Met, choice: Choice, catalogue: Catalogue, source: Source) -> Failed:
        contract = met[0]
        try:
            result = contract.check(choice, source, catalogue)
        except (ContractError, ContainerError) as error:
            return error.with_traceback(None)  # thousands are kept, but not where they came from
        self.called[met] = frozenset(contract.parts(choice, result, catalogue))
        return None

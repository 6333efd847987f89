"""The contracts between slots, in the order in which a run meets them.

Each is executed: something is signed and verified, encoded and parsed, linked and called. A
contract sees only the slots that it names, so its outcome is the same wherever these are the same.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from emu.lockin.contracts.binding import admitted, bind
from emu.lockin.contracts.capture import capture
from emu.lockin.contracts.images import generated_loads, library_loads
from emu.lockin.contracts.kernels import dispatch, symbols
from emu.lockin.contracts.layouts import negotiate
from emu.lockin.contracts.linking import linked
from emu.lockin.parts import Bundle, Catalogue, Choice
from emu.lockin.source import Source


@dataclass(frozen=True)
class Contract:
    """Where two or more slots meet: ``run`` raises ContractError where they do not fit.

    With ``mode_only`` it sees of a front end only whether it calls kernels op by op.
    """

    name: str
    stage: str
    slots: tuple[str, ...]
    run: Callable[[Choice, Source, Catalogue], Any]
    mode_only: bool = False

    def check(self, choice: Choice, source: Source, catalogue: Catalogue) -> Any:
        """Execute it on the slots that it sees."""
        return self.run({slot: choice[slot] for slot in self.slots}, source, catalogue)

    def sees(self, slot: str, bundle: Bundle) -> Hashable:
        """What the outcome can follow from in one slot; None for a slot that it does not see."""
        if slot not in self.slots:
            return None
        if slot == "front_end" and self.mode_only:
            return bundle[0].fact("mode") == "eager"
        return bundle


# K6 is met twice, since what compilers make and what libraries bring is loaded apart.
CONTRACTS = (
    Contract("K7", "bind", ("driver", "device"), bind),
    Contract("K8", "admit", ("driver", "device", "orchestrator"), admitted),
    Contract("K2", "capture", ("front_end", "compiler"), capture),
    Contract("K1", "lower", ("front_end", "kernels"), dispatch),
    Contract("K3", "lower", ("front_end", "compiler", "kernels"), symbols, mode_only=True),
    Contract("K4", "lower", ("kernels", "device"), negotiate),
    Contract("K5", "link", ("kernels", "driver"), linked),
    Contract(
        "K6", "load", ("front_end", "compiler", "driver", "device"), generated_loads, mode_only=True
    ),
    Contract("K6", "load", ("kernels", "driver", "device"), library_loads),
)
NAMES = tuple(dict.fromkeys(contract.name for contract in CONTRACTS))
STAGES = ("bind", "admit", "capture", "lower", "link", "load", "run", "compare")

"""The contracts between slots, in the order in which a run meets them.

Each is executed: something is signed and verified, encoded and parsed, linked and called. A
contract sees only the slots that it names, so its outcome is the same wherever these are the same.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from emu.lockin.contracts.binding import admitted, bind, booted, managed
from emu.lockin.contracts.capture import capture, spoken
from emu.lockin.contracts.images import (
    codes_of,
    generated_loads,
    images_of,
    library_loads,
    rules_of,
)
from emu.lockin.contracts.kernels import computed, dispatch, dispatched, instead, symbols
from emu.lockin.contracts.layouts import negotiate
from emu.lockin.contracts.linking import linked
from emu.lockin.parts import Bundle, Catalogue, Choice, Part
from emu.lockin.source import Source

View = Callable[[Bundle, Catalogue], Hashable]


def _nobody(choice: Choice, result: Any, catalogue: Catalogue) -> tuple[Part, ...]:
    del choice, result, catalogue
    return ()


@dataclass(frozen=True, eq=False)
class Contract:
    """Where two or more slots meet: ``run`` raises ContractError where they do not fit.

    ``views`` say of some slots what of a bundle it sees; else it sees the whole bundle. ``parts``
    says of what ``run`` returned which parts took part in it, of slots that it sees whole.
    """

    name: str
    stage: str
    slots: tuple[str, ...]
    run: Callable[[Choice, Source, Catalogue], Any]
    views: Mapping[str, View] = field(default_factory=lambda: MappingProxyType({}))
    parts: Callable[[Choice, Any, Catalogue], tuple[Part, ...]] = _nobody

    def check(self, choice: Choice, source: Source, catalogue: Catalogue) -> Any:
        """Execute it on the slots that it sees."""
        return self.run({slot: choice[slot] for slot in self.slots}, source, catalogue)

    def sees(self, slot: str, bundle: Bundle, catalogue: Catalogue) -> Hashable:
        """What the outcome can follow from in one slot; None for a slot that it does not see."""
        if slot not in self.slots:
            return None
        return self.views[slot](bundle, catalogue) if slot in self.views else bundle


def _mode(front: Bundle, catalogue: Catalogue) -> Hashable:
    """Whether a front end calls kernels op by op."""
    del catalogue
    return front[0].fact("mode") == "eager"


def _without_kernel(front: Bundle, catalogue: Catalogue) -> Hashable:
    """What a front end that calls kernels op by op does where there is none."""
    return _mode(front, catalogue) and front[0].fact("on_missing")


def _claims(parts: Bundle, catalogue: Catalogue) -> Hashable:
    """The layouts of parts, and how deep they are if they are libraries."""
    del catalogue
    keys = ("depth", "layouts")
    return tuple(tuple(str(p.fact(key)) for key in keys if key in p.facts) for p in parts)


RUN = MappingProxyType({"device": computed})
LINKED = MappingProxyType({"front_end": _mode, "device": computed})
LAYOUTS = MappingProxyType(
    {"front_end": _without_kernel, "compiler": instead, "kernels": _claims, "device": _claims}
)

MADE = MappingProxyType(
    {"front_end": _mode, "compiler": images_of, "driver": rules_of, "device": codes_of}
)
BROUGHT = MappingProxyType({"kernels": images_of, "driver": rules_of, "device": codes_of})

# K6 is met twice, since what compilers make and what libraries bring is loaded apart.
CONTRACTS = (
    Contract("K7", "bind", ("driver", "device"), bind, parts=booted),
    Contract("K8", "admit", ("driver", "device", "orchestrator"), admitted, parts=managed),
    Contract("K2", "capture", ("front_end", "compiler"), capture, parts=spoken),
    Contract("K1", "lower", ("front_end", "kernels", "device"), dispatch, RUN, dispatched),
    Contract("K3", "lower", ("front_end", "compiler", "kernels", "device"), symbols, LINKED),
    Contract("K4", "lower", ("front_end", "compiler", "kernels", "device"), negotiate, LAYOUTS),
    Contract("K5", "link", ("kernels", "driver"), linked),
    Contract("K6", "load", ("front_end", "compiler", "driver", "device"), generated_loads, MADE),
    Contract("K6", "load", ("kernels", "driver", "device"), library_loads, BROUGHT),
)
NAMES = tuple(dict.fromkeys(contract.name for contract in CONTRACTS))
STAGES = ("bind", "admit", "capture", "lower", "link", "load", "run", "compare")

"""What a slot can hold: parts that speak interfaces, and facts with a source each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

SLOTS = ("front_end", "compiler", "kernels", "driver", "device", "orchestrator")
BUNDLES = ("kernels", "driver")  # slots that hold several parts, in the order in which they serve
INTERFACES = ("dialect", "kernels", "functions", "management", "isa", "portable", "layout")


@dataclass(frozen=True, eq=False)
class Interface:
    """What two parts can agree on, defined once: a kind, and what its table says per version.

    ``table`` maps a name (an op, a function, an opcode) to what the kind says of it, and ``since``
    to the version that brought it; ``newest`` is how many versions there are. ``rows`` are the
    systems that it stands for.
    """

    name: str
    kind: str
    rows: tuple[str, ...]
    newest: int
    table: Mapping[str, Any]
    since: Mapping[str, int]
    facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    path: Path = Path()

    def upto(self, version: int) -> dict[str, Any]:
        """The entries that a version of it has."""
        return {name: said for name, said in self.table.items() if self.since[name] <= version}


@dataclass(frozen=True)
class Offer:
    """An interface that a part imports or exports, and the versions of it that it can speak."""

    interface: str
    least: int
    most: int

    def meets(self, other: "Offer") -> int | None:
        """The newest version that both speak, None if there is none."""
        least, most = max(self.least, other.least), min(self.most, other.most)
        same = self.interface == other.interface
        return most if same and least <= most else None


@dataclass(frozen=True)
class Fact:
    """One fact of a part. It has a public source, or is assumed and says why."""

    value: Any
    source: str = ""
    why: str = ""

    @property
    def assumed(self) -> bool:
        """Whether no public source is known."""
        return not self.source


@dataclass(frozen=True, eq=False)
class Part:
    """An alternative of one slot. It names interfaces, never another part, stack or vendor.

    The catalogue holds each part once, so parts are compared by identity.
    """

    name: str
    slot: str
    rows: tuple[str, ...]
    product: str
    version: str
    open: bool
    imports: tuple[Offer, ...]
    exports: tuple[Offer, ...]
    facts: Mapping[str, Fact]
    path: Path

    def exported(self, interface: str) -> Offer | None:
        """What it exports of an interface."""
        return next((o for o in self.exports if o.interface == interface), None)

    def fact(self, key: str) -> Any:
        """The value of a fact that the slot's schema demands."""
        return self.facts[key].value


Bundle: TypeAlias = tuple[Part, ...]
Choice: TypeAlias = Mapping[str, Bundle]


@dataclass(frozen=True)
class Meeting:
    """Two parts that speak an interface: who exports it, who imports it, in which version."""

    exporter: Part
    importer: Part
    interface: str
    version: int


@lru_cache(maxsize=65536)
def meetings(
    exporters: tuple[Part, ...], importers: tuple[Part, ...], names: frozenset[str]
) -> tuple[Meeting, ...]:
    """Every meeting over one of the interfaces ``names``, in the order of the bundles."""
    return tuple(
        Meeting(exporter, importer, offered.interface, version)
        for importer in importers
        for wanted in importer.imports
        for exporter in exporters
        for offered in exporter.exports
        if offered.interface in names and (version := offered.meets(wanted)) is not None
    )


@dataclass(frozen=True, eq=False)
class Catalogue:
    """All parts by slot, all interfaces, and the stacks that are made of them."""

    parts: Mapping[str, Mapping[str, Part]]
    interfaces: Mapping[str, Interface]
    stacks: Mapping[str, Choice]
    about: Mapping[str, str]

    def of_kind(self, kind: str) -> frozenset[str]:
        """Names of the interfaces of a kind."""
        return self._kinds[kind]

    @cached_property
    def _kinds(self) -> Mapping[str, frozenset[str]]:
        return {
            kind: frozenset(name for name, i in self.interfaces.items() if i.kind == kind)
            for kind in INTERFACES
        }

    def options(self, slot: str) -> tuple[Bundle, ...]:
        """What can stand in a slot: each part alone, and each bundle that a stack has."""
        alone = [(part,) for part in self.parts[slot].values()]
        return tuple(dict.fromkeys([*alone, *(stack[slot] for stack in self.stacks.values())]))

    def likeness(self, choice: Choice) -> int:
        """In how many slots some parts are those of one stack, the one that they are most like."""
        equal = (sum(s[slot] == choice[slot] for slot in SLOTS) for s in self.stacks.values())
        return max(equal, default=0)


def misfit(slot: str, bundle: Bundle) -> str:
    """Why some parts cannot stand in a slot together, "" if they can."""
    if len(bundle) > 1 and slot not in BUNDLES:
        return f"holds one part, not {len(bundle)}; several go into {' and '.join(BUNDLES)} only"
    return "holds a part twice" if len(set(bundle)) < len(bundle) else ""


def title(bundle: Bundle) -> str:
    """The name of a bundle."""
    return "+".join(part.name for part in bundle)

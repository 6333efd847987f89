"""The gap between two runs: an exact sum over causes, over nodes of the model, and over both."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from emu.ir.errors import BadOption
from emu.ir.trace import CAUSES
from emu.kept import Charges, KeptGroup, KeptRun


@dataclass(frozen=True)
class Match:
    """The groups of two runs that share nodes of the model, directly or through one another."""

    sources: tuple[str, ...]
    a: tuple[KeptGroup, ...]
    b: tuple[KeptGroup, ...]

    @property
    def a_ps(self) -> int:
        """Picoseconds that are charged to the groups of the first run."""
        return sum(group.ps for group in self.a)

    @property
    def b_ps(self) -> int:
        """Picoseconds that are charged to the groups of the second run."""
        return sum(group.ps for group in self.b)

    @property
    def ps(self) -> int:
        """Its part of the gap."""
        return self.b_ps - self.a_ps

    @property
    def by_cause(self) -> Mapping[str, int]:
        """Its part of the gap by cause, in the order of the causes."""
        a, b = (_ledger(group.charges for group in groups) for groups in (self.a, self.b))
        return {cause: b[cause] - a[cause] for cause in CAUSES}


@dataclass(frozen=True)
class Gap:
    """What the second run takes longer than the first; negative where it is faster."""

    a: KeptRun
    b: KeptRun

    @property
    def ps(self) -> int:
        """The whole gap."""
        return self.b.latency_ps - self.a.latency_ps

    @cached_property
    def by_source_and_cause(self) -> Charges:
        """The gap by node of the model and cause; what is not there is zero. It sums to ``ps``."""
        a, b = self.a.charges, self.b.charges
        return {source: _minus(b.get(source, {}), a.get(source, {})) for source in {**a, **b}}

    @property
    def by_source(self) -> Mapping[str, int]:
        """The gap by node of the model, in the order of the model; it sums to ``ps``."""
        return {source: sum(gaps.values()) for source, gaps in self.by_source_and_cause.items()}

    @property
    def by_cause(self) -> Mapping[str, int]:
        """The gap by cause, in the order of the causes; it sums to ``ps``."""
        return _ledger([self.by_source_and_cause])

    @cached_property
    def matches(self) -> tuple[Match, ...]:
        """All groups of both runs, matched; their parts of the gap sum to ``ps``."""
        groups = (*self.a.groups, *self.b.groups)
        roots = _roots(group.sources for group in groups)
        a, b = (_by_root(run.groups, roots) for run in (self.a, self.b))
        return tuple(
            Match(tuple(sources), a.get(root, ()), b.get(root, ()))
            for root, sources in _members(roots).items()
        )


def gap_of(a: KeptRun, b: KeptRun) -> Gap:
    """The gap from ``a`` to ``b``; raises BadOption if their models share no node."""
    if not set(a.charges) & set(b.charges):
        names = f"'{a.model.name}' and '{b.model.name}'"
        raise BadOption(f"{names} share no node by name, so nothing of one is in the other")
    return Gap(a, b)


def _minus(b: Mapping[str, int], a: Mapping[str, int]) -> Mapping[str, int]:
    gaps = {cause: b.get(cause, 0) - a.get(cause, 0) for cause in CAUSES}
    return {cause: ps for cause, ps in gaps.items() if ps}


def _ledger(charges: Iterable[Charges]) -> dict[str, int]:
    """Picoseconds by cause, in the order of the causes."""
    sums = dict.fromkeys(CAUSES, 0)
    for causes in (found for charged in charges for found in charged.values()):
        for cause, ps in causes.items():
            sums[cause] += ps
    return sums


def _roots(sets: Iterable[tuple[str, ...]]) -> dict[str, str]:
    """Each name with one that stands for all that are connected to it by overlapping sets."""
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        while parents.setdefault(name, name) != name:
            parents[name] = name = parents[parents[name]]
        return name

    for names in sets:
        for name in names:
            parents[root(name)] = root(names[0])
    return {name: root(name) for name in tuple(parents)}


def _members(roots: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, root in roots.items():
        found.setdefault(root, []).append(name)
    return found


def _by_root(
    groups: Iterable[KeptGroup], roots: Mapping[str, str]
) -> dict[str, tuple[KeptGroup, ...]]:
    found: dict[str, tuple[KeptGroup, ...]] = {}
    for group in groups:
        root = roots[group.sources[0]]
        found[root] = (*found.get(root, ()), group)
    return found

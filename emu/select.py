"""Bind every group to what computes it: a library's kernel, generated loops, parts, or the host."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from emu.devices.device import Device
from emu.ir.body import Body, BodyOf, body_of
from emu.ir.graph import Graph, Node
from emu.ir.group import Decision, Fused, Group
from emu.ir.machine import Machine
from emu.ir.schedule import Binding, Schedule
from emu.kernels.libraries import GENERATOR
from emu.kernels.library import Library
from emu.kernels.siblings import independent
from emu.tiles import Choice, Tiler
from emu.tuning.tuner import Tuner


class Selector:
    """Chooses kernels on one device with at most ``cores`` cores; equal bodies are chosen once."""

    def __init__(
        self,
        device: Device,
        library: Library,
        cores: int,
        *,
        tiling: str = "exhaustive",
        fallback: str = "generated",
        tuner: Tuner | None = None,
        over_capacity: bool = False,
    ) -> None:
        """Take the device, the library that is asked first, and the most cores to use.

        ``tiling`` says how tiles are chosen and ``fallback`` what becomes of what the library does
        not claim: loops are "generated" for it, it is "composed" of what the library does claim,
        with nodes that are left on the host, or the "host" computes all of it. A ``tuner`` tunes
        what the compiler generates. ``over_capacity`` is for those who plan whole runs of what is
        chosen.
        """
        self.device = device
        self.library = library
        self.fallback = fallback
        self.over_capacity = over_capacity
        self.machine: Machine = replace(device.machine, cores=cores)
        self.tiler = Tiler(device, self.machine, tiling, tuner)
        self.chosen: dict[tuple[bool, Body], Choice] = {}
        self.same: dict[Body, Body] = {}

    def schedule(self, fused: Fused) -> Schedule:
        """Bind all groups, in the order in which they run."""
        decisions: list[Decision] = []
        bindings: list[Binding] = []
        for group in fused.groups:
            bindings += self.bind(fused.graph, group, decisions)
        decisions += self.tunings(bindings)
        return Schedule(fused.graph, tuple(bindings), (*fused.decisions, *decisions))

    def bind(self, graph: Graph, group: Group, decisions: list[Decision]) -> list[Binding]:
        """Bind one group whole, or in parts with a decision that says why."""
        nodes = [graph.by_id[n] for n in group.nodes]
        inside = self.inside(graph, nodes)
        whole = self.bind_whole(group, inside)
        if whole is not None:
            return [whole]
        why = self.choose(self.library, inside.body).why
        if len(nodes) == 1 or self.fallback == "host":
            return [self.on_host(group, inside, why)]
        decisions.append(Decision(False, "select:split", why, group.nodes))
        return list(self.parts(graph, group.name, nodes))

    def inside(self, graph: Graph, nodes: Sequence[Node]) -> BodyOf:
        """The body of nodes; equal ones are one object, which is found in tables at once."""
        found = body_of(graph, nodes)
        return replace(found, body=self.same.setdefault(found.body, found.body))

    def bind_whole(self, group: Group, inside: BodyOf, composed: bool = False) -> Binding | None:
        """The binding of a group to one kernel, None if neither library nor generator has one."""
        for library, choice in zip(self.libraries, self.choices(inside.body), strict=True):
            if choice.program is not None:
                made = "generated" if library.name == "generated" else "native"
                coverage = "composed" if composed else made
                return Binding(
                    group,
                    inside,
                    choice.kernel,
                    coverage,
                    choice.program,
                    choice.why,
                    choice.tilewise,
                )
        return None

    def parts(self, graph: Graph, name: str, nodes: Sequence[Node]) -> Iterator[Binding]:
        """Cut siblings apart, and each into the longest beginnings that one kernel computes."""
        number = 0
        for sibling in independent(body_of(graph, nodes).body):
            rest = [nodes[i] for i in sibling]
            while rest:
                binding, length = self.longest(graph, f"{name}/{number}", rest)
                yield binding
                rest = rest[length:]
                number += 1

    def longest(self, graph: Graph, name: str, nodes: Sequence[Node]) -> tuple[Binding, int]:
        """The longest beginning of ``nodes`` that one kernel computes; a single one at least."""
        for length in range(len(nodes), 0, -1):
            inside = body_of(graph, nodes[:length])
            binding = self.bind_whole(_part(name, inside), inside, composed=True)
            if binding is not None:
                return binding, length
        inside = body_of(graph, nodes[:1])
        why = self.choose(self.library, inside.body).why
        return self.on_host(_part(name, inside), inside, why), 1

    def on_host(self, group: Group, inside: BodyOf, why: str) -> Binding:
        """Let the host compute a group."""
        return Binding(group, inside, "host", "host", None, why)

    @property
    def libraries(self) -> tuple[Library, ...]:
        """Who is asked for a kernel, in order; a generator only where one is at hand."""
        return (self.library, GENERATOR) if self.fallback == "generated" else (self.library,)

    def choice_of(self, binding: Binding) -> Choice | None:
        """What was chosen for a binding, None if the host computes it."""
        return next((c for c in self.choices(binding.body) if c.program is not None), None)

    def tunings(self, bindings: Sequence[Binding]) -> Iterator[Decision]:
        """What tuning did for each of the bindings that were tuned."""
        for binding in bindings if self.tiler.tuner else ():
            choice = self.choice_of(binding)
            if choice is not None and choice.trials:
                faster = choice.ps < choice.menu_ps
                why = (
                    "a tiling off the menu is faster" if faster else "none is faster than the menu"
                )
                numbers = {"ps": choice.ps, "menu_ps": choice.menu_ps, "trials": choice.trials}
                yield Decision(faster, "select:tuned", why, binding.group.nodes, numbers)

    def choices(self, body: Body) -> Iterator[Choice]:
        """What each of the libraries says, in order; who is not asked for it chooses nothing."""
        return (self.choose(library, body) for library in self.libraries)

    def choose(self, library: Library, body: Body, worth_ps: int | None = None) -> Choice:
        """The cheapest program of any kernel of ``library`` that claims ``body``.

        With ``worth_ps``, programs that cannot be faster than that are not timed.
        """
        key = (library is GENERATOR, body)
        known = self.chosen.get(key)
        if known is None or not (known.timed or (worth_ps is not None and worth_ps <= known.ps)):
            self.chosen[key] = known = self.cheapest(library, body, worth_ps)
        return known

    def cheapest(self, library: Library, body: Body, worth_ps: int | None) -> Choice:
        """Ask the kernels in order; the first that claims the body and fits the chip gets it."""
        if why := self.device.refusal(body, self.library.teaches):
            return Choice(why=f"{self.device.name} refuses it: {why}")
        reasons: list[str] = []
        for kernel in library.kernels:
            refused = kernel.refusal(body)
            if refused is None:
                choice = self.tiler.best(library, kernel, body, worth_ps)
                if choice.program is not None:
                    return choice
                refused = choice.why
            reasons.append(f"{kernel.name}: {refused}")
        return Choice(why=f"{library.name} has no kernel ({'; '.join(reasons)})")


def _part(name: str, inside: BodyOf) -> Group:
    return Group(name, inside.nodes, inside.inputs, inside.outputs)

"""Bind every group to what computes it: a library's kernel, generated loops, parts, or the host."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from emu.devices.device import Device
from emu.ir.body import Body, BodyOf, body_of
from emu.ir.graph import Graph, Node
from emu.ir.group import Decision, Fused, Group
from emu.ir.machine import Machine
from emu.ir.regions import footprint_bytes
from emu.ir.schedule import Binding, Schedule
from emu.ir.tile import TileProgram
from emu.kernels.libraries import GENERATOR
from emu.kernels.library import Kernel, Library


@dataclass(frozen=True)
class Choice:
    """The cheapest way that one library has to compute a body, or why it has none.

    ``ps`` is its time alone on the chip; a choice that was not worth timing has a bound instead
    (``timed`` False).
    """

    kernel: str = ""
    program: TileProgram | None = None
    tilewise: bool = False
    ps: int = 0
    why: str = ""
    timed: bool = True


class Selector:
    """Chooses kernels on one device with at most ``cores`` cores; equal bodies are chosen once."""

    def __init__(self, device: Device, library: Library, cores: int) -> None:
        """Take the device, the library that is asked first, and the most cores to use."""
        self.device = device
        self.library = library
        self.machine: Machine = replace(device.machine, cores=cores)
        self.chosen: dict[tuple[bool, Body], Choice] = {}

    def schedule(self, fused: Fused) -> Schedule:
        """Bind all groups, in the order in which they run."""
        decisions: list[Decision] = []
        bindings: list[Binding] = []
        for group in fused.groups:
            bindings += self.bind(fused.graph, group, decisions)
        return Schedule(fused.graph, tuple(bindings), (*fused.decisions, *decisions))

    def bind(self, graph: Graph, group: Group, decisions: list[Decision]) -> list[Binding]:
        """Bind one group whole, or in parts with a decision that says why."""
        nodes = [graph.by_id[n] for n in group.nodes]
        inside = body_of(graph, nodes)
        whole = self.bind_whole(group, inside)
        if whole is not None:
            return [whole]
        why = self.choose(self.library, inside.body).why
        if len(nodes) == 1:
            return [self.on_host(group, inside, why)]
        decisions.append(Decision(False, "select:split", why, group.nodes))
        return list(self.parts(graph, group.name, nodes))

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
        """Cut a group into the longest beginnings that one kernel computes, again and again."""
        rest = list(nodes)
        number = 0
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
        """Let the host compute a single node."""
        return Binding(group, inside, "host", "host", None, why)

    @property
    def libraries(self) -> tuple[Library, Library]:
        """Who is asked for a kernel, in order."""
        return self.library, GENERATOR

    def choices(self, body: Body) -> list[Choice]:
        """What each of the libraries says."""
        return [self.choose(library, body) for library in self.libraries]

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
        if why := self.device.refusal(body):
            return Choice(why=f"{self.device.name} refuses it: {why}")
        reasons: list[str] = []
        for kernel in library.kernels:
            refused = kernel.claims(body)
            if refused is None:
                choice = self.best_program(library, kernel, body, worth_ps)
                if choice.program is not None:
                    return choice
                refused = choice.why
            reasons.append(f"{kernel.name}: {refused}")
        return Choice(why=f"{library.name} has no kernel ({'; '.join(reasons)})")

    def best_program(
        self, library: Library, kernel: Kernel, body: Body, worth_ps: int | None
    ) -> Choice:
        """The program of a kernel's menu that the device's clock likes best.

        Programs are timed in the order of a bound on their time, until no other can be faster.
        """
        programs = tuple(library.programs(kernel, body, self.machine))
        ranked = sorted(
            (self.device.bound_ps(p), i, p) for i, p in enumerate(programs) if self.device.fits(p)
        )
        if not ranked:
            needs = min((footprint_bytes(p) for p in programs), default=0)
            have = self.machine.onchip_bytes
            why = f"needs {needs:,} bytes on chip, has {have:,}" if needs else "cannot be cut"
            return Choice(why=why)
        name = f"{library.name}.{kernel.name}"
        why = f"claimed by {name}"
        if worth_ps is not None and ranked[0][0] >= worth_ps:
            return Choice(name, ranked[0][2], kernel.tilewise, ranked[0][0], why, timed=False)
        ps, program = self.fastest(ranked, worth_ps)
        return Choice(name, program, kernel.tilewise, ps, why)

    def fastest(
        self, ranked: Sequence[tuple[int, int, TileProgram]], worth_ps: int | None
    ) -> tuple[int, TileProgram]:
        """Time programs in the order of their bounds until the best is below all that are left."""
        found = (self.device.price(ranked[0][2]), ranked[0][2])
        for bound, _, program in ranked[1:]:
            if bound >= found[0] or (worth_ps is not None and bound >= worth_ps):
                break
            ps = self.device.price(program)
            if ps < found[0]:
                found = ps, program
        return found


def _part(name: str, inside: BodyOf) -> Group:
    return Group(name, inside.nodes, inside.inputs, inside.outputs)

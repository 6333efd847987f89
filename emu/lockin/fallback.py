"""Host fallback over a corpus: how far the speed-up over the host falls as kernels are taken away.

A case is a model and ops that no kernel claims, so that the host computes each of their nodes, with
copies over the link. The speed-up is over the host alone, which computes every node of the model
itself and copies nothing. Every op is a group of its own, so that just those nodes go to the host.
Every model has cases in every class, and counts as much as any other. A chip that replays graphs
does so: a program without a host call is one, and what stands between host calls are others.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from math import exp, log

from emu.devices.datasheet import Datasheet
from emu.devices.device import Device
from emu.devices.driver import one_by_one
from emu.devices.make import device_of, make_device
from emu.dump import Watch
from emu.ir.graph import Graph
from emu.ir.ops import OPS, Fusion
from emu.ir.program import HostCall, Program
from emu.kernels.libraries import LIBRARIES
from emu.kernels.library import Library
from emu.lockin.bundles import EVERY_OP, Registered
from emu.models.reader import to_graph
from emu.pipeline import Executable, bring_down, make_stack, open_model

# By nodes on the host, as a survey of models on Tenstorrent chips groups them (docs).
CLASSES: tuple[tuple[int, int], ...] = ((0, 0), (1, 5), (6, 25))
LARGEST_SET = 3  # ops taken away at once
FACTORS = (0.5, 2.0)
DEPTH = "deep"

# Models with more nodes than the largest class has on the host, so that none is mostly there.
CORPUS: tuple[tuple[str, Mapping[str, int]], ...] = (
    ("bert_layer", {}),
    ("gpt2", {"layers": 1}),
    ("vit_b16", {"layers": 1}),
    ("unet", {}),
    ("mobilenet_v2", {}),
    ("resnet50", {}),
)


@dataclass(frozen=True)
class Case:
    """A model without kernels for the ops ``removed``, and its programs: with the chip, without."""

    model: str
    removed: tuple[str, ...]
    on_host: int
    program: Program
    alone: Program

    @property
    def group(self) -> tuple[int, int]:
        """Which of CLASSES it is in; raises ValueError for none."""
        for low, high in CLASSES:
            if low <= self.on_host <= high:
                return low, high
        raise ValueError(f"{self.model}: {self.on_host} nodes on the host are in no class")

    def speed_up(self, chip: Device) -> float:
        """The time of the host alone over that of the chip with the host, both simulated."""
        return chip.latency_ps(self.alone) / chip.latency_ps(self.program)

    def without_graphs(self) -> "Case":
        """The case where every launch is issued by itself."""
        return replace(self, program=one_by_one(self.program))

    def whole_or_none(self) -> "Case":
        """The case where only a program without a host call is a graph."""
        return self.without_graphs() if self.on_host else self


# Other ways to issue launches. Compilers that give graphs up at the first host call are known:
# torch.compile does for ops on the processor unless it partitions the graph.
ISSUED: tuple[tuple[str, Callable[[Case], Case]], ...] = (
    ("graphs of whole programs only", Case.whole_or_none),
    ("no graphs", Case.without_graphs),
)


@dataclass(frozen=True)
class Row:
    """The speed-ups in the order of CLASSES, with the facts of host and link that ``what`` says.

    Each is the geometric mean over the models of the mean over a model's cases.
    """

    what: str
    means: tuple[float, ...]

    @property
    def falls(self) -> tuple[float, ...]:
        """The mean without a host call over each of the others."""
        return tuple(self.means[0] / mean for mean in self.means[1:])


def cases(
    device: str,
    dtype: str,
    each: int,
    corpus: Sequence[tuple[str, Mapping[str, int]]] = CORPUS,
) -> Iterator[Case]:
    """All cases of a corpus on a chip: per model one that loses nothing, and ``each`` per class."""
    for model, settings in corpus:
        yield from _Subject(model, settings, device, dtype).cases(each)


def table(found: Sequence[Case], sheet: Datasheet) -> tuple[Row, ...]:
    """The means as the datasheet says, with fewer graphs, then with facts of host and link changed.

    Each of these is halved and doubled. Raises ValueError for a model that has no case in a class.
    """
    issued = () if sheet.launch.replay_us is None else ISSUED
    fewer = (_row(what, [change(c) for c in found], sheet) for what, change in issued)
    first, *others = (_row(what, found, changed) for what, changed in _varied(sheet))
    return first, *fewer, *others


def without(library: Library, ops: Sequence[str]) -> Library:
    """A library whose kernels claim no group with one of ``ops`` in it."""
    left = EVERY_OP - frozenset(ops)
    kernels = (replace(k, claims=Registered(k.claims, left)) for k in library.kernels)
    return replace(library, kernels=tuple(kernels))


def spread(sets: Sequence[tuple[str, ...]], most: int) -> Sequence[tuple[str, ...]]:
    """At most ``most`` of the sets, evenly over their order."""
    if len(sets) <= most:
        return sets
    return [sets[i * len(sets) // most] for i in range(most)]


@dataclass(frozen=True)
class _Subject:
    """A model of the corpus on a chip."""

    model: str
    settings: Mapping[str, int]
    device: str
    dtype: str

    def cases(self, each: int) -> Iterator[Case]:
        alone, whole = self.alone(), self.compiled(LIBRARIES[DEPTH])
        yield self.case((), whole, alone)
        for low, high in CLASSES[1:]:
            sets = removals(whole.compiled.graph, low, high)
            for removed in spread(sets, each):
                made = self.compiled(without(LIBRARIES[DEPTH], removed))
                yield self.case(removed, made, alone)

    def case(self, removed: tuple[str, ...], made: Executable, alone: Program) -> Case:
        on_host = sum(
            len(b.body.nodes) for b in made.compiled.schedule.bindings if b.coverage == "host"
        )
        return Case(self.model, removed, on_host, made.compiled.program, alone)

    def alone(self) -> Program:
        """The program of a host without a chip: calls only, in f32."""
        nothing = replace(LIBRARIES[DEPTH], kernels=())
        program = replace(self, dtype="fp32").compiled(nothing).compiled.program
        calls = tuple(c for c in program.commands if isinstance(c, HostCall))
        return replace(program, commands=calls)

    def compiled(self, library: Library) -> Executable:
        chip = make_device(self.device)
        stack = make_stack(
            device=self.device,
            dtype=self.dtype,
            fusion="none",
            kernels=DEPTH,
            fallback="host",
            graph_replay="off" if chip.sheet.launch.replay_us is None else "on",
        )
        model = open_model(self.model, self.settings)
        return bring_down(model, to_graph(model, {}), stack, chip, Watch(), library=library)


def removals(graph: Graph, low: int, high: int) -> tuple[tuple[str, ...], ...]:
    """Sets of one to LARGEST_SET ops that have ``low`` to ``high`` nodes in a graph together.

    Products are never taken away: a library without them is none.
    """
    rest = (node.op for node in graph.nodes if OPS[node.op].fusion is not Fusion.ANCHOR)
    counts = Counter(rest)
    sizes = range(1, LARGEST_SET + 1)
    sets = (chosen for size in sizes for chosen in combinations(sorted(counts), size))
    return tuple(s for s in sets if low <= sum(counts[op] for op in s) <= high)


def _row(what: str, found: Sequence[Case], sheet: Datasheet) -> Row:
    chip = device_of(sheet)
    ups: dict[tuple[str, tuple[int, int]], list[float]] = {}
    for case in found:
        ups.setdefault((case.model, case.group), []).append(case.speed_up(chip))
    models = dict.fromkeys(case.model for case in found)
    for model, (low, high) in product(models, CLASSES):
        if (model, (low, high)) not in ups:
            raise ValueError(f"{model}: no case has {low} to {high} nodes on the host")
    means = (_mean([_mean(ups[model, group]) for model in models]) for group in CLASSES)
    return Row(what, tuple(means))


def _mean(numbers: Sequence[float]) -> float:
    """The geometric mean."""
    return exp(sum(log(number) for number in numbers) / len(numbers))


def _varied(sheet: Datasheet) -> Iterator[tuple[str, Datasheet]]:
    host, link = sheet.host, sheet.link
    yield "as the datasheet says", sheet
    for factor in FACTORS:
        faster = replace(
            host,
            gflops=host.gflops * factor,
            memory_bandwidth_gb_s=host.memory_bandwidth_gb_s * factor,
        )
        yield f"host rates x {factor:g}", replace(sheet, host=faster)
        slow = replace(link, latency_us=link.latency_us * factor)
        yield f"link latency x {factor:g}", replace(sheet, link=slow)
        back = (link.to_host_gb_s or link.bandwidth_gb_s) * factor
        wide = replace(link, bandwidth_gb_s=link.bandwidth_gb_s * factor, to_host_gb_s=back)
        yield f"link bandwidth x {factor:g}", replace(sheet, link=wide)

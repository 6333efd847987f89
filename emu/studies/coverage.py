"""Who computes a model, and which missing kernels would make it faster: the kernels-to-add curve.

A kernel is added as the deepest library has it, with its own menu of tiles and its own width of
loads. Every point of the curve is the whole run compiled and simulated again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from emu.account import Account
from emu.dump import Watch
from emu.fastest import fastest
from emu.ir.body import Body
from emu.ir.graph import Graph
from emu.ir.schedule import COVERAGE
from emu.ir.work import whole_work
from emu.kernels.libraries import DEPTHS, LIBRARIES
from emu.kernels.library import Kernel, Library
from emu.pipeline import Executable
from emu.run import Compiled

WHOLE = DEPTHS[-1]


@dataclass(frozen=True)
class Shares:
    """Nodes, true operations and picoseconds of the critical path by who computes them."""

    nodes: Mapping[str, int]
    operations: Mapping[str, int]
    time_ps: Mapping[str, int]


@dataclass(frozen=True)
class Point:
    """The latency once ``kernel`` is there as well; the first point, without one, is the stack's.

    A kernel that would make the run slower is not used, so a point is never above the one before.
    """

    kernel: str
    latency_ps: int


def shares(compiled: Compiled) -> Shares:
    """Sum up nodes, operations and time of all launches by COVERAGE; the times are the latency."""
    empty: Mapping[str, int] = dict.fromkeys(COVERAGE, 0)
    nodes, operations, time_ps = dict(empty), dict(empty), dict(empty)
    for group in Account(compiled).groups:
        kind, body = group.binding.coverage, group.binding.body
        work = whole_work(body)
        nodes[kind] += len(body.nodes)
        operations[kind] += work.flops + work.transcendentals
        time_ps[kind] += group.ps
    return Shares(nodes, operations, time_ps)


@dataclass(frozen=True)
class Grown(Library):
    """A library with kernels of the deepest one, which are asked first and are as deep as there."""

    added: tuple[Kernel, ...] = ()
    grown_from: Library = WHOLE

    def home(self, kernel: Kernel) -> Library:
        """The deepest library for what was added, else the library that this one grew from."""
        return WHOLE if kernel in self.added else self.grown_from


@dataclass(frozen=True)
class Stock:
    """What there is of kernels: those of ``library``, the added ones, and ops for the chip itself.

    ``ops`` are ops that the chip refuses by its datasheet, and for which a kernel was added.
    """

    library: Library
    kernels: tuple[Kernel, ...] = ()
    ops: tuple[str, ...] = ()

    def library_asking(self, asked: list[Body]) -> Library:
        """The library as a selector takes it, in the order of the deepest one.

        Its first kernel takes nothing and adds to ``asked`` what it is asked about.
        """
        first = WHOLE.kernels[0]
        probe = Kernel("probe", "takes nothing", _refuse_all(asked), first.template, first.menu)
        added = tuple(k for k in WHOLE.kernels if k in self.kernels)
        rest = tuple(k for k in self.library.kernels if k not in added)
        own = self.library
        return Grown(
            own.name,
            own.about,
            (probe, *added, *rest),
            own.menu_length,
            own.load_width_bytes,
            own.split,
            frozenset(self.ops),
            added,
            own,
        )


@dataclass(frozen=True)
class Priced:
    """The latency of a run with some stock, and every group that its kernels were asked about."""

    latency_ps: int
    asked: tuple[Body, ...]

    def without(self, kernel: Kernel) -> bool:
        """Whether one more kernel cannot change the run, since it claims nothing of what was asked.

        Whatever the compiler decides follows from the answers that it gets.
        """
        return all(kernel.refusal(body) for body in self.asked)


def curve(executable: Executable) -> tuple[Point, ...]:
    """Add the missing kernels one by one, each time the one that removes most time.

    Where none removes any, they follow in the order of the deepest library.
    """
    bench = _Bench(executable)
    stock = Stock(LIBRARIES[executable.compiled.stack.kernels])
    priced = bench.price(stock)
    points = [Point("", executable.compiled.trace.total_ps)]
    while offers := bench.missing(stock):
        found = {
            name: priced if kernel and priced.without(kernel) else bench.price(offer)
            for name, (kernel, offer) in offers.items()
        }
        best = min(found, key=lambda name: found[name].latency_ps)
        points.append(Point(best, min(found[best].latency_ps, points[-1].latency_ps)))
        stock, priced = offers[best][1], found[best]
    return tuple(points)


@dataclass(frozen=True)
class _Bench:
    """One graph on one stack, to be compiled and simulated with other kernels."""

    executable: Executable

    @property
    def graph(self) -> Graph:
        return self.executable.compiled.lowered

    def missing(self, stock: Stock) -> dict[str, tuple[Kernel | None, Stock]]:
        """What there is with one more kernel, for every kernel that is missing, by its name."""
        kernels = [k for k in WHOLE.kernels if _is_missing(stock, k)]
        offers: dict[str, tuple[Kernel | None, Stock]] = {
            f"{WHOLE.name}.{k.name}": (k, replace(stock, kernels=(*stock.kernels, k)))
            for k in kernels
        }
        for op in self.refused(stock):
            name = f"{self.executable.chip.name}.{op}"
            offers[name] = None, replace(stock, ops=(*stock.ops, op))
        return offers

    def refused(self, stock: Stock) -> Sequence[str]:
        """Ops of the graph of which the chip refuses a node."""
        ops = self.executable.chip.sheet.ops
        refused = dict.fromkeys(n.op for n in self.graph.nodes if ops.refusal(n.op, n.attrs))
        return tuple(op for op in refused if op not in stock.ops)

    def price(self, stock: Stock) -> Priced:
        """Compile and simulate the whole run."""
        stack, chip = self.executable.compiled.stack, self.executable.chip
        asked: list[Body] = []
        planned = fastest(self.graph, stack, chip, Watch(), library=stock.library_asking(asked))
        return Priced(chip.latency_ps(planned[2]), tuple(dict.fromkeys(asked)))


def _is_missing(stock: Stock, kernel: Kernel) -> bool:
    """Whether there is no such kernel, or only one with fewer tiles or other ways to use them."""
    if kernel in stock.kernels:
        return False
    own = stock.library
    return kernel not in own.kernels or _depth(own) != _depth(WHOLE)


def _depth(library: Library) -> tuple[int, int, str]:
    return library.menu_length, library.load_width_bytes, library.split


def _refuse_all(asked: list[Body]) -> Callable[[Body], str]:
    def claims(body: Body) -> str:
        asked.append(body)
        return "takes nothing"

    return claims

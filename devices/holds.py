"""Which resource works when: what a trace viewer shows in a row for each resource.

A clock that is asked for it keeps a hold for every event on a resource of the chip. Events that
repeat in a uniform loop are jumped, so they are one hold that says how often they occur in it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor

from emu.devices.recorder import Kind, Recorder
from emu.devices.terms import Key, Phase, settle
from emu.devices.tile_cost import Shares
from emu.devices.timeline import Clockwork
from emu.devices.waves import IN_A_WAVE, Waves
from emu.devices.wires import RESOURCES
from emu.ir.tile import Compute, Fill

SHOWN = (
    *("load", "store", "matrix unit", "vector unit"),
    *("load of kept", "store of kept", "weight shift"),
)
NAMES = dict(zip(RESOURCES, SHOWN, strict=True))
HOST, LINK = "host", "link"


@dataclass(frozen=True)
class Hold:
    """A resource that works for launch ``index``, ``times`` times between two moments.

    ``shares`` are the picoseconds in which it is held, by node and cause: no more than there are
    between the moments. ``size`` are bytes, where the resource is the link; ``weights`` says that
    all that is moved are weights.
    """

    resource: str
    index: int
    start_ps: int
    end_ps: int
    shares: Mapping[Key, int]
    times: int = 1
    size: int = 0
    weights: bool = False

    @property
    def busy_ps(self) -> int:
        """For how long the resource is held."""
        return sum(self.shares.values())


def stepped(
    clockwork: Clockwork,
    entries: tuple[int, ...],
    index: int,
    base_ps: int,
    told: Shares,
    stepwise: bool = False,
) -> Iterator[Hold]:
    """The holds of a launch that steps its program from ``entries``, moments after ``base_ps``."""
    recorder = Recorder()
    clockwork.passage(entries, stepwise, recorder)
    for held in recorder.held:
        shares: dict[Key, int] = {}
        for kind, count in held.kinds.items():
            for key, ps in _told(clockwork, kind, told).items():
                shares[key] = shares.get(key, 0) + ps * count
        yield Hold(
            NAMES[RESOURCES[held.resource]],
            index,
            base_ps + held.start_ps,
            base_ps + held.end_ps,
            shares,
            sum(held.kinds.values()),
            weights=all(_moves_weights(clockwork, kind) for kind in held.kinds),
        )


def _moves_weights(clockwork: Clockwork, kind: Kind) -> bool:
    program = clockwork.program
    view = clockwork.cost.moved_view(program.statements[kind.number].statement)
    return view >= 0 and program.views[view].role == "weight"


def _told(clockwork: Clockwork, kind: Kind, shares: Shares) -> dict[Key, int]:
    """Picoseconds by (node, cause) for which one execution holds its resource."""
    statement = clockwork.program.statements[kind.number].statement
    first = shares.cause(clockwork.cost.moved_view(statement))
    node = 0 if isinstance(statement, Fill) else statement.node
    found: dict[Key, int] = {}
    for (_, cause), ps in kind.busy.settle(clockwork.free).shares:
        key = node, first if cause == "intermediate" else cause
        found[key] = found.get(key, 0) + ps
    return found


def waved(waves: Waves, cores: int, shares: Shares, index: int, start_ps: int) -> Iterator[Hold]:
    """The holds of a launch on ``cores`` that starts to compute at a moment.

    Inside of a wave only its slowest resource is known to work all the time.
    """
    matrix = frozenset(
        placed.statement.node
        for placed in waves.program.statements
        if isinstance(placed.statement, Compute) and waves.cost.unit(placed.statement)
    )
    reached = Fraction(start_ps)
    for phase in waves.phases(cores, shares):
        begun = reached
        reached += phase.times * max(sum(t.ps for t in terms) for terms in phase.alternatives)
        if len(phase.alternatives) == 1:  # a latency, which holds nothing
            continue
        parts = ((name, dict(settle((part,)).shares)) for name, part in _apart(phase, matrix))
        for name, charged in parts:
            if charged:
                yield Hold(name, index, floor(begun), floor(reached), charged, phase.times)


def _apart(phase: Phase, matrix: frozenset[int]) -> Iterator[tuple[str, Phase]]:
    """The resources of a wave with what each does; the units of a core take turns."""
    computed, *rest = phase.alternatives
    on_matrix = tuple(term for term in computed if term.node in matrix)
    yield "matrix unit", replace(phase, alternatives=(on_matrix,))
    on_lanes = tuple(term for term in computed if term.node not in matrix)
    yield "vector unit", replace(phase, alternatives=(on_lanes,))
    for name, terms in zip(IN_A_WAVE, rest, strict=True):
        yield name, replace(phase, alternatives=(terms,))

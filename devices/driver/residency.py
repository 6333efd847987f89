"""The residency pass: values stay on chip between launches, by rewriting where loads and stores go.

A value that one launch makes and only launches read need not go through device memory: its views
become ``kept``, so that stores leave it in the scratchpads of the cores that made it, and loads
fetch it from there. A core that loads no more than what it made itself finds that in its own
scratchpad; all else has to cross the network between the cores.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import TypeAlias

from emu.ir.group import Decision
from emu.ir.machine import Machine
from emu.ir.regions import Frame, Interval, Span, covered, taken_bytes, within
from emu.ir.schedule import Binding, Schedule
from emu.ir.tile import Axis, Gather, Load, Placed, Store, TileProgram, View

Part: TypeAlias = tuple[Span, ...]  # a slice of a value
WIDE = 4096  # cores whose parts are compared one by one


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A value that could stay on chip from launch ``first`` to launch ``last``.

    It takes ``size`` bytes of each of ``cores``; ``own`` are the readers that find all they load in
    the scratchpad of the core that loads it. ``saved`` are bytes of device memory.
    """

    value: str
    first: int
    last: int
    cores: int
    size: int
    saved: int
    own: frozenset[int]
    readers: tuple[int, ...]

    @property
    def local(self) -> bool:
        """Whether no reader needs a network."""
        return len(self.own) == len(self.readers)

    @property
    def worth(self) -> float:
        """Bytes of device memory that each byte on chip saves in each launch that it lies there."""
        return self.saved / (self.size * (self.last - self.first + 1))


def keep_on_chip(schedule: Schedule, machine: Machine) -> Schedule:
    """Return the schedule with values kept on chip while capacity and lifetimes allow.

    Those that save most device memory for their room come first. On a machine without a network
    only what each core finds in its own scratchpad is kept. A decision says, for every value
    that more than one launch deals with, why it is kept or not.
    """
    room = _room(schedule, machine)
    chosen: list[_Candidate] = []
    said: dict[str, Decision] = {}
    found, refused = _candidates(schedule)
    for one in sorted(found, key=lambda c: (-c.worth, c.first, c.value)):
        why = "" if one.local or machine.network else "its readers are on other cores: no network"
        span = range(one.first, one.last + 1)
        if not why and any(room[i] < one.size for i in span):
            why = "on-chip memory is full while it is alive"
        if not why:
            chosen.append(one)
            for i in span:
                room[i] -= one.size
        said[one.value] = _said(schedule, one, why)
    told = (*schedule.decisions, *refused, *(said[c.value] for c in found))
    return replace(_rewritten(schedule, chosen), decisions=told)


def kept_by(binding: Binding) -> Mapping[str, tuple[int, int]]:
    """The values that a binding makes and keeps: on how many cores, and bytes in each of them."""
    program = binding.program
    if program is None:
        return {}
    names = dict(zip(binding.body.outputs, binding.inside.outputs, strict=True))
    return {
        names[view.value]: (view.kept_cores, _share_bytes(program, number))
        for number, view in enumerate(program.views)
        if view.kept and view.role == "output" and view.value is not None
    }


def _said(schedule: Schedule, one: _Candidate, why: str) -> Decision:
    nodes = schedule.bindings[one.first].group.nodes
    told = why or ("in the scratchpads of its readers" if one.local else "over the network")
    numbers = {"core_bytes": one.size, "saved_bytes": one.saved, "launches": len(one.readers)}
    return Decision(not why, "residency:value", f"%{one.value}: {told}", nodes, numbers)


def _room(schedule: Schedule, machine: Machine) -> list[int]:
    """On-chip bytes of a core that the buffers of each launch leave."""
    programs = [binding.program for binding in schedule.bindings]
    taken = [0 if program is None else taken_bytes(program, machine) for program in programs]
    return [machine.onchip_bytes - size for size in taken]


def _candidates(schedule: Schedule) -> tuple[list[_Candidate], list[Decision]]:
    """The values that could stay, in the order in which they are made, and why others cannot."""
    readers: dict[str, list[int]] = {}
    for i, binding in enumerate(schedule.bindings):
        for value in binding.inside.inputs:
            readers.setdefault(value, []).append(i)
    found: list[_Candidate] = []
    refused: list[Decision] = []
    for i, binding in enumerate(schedule.bindings):
        for value in binding.inside.outputs:
            if value not in readers:
                continue
            if why := _refusal(schedule, i, value, readers[value]):
                said = f"%{value}: {why}"
                refused.append(Decision(False, "residency:value", said, binding.group.nodes))
            else:
                found.append(_candidate(schedule, i, value, readers[value]))
    return found, refused


def _refusal(schedule: Schedule, maker: int, value: str, readers: Sequence[int]) -> str:
    bindings = schedule.bindings
    if value in schedule.graph.outputs:
        return "an output of the model"
    if any(bindings[i].program is None for i in (maker, *readers)):
        return "the host makes or reads it"
    if any(not _moves(bindings[i], value) for i in (maker, *readers)):
        return "a kernel deals with it without loads and stores"
    return ""


def _candidate(schedule: Schedule, maker: int, value: str, readers: Sequence[int]) -> _Candidate:
    program = _program(schedule.bindings[maker])
    (made,) = _views(schedule.bindings[maker], value)
    own = frozenset(i for i in readers if _finds_own(program, made, schedule.bindings[i], value))
    size = schedule.graph.types[value].bytes
    return _Candidate(
        *(value, maker, max(readers), len(_frames(program))),
        size=_share_bytes(program, made),
        saved=size * (1 + len(readers)),
        own=own,
        readers=tuple(readers),
    )


def _program(binding: Binding) -> TileProgram:
    assert binding.program is not None
    return binding.program


def _views(binding: Binding, value: str) -> list[int]:
    """The views of a value in a launch that are loaded or stored."""
    inside, program = binding.inside, _program(binding)
    outputs = zip(binding.body.outputs, inside.outputs, strict=True)
    numbers = {i for i, name in enumerate(inside.inputs) if name == value}
    numbers |= {number for number, name in outputs if name == value}
    found = enumerate(program.views)
    return [i for i, view in found if view.value in numbers and view.role != "local"]


def _moves(binding: Binding, value: str) -> bool:
    """Whether a launch loads or stores a value by statements of its program."""
    moved = {view for view, _, _ in _moved(_program(binding))}
    views = _views(binding, value)
    is_made = value in binding.inside.outputs
    return bool(views) and moved.issuperset(views) and (len(views) == 1 or not is_made)


@lru_cache(maxsize=4096)
def _moved(program: TileProgram) -> tuple[tuple[int, int | None, Placed], ...]:
    """View, buffer (None for rows that are gathered) and place of every load and store."""
    found: list[tuple[int, int | None, Placed]] = []
    for placed in program.statements:
        match placed.statement:
            case Load(buffer, _):
                found.append((program.buffers[buffer].value, buffer, placed))
            case Store(buffer, view, _):
                found.append((view, buffer, placed))
            case Gather(table, _, _, _):
                found.append((table, None, placed))
            case _:
                pass
    return tuple(found)


@lru_cache(maxsize=4096)
def _frames(program: TileProgram) -> tuple[Frame, ...]:
    """For every core that has a tile the intervals of the parallel loops, in order of the cores."""
    found: list[dict[int, Interval]] = [{}]
    for number, loop in enumerate(program.loops):
        if loop.parallel:
            found = [{**f, number: i} for f in found for i in _intervals(program, number, f)]
    return tuple(found)


def _intervals(program: TileProgram, number: int, frame: Frame) -> Iterator[Interval]:
    loop = program.loops[number]
    low, high = (0, loop.extent) if loop.parent is None else frame[loop.parent]
    return ((at, min(at + loop.step, high)) for at in range(low, high, loop.step))


def _part(program: TileProgram, view: View, axes: Sequence[Axis], frame: Frame) -> Part:
    """The slice of a view that a core moves in all with one buffer."""
    return tuple(
        _reach(program, a, frame, extent) for a, extent in zip(axes, view.type.dims, strict=True)
    )


def _reach(program: TileProgram, axis: Axis, frame: Frame, extent: int) -> Span:
    """What an axis covers while every loop that is not parallel runs from its start to its end."""
    outer: int | None = None
    for number in program.lineage(axis.of):
        if number in frame:
            return within(axis, frame[number], extent)
        outer = number
    if outer is None:
        return Span(0, extent)
    return within(axis, (0, program.loops[outer].extent), extent)


@lru_cache(maxsize=4096)
def _parts(program: TileProgram, view: int) -> tuple[tuple[Part, ...], ...]:
    """Per core the slices of a view that it moves, () for one whose rows are gathered."""
    buffers = [number for moved, number, _ in _moved(program) if moved == view]
    if None in buffers:
        return ()
    axes = dict.fromkeys(program.buffers[b].axes for b in buffers if b is not None)
    kind = program.views[view]
    return tuple(tuple(_part(program, kind, a, frame) for a in axes) for frame in _frames(program))


def _share_bytes(program: TileProgram, view: int) -> int:
    """The most bytes of a view that a core makes, in whole granules."""
    kind = program.views[view].type
    shares = (
        sum(prod(map(covered, part, kind.granule)) for part in parts)
        for parts in _parts(program, view)
    )
    return kind.itemsize * max(shares)


def _finds_own(maker: TileProgram, made: int, reader: Binding, value: str) -> bool:
    """Whether each core of a reader loads only what the same core of the maker stored."""
    program = _program(reader)
    if len(_frames(maker)) == len(_frames(program)) == 1:
        return True
    if len(_frames(program)) > min(len(_frames(maker)), WIDE):
        return False
    views = _views(reader, value)
    if any(program.views[v].type != maker.views[made].type for v in views):
        return False
    return all(_inside(_parts(program, v), _parts(maker, made)) for v in views)


def _inside(read: Sequence[Sequence[Part]], made: Sequence[Sequence[Part]]) -> bool:
    """Whether each core's parts to read lie in one of those that it made."""
    pairs = zip(read, made[: len(read)], strict=True)
    return bool(read) and all(
        any(all(map(_contains, m, r)) for m in mine) for needs, mine in pairs for r in needs
    )


def _contains(made: Span, read: Span) -> bool:
    return made.step == 1 and made.start <= read.start and read.stop <= made.stop


def _rewritten(schedule: Schedule, chosen: Sequence[_Candidate]) -> Schedule:
    """The schedule whose programs load and store the chosen values on chip."""
    bindings = list(schedule.bindings)
    for one in chosen:
        for i in (one.first, *one.readers):
            own = i == one.first or i in one.own
            bindings[i] = _with_kept(bindings[i], one.value, one.cores, own)
    return replace(schedule, bindings=tuple(bindings))


def _with_kept(binding: Binding, value: str, cores: int, own: bool) -> Binding:
    program = _program(binding)
    views = list(program.views)
    for i in _views(binding, value):
        views[i] = replace(views[i], kept_cores=cores, own=own)
    return replace(binding, program=replace(program, views=tuple(views)))

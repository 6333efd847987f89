"""The memory planner: what lies where, for how long, and what happens when memory runs out."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.devices.driver import plan
from emu.devices.driver.arena import Arena
from emu.ir.body import body_of
from emu.ir.errors import CapacityError
from emu.ir.graph import Constant, Graph, Node
from emu.ir.group import Group
from emu.ir.machine import Machine
from emu.ir.program import (
    Alloc,
    Command,
    Copy,
    Drop,
    Free,
    HostCall,
    Keep,
    Launch,
    Replay,
    Wait,
)
from emu.ir.schedule import Binding, Schedule
from emu.ir.tile import TileProgram, View
from emu.ir.types import TensorType

Row = tuple[str, tuple[str, ...], tuple[str, ...], bool]


def machine(capacity: int = 1 << 30, alignment: int = 256) -> Machine:
    return Machine("chip", False, 1, 1 << 20, capacity, alignment, (8, 8))


def schedule(
    rows: Sequence[Row],
    inputs: Sequence[str],
    outputs: Sequence[str],
    weights: Sequence[str] = (),
    sizes: dict[str, int] | None = None,
) -> Schedule:
    """One binding per row (id, inputs, outputs, whether the host computes it); values are bytes."""
    nodes = tuple(Node(i, "Op", ins, outs, source=(i,)) for i, ins, outs, _ in rows)
    names = {*inputs, *weights, *(v for _, ins, outs, _ in rows for v in (*ins, *outs))}
    types = {name: TensorType("ui8", ((sizes or {}).get(name, 100),)) for name in names}
    constants = {
        w: Constant(types[w], w, lambda: pytest.fail("no weight is read")) for w in weights
    }
    graph = Graph("net", tuple(inputs), tuple(outputs), nodes, types, constants)
    pairs = zip(nodes, rows, strict=True)
    return Schedule(graph, tuple(binding(graph, node, row[3]) for node, row in pairs))


def binding(graph: Graph, node: Node, host: bool) -> Binding:
    inside = body_of(graph, (node,))
    views = tuple(View(t, "input", i) for i, t in enumerate(inside.body.types))
    program = None if host else TileProgram("k", views, (), (), ())
    group = Group(f"g-{node.id}", (node.id,), inside.inputs, inside.outputs)
    return Binding(group, inside, "k", "host" if host else "native", program, "")


def short(commands: Sequence[Command]) -> list[str]:
    return [_short(command) for command in commands]


def _short(command: Command) -> str:
    match command:
        case Alloc() | Free() | Keep() | Drop():
            return f"{type(command).__name__.lower()} {command.value}"
        case Copy():
            return f"copy {command.value} to {command.to}"
        case Launch() | HostCall():
            return f"{type(command).__name__.lower()} {command.index}"
        case Replay():
            return f"replay {command.launches}"
        case Wait():
            return "wait"


def test_values_are_allocated_when_made_and_freed_after_their_last_reader() -> None:
    rows = [("a", ("x", "w"), ("t",), False), ("b", ("t",), ("y",), False)]
    program = plan(schedule(rows, "x", "y", "w"), machine())
    assert short(program.commands) == [
        *("alloc x", "alloc w"),
        *("alloc t", "launch 0"),
        *("alloc y", "launch 1", "free t"),
        "wait",
    ]
    assert (program.model, program.device, program.inputs) == ("net", "chip", ("x",))
    assert program.peak_bytes == 4 * 256


def test_a_dead_value_gives_its_room_to_the_next_one() -> None:
    rows = [(f"n{i}", (f"v{i}",), (f"v{i + 1}",), False) for i in range(9)]
    program = plan(schedule(rows, ["v0"], ["v9"]), machine(capacity=4 * 256))
    assert program.peak_bytes == 3 * 256


def test_a_result_that_nothing_reads_is_freed_at_once() -> None:
    made = schedule([("a", ("x",), ("y", "dead"), False)], "x", "y")
    (only,) = made.bindings
    body = replace(only.body, outputs=(1, 2))
    writes_both = replace(only, inside=replace(only.inside, body=body))
    program = plan(Schedule(made.graph, (writes_both,)), machine())
    assert short(program.commands)[1:] == [
        *("alloc y", "alloc dead", "launch 0", "free dead", "wait"),
    ]


def test_a_constant_that_no_tile_program_views_takes_no_memory() -> None:
    made = schedule([("a", ("x", "shape"), ("y",), False)], "x", "y", ["shape"])
    (only,) = made.bindings
    assert only.program is not None
    blind = replace(only, program=replace(only.program, views=only.program.views[:1]))
    program = plan(Schedule(made.graph, (blind,)), machine())
    assert short(program.commands) == ["alloc x", "alloc y", "launch 0", "wait"]


def test_a_host_call_copies_only_what_the_host_does_not_have() -> None:
    rows = [
        ("a", ("x",), ("t",), False),
        ("b", ("t", "x", "w"), ("u",), True),
        ("c", ("u", "t"), ("v",), True),
        ("d", ("v",), ("y",), False),
    ]
    program = plan(schedule(rows, "x", "y", "w"), machine())
    assert short(program.commands) == [
        *("alloc x", "alloc t", "launch 0"),
        *("copy t to host", "hostcall 1", "free t"),
        *("hostcall 2", "alloc v", "copy v to device"),
        *("alloc y", "launch 3", "free v", "wait"),
    ]


def test_an_output_that_the_host_computes_ends_on_the_device() -> None:
    program = plan(schedule([("a", ("x",), ("y",), True)], "x", "y"), machine())
    assert short(program.commands)[-3:] == ["alloc y", "copy y to device", "wait"]


def test_a_constant_that_is_an_output_lies_on_the_device() -> None:
    program = plan(schedule([], [], ["w"], ["w"]), machine())
    assert short(program.commands) == ["alloc w", "wait"]


def test_a_model_over_capacity_is_refused_with_all_numbers() -> None:
    rows = [("a", ("x", "w"), ("y",), False)]
    big = schedule(rows, "x", "y", "w", {"w": 5000, "y": 3000})
    with pytest.raises(CapacityError) as caught:
        plan(big, machine(capacity=8000))
    assert str(caught.value) == (
        "net does not fit chip: command 2 (alloc %y for launch 0 'g-a') needs 3,072 bytes, but of "
        "7,936 bytes 2,560 are free, 2,560 of them in one piece; "
        "largest values in memory: %w 5,120, %x 256"
    )


def test_weights_over_capacity_are_refused_before_the_first_launch() -> None:
    with pytest.raises(CapacityError, match=r"command 0 .*before the first launch.*: none"):
        plan(schedule([("a", ("x",), ("y",), False)], "x", "y"), machine(capacity=100))


def test_the_smallest_hole_that_fits_is_taken() -> None:
    arena = Arena(1000, 10)
    spots = [arena.take(size) for size in (300, 10, 100, 10)]
    arena.give(0, 300)
    arena.give(310, 100)
    assert spots == [0, 300, 310, 410]
    assert [arena.take(100), arena.take(100), arena.take(300)] == [310, 0, 420]


def test_holes_grow_together_again() -> None:
    arena = Arena(100, 10)
    spots = [arena.take(20) for _ in range(5)]
    assert (spots, arena.take(10), arena.largest) == ([0, 20, 40, 60, 80], None, 0)
    for offset in (20, 60, 40, 0, 80):
        arena.give(offset, 20)
    assert (arena.free, arena.largest, arena.take(100)) == (100, 100, 0)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    """Graphs of random reads, sizes, host calls and outputs."""
    values, rows = ["x", "w0", "w1"], list[Row]()
    for i in range(draw(st.integers(1, 14))):
        ins = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True))
        outs = [f"v{i}.{k}" for k in range(draw(st.integers(1, 2)))]
        rows.append((f"n{i}", tuple(ins), tuple(outs), draw(st.booleans())))
        values += outs
    outputs = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True))
    sizes = {value: draw(st.integers(0, 2000)) for value in values}
    return schedule(rows, "x", outputs, ("w0", "w1"), sizes)


@settings(deadline=None, max_examples=150)
@given(schedules(), st.sampled_from([1, 64, 100]))
def test_no_plan_overlaps_leaks_or_misstates_its_peak(made: Schedule, alignment: int) -> None:
    program = plan(made, machine(alignment=alignment))
    live: dict[str, Alloc] = {}
    peak = 0
    for command in program.commands:
        _step(command, live, alignment, made)
        peak = max(peak, sum(alloc.size for alloc in live.values()))
    resident = {*made.graph.inputs, *made.graph.outputs}
    assert set(live) - set(made.graph.constants) == resident - set(made.graph.constants)
    assert (program.peak_bytes, program.commands[-1]) == (peak, Wait())


def _step(command: Command, live: dict[str, Alloc], alignment: int, made: Schedule) -> None:
    """Apply one command; assert that what it needs is there."""
    if isinstance(command, Alloc):
        assert command.offset % alignment == command.size % alignment == 0
        assert command.size >= max(1, made.graph.types[command.value].bytes)
        ends = [(a.offset, a.offset + a.size) for a in live.values()]
        assert all(command.offset >= b or command.offset + command.size <= a for a, b in ends)
        live[command.value] = command
    elif isinstance(command, Free):
        del live[command.value]
    elif isinstance(command, Copy):
        assert command.value in live
        assert command.size == made.graph.types[command.value].bytes
    elif isinstance(command, Launch):
        assert {*command.ins, *command.outs} <= set(live)


@settings(deadline=None, max_examples=50)
@given(schedules())
def test_the_host_computes_only_on_what_reached_it(made: Schedule) -> None:
    at_host = {*made.graph.inputs, *made.graph.constants}
    for command in plan(made, machine()).commands:
        if isinstance(command, Copy):
            assert (command.value in at_host) == (command.to == "device")
            at_host.add(command.value)
        if isinstance(command, HostCall):
            assert at_host.issuperset(command.ins)
            at_host.update(command.outs)

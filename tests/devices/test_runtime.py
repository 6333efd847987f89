"""Contexts of a driver, and programs that run through its functions and through nothing else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from emu.devices.driver import Loader
from emu.devices.driver.context import Context
from emu.devices.driver.handles import ALLOC, CLOSE, COPY, LAUNCH, OPEN, ROLES, WAIT, Request
from emu.devices.driver.linker import Handle
from emu.devices.driver.runtime import Caller, Player, play
from emu.ir.errors import (
    AbiMismatch,
    CapacityError,
    ContextClosed,
    ForeignHandle,
    NotCaptured,
    NotLoaded,
    NotRecorded,
    StaleHandle,
)
from emu.ir.program import Alloc, Copy, Drop, Free, HostCall, Keep, Launch, Program, Replay, Wait
from tests.devices.test_container import CHIP, COMMANDS, DATA, PROGRAM, encode

LAUNCHES = 3  # position of the launch in the program


def named(command: Launch, ins: Sequence[Any]) -> tuple[str]:
    """A chip that computes texts, so that what was computed from what can be read."""
    return (f"{command.kernel}({', '.join(map(str, ins))})",)


def opened(room: int = 4096) -> Context:
    context = Context((room, 256), Loader(CHIP), named)
    context.submit(Request(OPEN, ()))
    return context


def ask(context: Context, role: str, *arguments: Any) -> Any:
    request = Request(role, arguments)
    context.submit(request)
    return request.result


def queue(context: Context, x: Any, out: Any, stream: Any = None) -> None:
    module = ask(context, "load", DATA)
    ask(context, "launch", module, LAUNCHES, (x, "w"), (out,), stream)


def test_a_launch_computes_from_memory_and_from_values() -> None:
    context = opened()
    x, out = ask(context, "alloc", 100), ask(context, "alloc", 100)
    ask(context, "copy", "device", x, "X")
    queue(context, x, out)
    assert ask(context, "copy", "host", out) == "deep.matmul(X, w)"
    assert context.copied == {"device": 256, "host": 256}
    assert [launch.kernel for launch in context.launched] == ["deep.matmul"]


def test_work_is_done_when_it_is_waited_for_and_streams_are_in_order_only_by_events() -> None:
    context = opened()
    a, b, c = (ask(context, "alloc", 8) for _ in range(3))
    ask(context, "copy", "device", a, "A")
    one, two = ask(context, "stream"), ask(context, "stream")
    queue(context, a, b, one)
    event = ask(context, "record", None, one)
    ask(context, "event", event, two)
    queue(context, b, c, two)
    assert context.launched == []
    ask(context, "wait", two)
    assert context.contents[c] == "deep.matmul(deep.matmul(A, w), w)"
    assert event.done


def test_without_an_event_a_stream_does_not_wait_for_another() -> None:
    context = opened()
    a, b, c = (ask(context, "alloc", 8) for _ in range(3))
    ask(context, "copy", "device", a, "A")
    one, two = ask(context, "stream"), ask(context, "stream")
    queue(context, a, b, one)
    queue(context, b, c, two)
    ask(context, "wait", two)
    assert context.contents[c] == "deep.matmul(None, w)"


def test_an_event_can_be_recorded_again() -> None:
    context = opened()
    event = ask(context, "record")
    ask(context, "wait")
    assert event.done
    assert ask(context, "record", event) is event
    assert not event.done


def test_a_graph_is_recorded_once_and_launched_by_one_call_as_often_as_one_likes() -> None:
    context = opened()
    a, b, c = (ask(context, "alloc", 8) for _ in range(3))
    ask(context, "capture")
    queue(context, a, b)
    queue(context, b, c)
    graph = ask(context, "captured")
    ask(context, "wait")
    assert context.launched == []
    for runs in (1, 2):
        ask(context, "graph", graph)
        ask(context, "wait")
        assert len(context.launched) == 2 * runs


def test_captures_begin_and_end_in_turn_and_graphs_are_of_their_context() -> None:
    context = opened()
    with pytest.raises(NotCaptured, match="driver: a capture ends that never began"):
        ask(context, "captured")
    ask(context, "capture")
    with pytest.raises(NotCaptured, match="driver: a capture begins while another has not ended"):
        ask(context, "capture")
    with pytest.raises(ForeignHandle, match="a captured is of context"):
        ask(opened(), "graph", ask(context, "captured"))


def test_values_are_kept_on_chip_as_far_as_each_core_has_room() -> None:
    context = Context((4096, 256), Loader(CHIP), named, onchip_bytes=100)
    ask(context, "open")
    kept = ask(context, "keep", 60)
    with pytest.raises(CapacityError, match="keep of 41 bytes in each core: 40 of its 100 on-chip"):
        ask(context, "keep", 41)
    ask(context, "free", kept)
    assert ask(context, "keep", 100).size == 100
    assert context.arena.free == 4096


def test_a_pool_keeps_its_bytes_and_gives_them_out_again() -> None:
    context = opened(room=1024)
    first = ask(context, "pool", 1000)
    ask(context, "free", first)
    assert context.arena.free == 0
    again = ask(context, "pool", 1000)
    assert (again.offset, again is first) == (first.offset, False)
    with pytest.raises(StaleHandle):
        ask(context, "free", first)


def test_memory_is_finite_and_comes_back_when_it_is_freed() -> None:
    context = opened(room=1024)
    taken = ask(context, "alloc", 1000)
    with pytest.raises(CapacityError, match="alloc of 256 bytes: 0 are free, 0 of them"):
        ask(context, "alloc", 1)
    ask(context, "free", taken)
    assert ask(context, "alloc", 1024).offset == 0


def test_freed_memory_is_neither_freed_nor_used_again() -> None:
    context = opened()
    x = ask(context, "alloc", 8)
    ask(context, "free", x)
    for role, arguments in (
        ("free", (x,)),
        ("copy", ("host", x)),
        ("copy", ("device", x, "X")),
    ):
        with pytest.raises(StaleHandle, match="256 bytes at 0 were freed"):
            ask(context, role, *arguments)
    with pytest.raises(StaleHandle):
        queue(context, x, ask(context, "alloc", 8))


def test_handles_of_another_context_are_foreign() -> None:
    mine, other = opened(), opened()
    for role, made in (("free", "alloc"), ("wait", "stream"), ("event", "record")):
        handle = ask(other, made, *((8,) if made == "alloc" else ()))
        with pytest.raises(ForeignHandle, match=f"of context {other.number}, not of {mine.number}"):
            ask(mine, role, handle)
    with pytest.raises(ForeignHandle, match="12 is no handle"):
        ask(mine, "free", 12)


def test_a_launch_needs_a_module_of_this_context_that_has_it() -> None:
    context, other = opened(), opened()
    x, foreign = ask(context, "alloc", 8), ask(other, "load", DATA)
    module = ask(context, "load", DATA)
    for given in (None, foreign):
        with pytest.raises(NotLoaded, match="its module is not loaded in this context"):
            ask(context, "launch", given, LAUNCHES, (x, "w"), (x,))
    for position in (-1, 0, len(COMMANDS)):
        with pytest.raises(NotLoaded, match="there is none in the module of 'net'"):
            ask(context, "launch", module, position, (x, "w"), (x,))


def test_an_event_that_was_never_recorded_cannot_be_waited_for() -> None:
    context = opened()
    event = ask(context, "record")
    event.stream = None
    with pytest.raises(NotRecorded):
        ask(context, "event", event)


def test_a_context_is_used_between_open_and_close_only() -> None:
    context = Context((1024, 256), Loader(CHIP), named)
    with pytest.raises(ContextClosed, match="alloc in a context that is not open"):
        ask(context, "alloc", 8)
    ask(context, "open")
    x = ask(context, "alloc", 8)
    ask(context, "close")
    with pytest.raises(ContextClosed):
        ask(context, "free", x)


def caller(submit: Callable[..., None], *roles: str) -> Caller:
    """Who calls functions f_ROLE of a driver that has these."""
    names = {role: f"f_{role}" for role in roles}
    return Caller(Handle(1, dict.fromkeys(names.values(), submit), "driver"), names)


def on_host(call: HostCall, ins: Sequence[Any]) -> Sequence[Any]:
    return (f"host({', '.join(map(str, ins))})",)


def played(context: Context, *callers: Caller) -> Mapping[str, Any]:
    given = {"x": "X", "w": "W"}
    player = Player(PROGRAM, DATA, lambda launch: callers[-1], callers[0], given, on_host)
    return play([player], PROGRAM.outputs)


FULL = {"y": "host(deep.matmul(X, W), W)"}


@pytest.mark.parametrize(
    "roles", [ROLES, ("launch",), ("alloc", "launch"), ("load", "launch"), ("open", "copy", LAUNCH)]
)
def test_a_program_runs_through_whatever_functions_there_are(roles: tuple[str, ...]) -> None:
    context = Context((4096, 256), Loader(CHIP), named)
    library = caller(context.submit, *roles)
    assert played(context, library) == FULL
    assert library.handle.calls["f_launch"] >= 1
    assert len(context.launched) == 1
    assert not context.is_open


KEEPING = (
    *(Alloc("x", 0, 8), Alloc("y", 256, 8), Keep("t", 4, 50)),
    replace(COMMANDS[LAUNCHES], ins=("x", "x"), outs=("t",)),
    replace(COMMANDS[LAUNCHES], index=1, ins=("t", "t"), outs=("y",)),
    *(Drop("t"), Wait()),
)


def kept(library: Caller) -> Mapping[str, Any]:
    """A program whose value between two launches stays on chip."""
    program = Program("net", "chip", ("x",), ("y",), KEEPING, 16)
    commands = (*KEEPING[:2], Alloc("t", 512, 8), *KEEPING[3:5], Free("t"), KEEPING[6])
    data = encode(replace(program, commands=commands, peak_bytes=24))  # the same launches
    player = Player(program, data, lambda c: library, library, {"x": "X"}, on_host)
    return play([player], program.outputs)


def test_a_driver_keeps_a_value_on_chip_by_a_function_for_it_only() -> None:
    context = Context((4096, 256), Loader(CHIP), named, onchip_bytes=50)
    library = caller(context.submit, *ROLES)
    assert kept(library) == {"y": TWICE}
    calls = library.handle.calls
    assert (calls["f_keep"], calls["f_pool"], context.copied["host"]) == (1, 2, 256)
    with pytest.raises(AbiMismatch, match="'t' stays on chip: have alloc, launch, need a function"):
        kept(caller(opened().submit, "launch", "alloc"))


TWICE = "deep.matmul(deep.matmul(X, X), deep.matmul(X, X))"
GRAPH_OF_TWO = (
    *(Alloc("x", 0, 8), Alloc("t", 256, 8), Replay(0, 2)),
    replace(COMMANDS[LAUNCHES], ins=("x", "x"), outs=("t",)),
    *(Free("x"), Alloc("y", 512, 8)),
    replace(COMMANDS[LAUNCHES], index=1, ins=("t", "t"), outs=("y",)),
    *(Free("t"), Wait()),
)


def replayed(context: Context, *callers: Caller) -> Mapping[str, Any]:
    """Two launches in one graph, of which the last caller makes the second."""
    program = Program("net", "chip", ("x",), ("y",), GRAPH_OF_TWO, 16)
    data, given = encode(program), {"x": "X"}
    player = Player(program, data, lambda c: callers[c.index], callers[0], given, on_host)
    return play([player], program.outputs)


def test_a_graph_is_launched_by_one_call_and_frees_its_memory_after_it() -> None:
    context = Context((4096, 256), Loader(CHIP), named)
    library = caller(context.submit, *ROLES)
    assert replayed(context, library, library) == {"y": TWICE}
    calls = library.handle.calls
    assert (calls["f_capture"], calls["f_captured"], calls["f_graph"]) == (1, 1, 1)
    assert (calls["f_launch"], calls["f_free"]) == (2, 2)


def test_launches_of_all_libraries_of_a_driver_are_captured_in_one_graph() -> None:
    context = Context((4096, 256), Loader(CHIP), named)
    first, second = caller(context.submit, *ROLES), caller(context.submit, "launch")
    assert replayed(context, first, second) == {"y": TWICE}
    assert (first.handle.calls["f_graph"], second.handle.calls["f_launch"]) == (1, 1)


def test_a_runtime_captures_on_a_driver_that_knows_no_graphs() -> None:
    context = Context((4096, 256), Loader(CHIP), named)
    below = caller(context.submit, "launch", "alloc")
    assert replayed(context, *2 * [caller(below.pass_on, *ROLES)]) == {"y": TWICE}
    assert set(below.handle.calls) == {"f_launch"}


def test_a_graph_needs_a_function() -> None:
    context = Context((4096, 256), Loader(CHIP), named)
    without = caller(context.submit, "launch", "alloc")
    with pytest.raises(AbiMismatch, match="have alloc, launch, need a function that launches a"):
        replayed(context, without, without)


def test_what_was_called_is_counted_by_function() -> None:
    context = Context((4096, 256), Loader(CHIP), named)
    library = caller(context.submit, *(role for role in ROLES if role != "pool"))
    played(context, library)
    calls = library.handle.calls
    assert {role: calls[f"f_{role}"] for role in (OPEN, ALLOC, LAUNCH, COPY, WAIT, CLOSE)} == {
        OPEN: 1,
        ALLOC: 4,
        LAUNCH: 1,
        COPY: 5,  # x and w before it starts, t to the host, y to the device, y read at the end
        WAIT: 1,
        CLOSE: 1,
    }


def test_a_runtime_passes_on_to_the_driver_below_it() -> None:
    context = Context((4096, 256), Loader(CHIP), named)
    below = caller(context.submit, "launch", "alloc")
    above = caller(below.pass_on, "launch", "copy", "wait")
    assert played(context, above) == FULL
    assert above.handle.calls.keys() == {"f_launch", "f_copy", "f_wait"}
    assert below.handle.calls.keys() == {"f_launch", "f_alloc"}


def test_two_libraries_share_a_context() -> None:
    context = Context((4096, 256), Loader(CHIP), named)
    one, two = caller(context.submit, "launch", "alloc"), caller(context.submit, "launch", "load")
    assert played(context, one, two) == FULL
    assert two.handle.calls == {"f_load": 1, "f_launch": 1}


def test_a_table_without_a_launch_runs_nothing() -> None:
    with pytest.raises(AbiMismatch, match="have alloc, need a function that launches"):
        played(opened(), caller(opened().submit, "alloc"))


def test_values_are_not_needed_to_see_what_is_called() -> None:
    context = Context((4096, 256), Loader(CHIP), lambda command, ins: [None] * len(command.outs))
    library = caller(context.submit, "launch")
    none: dict[str, Any] = dict.fromkeys(("x", "w"))
    player = Player(PROGRAM, DATA, lambda launch: library, library, none, lambda call, ins: [None])
    assert play([player], PROGRAM.outputs) == {"y": None}
    assert context.copied["host"] == 1024  # the value that the host computes from, and the output


def test_a_copy_to_the_host_that_nothing_was_allocated_for_reads_what_the_host_has() -> None:
    context = Context((4096, 256), Loader(CHIP), named)
    program = replace(PROGRAM, commands=(Copy("x", "host", 8),), outputs=("x",))
    library = caller(context.submit, "launch")
    player = Player(program, DATA, lambda launch: library, library, {"x": "X"}, on_host)
    assert play([player], program.outputs) == {"x": "X"}

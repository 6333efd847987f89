"""Launches issued one by one and as graphs, by hand, on the generic gpu.

A launch takes its host 2.5 us and its start 1 us; a graph takes its host 2.5 us.
"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.devices.datasheet import load_datasheet
from emu.devices.driver import captured
from emu.devices.gpu import GpuDevice
from emu.devices.make import make_device
from emu.ir.errors import Unsupported
from emu.ir.program import Alloc, Command, Copy, Free, HostCall, Launch, Program, Replay, Wait
from emu.kernels.tiling import Tiling
from tests.devices.programs import add_body, program_of

US = 10**6
BODY = add_body(8, 8)
TILES = program_of(BODY, Tiling((8, 8)))
SHEET = load_datasheet("gpu")
GPU = GpuDevice(SHEET)
EACH = GPU.price(TILES)  # ps, less than the 1.5 us by which issuing is longer than starting
CALL = HostCall(2, "host", ("v2", "v2"), ("v3",), BODY)
COPIES = Copy("v2", "host", 256), CALL, Copy("v3", "device", 256)


def launch(index: int, read: str, made: str) -> Launch:
    return Launch(index, "add", (read, read), (made,), BODY, TILES)


def chain(count: int, first: int = 0) -> tuple[Launch, ...]:
    """Launches of which each reads what the last one made."""
    numbers = range(first, first + count)
    return tuple(launch(i, f"v{i}", f"v{i + 1}") for i in numbers)


def program(*commands: Command) -> Program:
    return Program("net", "gpu", ("v0",), (), (*commands, Wait()), 0)


def took(made: Program, device: GpuDevice = GPU) -> int:
    return device.simulate(made).total_ps


def test_short_launches_wait_for_the_host_unless_they_are_a_graph() -> None:
    alone = program(*chain(3))
    assert EACH < 3 * US / 2
    assert took(alone) == 3 * 2.5 * US + US + EACH
    assert took(captured(alone)) == 2.5 * US + 3 * (US + EACH)


def test_a_graph_is_charged_to_its_first_launch() -> None:
    trace = GPU.simulate(captured(program(*chain(3))))
    charged = [launched.ledger["launch"] for launched in trace.launches]
    assert charged == [3.5 * US, US, US]
    assert sum(trace.ledger.values()) == trace.total_ps


def test_a_free_launch_costs_nothing_in_a_graph_either() -> None:
    made = captured(program(*chain(3)))
    assert GPU.simulate(made, frozenset({"launch"})).total_ps == 3 * EACH


def test_a_host_call_ends_a_graph_and_another_begins() -> None:
    made = captured(program(*chain(2), *COPIES, *chain(3, 3)))
    found = [(i, c) for i, c in enumerate(made.commands) if isinstance(c, Replay)]
    assert found == [(0, Replay(0, 2)), (6, Replay(3, 3))]

    # The second graph is issued while the link still moves what it reads.
    before, after = 2.5 * US + 2 * (US + EACH), 3 * (US + EACH)
    assert took(made) == before + took(program(*COPIES)) + after


def test_memory_between_launches_does_not_end_a_graph_and_one_launch_is_none() -> None:
    one, two = chain(2)
    made = program(Alloc("v1", 0, 256), one, Alloc("v2", 256, 256), two, Free("v1"))
    assert captured(made).commands == (made.commands[0], Replay(0, 2), *made.commands[1:])
    single = program(one, *COPIES, two)
    assert captured(single) == single


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=4),
    st.floats(0.01, 20),
    st.floats(0.01, 20),
    st.floats(0.01, 1),
)
def test_replay_is_never_slower_where_a_graph_costs_no_more_than_a_launch(
    pieces: list[int], issue: float, start: float, share: float
) -> None:
    commands: list[Command] = []
    for i, count in enumerate(pieces):
        commands += [*(COPIES if i else ()), *chain(count, 10 * i)]
    facts = replace(SHEET.launch, issue_us=issue, start_us=start, replay_us=issue * share)
    device = GpuDevice(replace(SHEET, launch=facts))
    assert took(captured(program(*commands)), device) <= took(program(*commands), device)


def test_what_a_launch_takes_in_a_graph_may_be_a_fact_of_its_own() -> None:
    facts = replace(SHEET.launch, replayed_us=2.0)
    made = captured(program(*chain(3)))
    assert took(made, GpuDevice(replace(SHEET, launch=facts))) == took(made) + 3 * US


def test_a_chip_whose_datasheet_does_not_say_what_a_graph_costs_replays_none() -> None:
    with pytest.raises(Unsupported, match=r"npu: replays no graphs: no launch.replay_us"):
        make_device("npu").simulate(captured(program(*chain(2))))

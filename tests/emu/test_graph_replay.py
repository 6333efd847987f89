"""Launches replayed as graphs: equal values, never a slower run, and a host call cuts."""

import json
from collections.abc import Mapping

import numpy as np
import pytest

import emu
from emu.cli import main
from emu.devices.driver import captured
from emu.dump import Watch
from emu.ir.errors import Unsupported
from emu.ir.program import HostCall, Launch, Replay
from emu.kernels.libraries import LIBRARIES
from emu.lockin.fallback import without
from emu.models.reader import to_graph
from emu.pipeline import Executable, bring_down, make_stack
from tests.emu.tiny import tiny_transformer


def made(replay: str, device: str = "gpu", fusion: str = "none") -> Executable:
    return emu.compile(tiny_transformer(), device=device, graph_replay=replay, fusion=fusion)


@pytest.mark.parametrize("device", ["gpu", "a100_sxm80", "mi300x"])
@pytest.mark.parametrize("fusion", ["none", "vertical"])
def test_a_run_with_graphs_is_never_slower_and_says_what_came_of_it(
    device: str, fusion: str
) -> None:
    on, off = (made(replay, device, fusion).compiled for replay in ("on", "off"))
    assert on.trace.total_ps <= off.trace.total_ps
    assert sum(on.trace.ledger.values()) == on.trace.total_ps
    (said,) = (d for d in on.schedule.decisions if d.code == "replay:run")
    assert said.numbers == {
        "run_ps": on.trace.total_ps if said.ok else said.numbers["run_ps"],
        "without_ps": off.trace.total_ps,
    }
    assert any(isinstance(c, Replay) for c in on.program.commands) == said.ok


def test_short_launches_gain_and_their_values_are_the_same() -> None:
    on, off = made("on"), made("off")
    assert on.compiled.trace.total_ps < off.compiled.trace.total_ps
    first, second = (executable.run(seed=1).outputs for executable in (on, off))
    assert first is not None
    assert second is not None
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])


def test_a_graph_that_gains_nothing_is_not_replayed() -> None:
    facts = ["launch.replay_us=1000"]
    kept = emu.compile(tiny_transformer(), graph_replay="on", facts=facts).compiled
    assert not any(isinstance(c, Replay) for c in kept.program.commands)
    (said,) = (d for d in kept.schedule.decisions if d.code == "replay:run")
    assert (said.ok, said.why) == (False, "the whole run is slower with graphs")


def test_a_host_call_cuts_a_graph_in_two() -> None:
    model = tiny_transformer()
    stack = make_stack(fusion="none", fallback="host", graph_replay="on")
    library = without(LIBRARIES["deep"], ("Softmax",))
    graph = to_graph(model, {})
    found = bring_down(model, graph, stack, stack.device.make(), Watch(), library=library)
    commands = found.compiled.program.commands
    calls = [i for i, c in enumerate(commands) if isinstance(c, HostCall)]
    replays = [i for i, c in enumerate(commands) if isinstance(c, Replay)]
    assert calls
    assert any(i < calls[0] for i in replays)
    assert any(i > calls[-1] for i in replays)
    launches = [c for c in commands if isinstance(c, Launch)]
    assert sum(c.launches for c in commands if isinstance(c, Replay)) <= len(launches)


def test_a_chip_without_graphs_refuses() -> None:
    with pytest.raises(Unsupported, match="npu: replays no graphs"):
        made("on", "npu")


def told(capsys: pytest.CaptureFixture[str], *flags: str) -> Mapping[str, object]:
    assert main(["run", "mlp", "--no-values", "--json", *flags]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_flag_is_in_the_stack(capsys: pytest.CaptureFixture[str]) -> None:
    stack = told(capsys, "--graph-replay", "on")["stack"]
    assert isinstance(stack, dict)
    assert stack["compiler"]["graph_replay"] == "on"
    assert main(["run", "mlp", "--graph-replay", "maybe"]) == 2
    assert "'maybe'" in capsys.readouterr().err
    assert main(["run", "mlp", "--device", "npu", "--graph-replay", "on"]) == 4
    assert "npu: replays no graphs: no launch.replay_us in" in capsys.readouterr().err


def test_groups_are_chosen_for_launches_that_a_graph_replays() -> None:
    """Where a launch takes long a chain saves one, which is worth little within a graph."""
    facts = ("launch.start_us=60", "launch.replayed_us=0.1")
    off, on = (
        emu.compile(
            "wide_chain",
            device="h100_sxm",
            dtype="fp16",
            fusion="global",
            decider="search",
            facts=facts,
            graph_replay=switch,
        )
        for switch in ("off", "on")
    )

    as_before = off.chip.latency_ps(captured(off.compiled.program))
    assert on.compiled.trace.total_ps < as_before
    assert len(on.compiled.fused.groups) > len(off.compiled.fused.groups)
    (said,) = (d for d in on.compiled.schedule.decisions if d.code == "replay:run")
    assert said.ok
    assert said.numbers["run_ps"] == on.compiled.trace.total_ps

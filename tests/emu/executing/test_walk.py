"""A walk binds a program to memory once, and each run of it stands for itself."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from emu.executing.walk import prepare
from emu.ir.graph import Constant
from emu.ir.place import noting
from emu.ir.program import Alloc, Launch
from emu.ir.types import Array
from emu.models.inputs import random_inputs
from emu.pipeline import Executable, compile
from tests.emu.tiny import TINY


def inputs_of(made: Executable, seed: int = 0) -> dict[str, Array]:
    return dict(random_inputs(made.compiled.graph, seed))


def test_a_run_leaves_the_outputs_of_an_earlier_one_alone() -> None:
    made = compile(TINY["unet"])
    walk, first, second = made.walk(), inputs_of(made, 0), inputs_of(made, 1)

    early = walk.run(first)
    kept = {name: array.copy() for name, array in early.items()}
    late, again = walk.run(second), walk.run(first)

    for name, array in kept.items():
        assert np.array_equal(early[name], array)
        assert np.array_equal(again[name], array)
        assert not np.array_equal(late[name], array)


def test_a_run_only_reads_its_inputs() -> None:
    made = compile(TINY["transformer"])
    given = inputs_of(made)
    before = {name: array.copy() for name, array in given.items()}
    made.walk().run(given)
    assert all(np.array_equal(given[name], array) for name, array in before.items())


def counted(constant: Constant, loads: Counter[str], name: str) -> Constant:
    def load(inner: Callable[[], Array] = constant.load) -> Array:
        loads[name] += 1
        return inner()

    return replace(constant, load=load)


def test_weights_are_loaded_once_for_all_runs() -> None:
    made = compile(TINY["transformer"])
    loads: Counter[str] = Counter()
    graph = made.compiled.lowered
    constants = {name: counted(c, loads, name) for name, c in graph.constants.items()}
    walk = prepare(made.compiled.program, replace(graph, constants=constants), frozenset())
    for _ in range(3):
        walk.run(inputs_of(made))
    assert set(loads.values()) == {1}


def test_what_launches_make_lies_in_no_more_memory_than_the_plan_gave_it() -> None:
    made = compile(TINY["unet"])
    program, graph = made.compiled.program, made.compiled.lowered
    apart = {*program.inputs, *graph.constants}
    allocs = [c for c in program.commands if isinstance(c, Alloc) and c.value not in apart]
    (output,) = made.walk().outputs.values()
    arena = output
    while isinstance(arena.base, np.ndarray):
        arena = arena.base
    size = max(c.offset + c.size for c in allocs) - min(c.offset for c in allocs)
    assert size <= arena.nbytes <= size + 64
    assert sum(c.size for c in allocs) > 2 * size


def test_every_launch_is_a_stop_and_what_is_done_together_is_one_place() -> None:
    made = compile(TINY["unet"])
    walk, places = made.walk(), list[str]()
    with noting(places.append):
        walk.run(inputs_of(made))
    launches = [c for c in made.compiled.program.commands if isinstance(c, Launch)]
    stops = [f"launch of {c.kernel} for value {c.outs[0]}" for c in launches]
    assert [stop.place for stop in walk.stops] == stops
    (place,) = places
    calls = sum(len(stop.calls) for stop in walk.stops)
    assert place == f"{stops[0]}, or one of {calls - 1} steps behind it"


@pytest.mark.parametrize("device", ["gpu", "systolic", "npu"])
def test_what_the_host_computes_crosses_the_link_both_ways(device: str) -> None:
    made = compile(TINY["unet"], device=device, kernels="deep")
    hosted = compile(TINY["unet"], device=device, kernels="basic", fallback="host")
    ours, theirs = (m.walk().run(inputs_of(m)) for m in (made, hosted))
    for name, array in ours.items():
        np.testing.assert_allclose(theirs[name], array, rtol=1e-4, atol=1e-5)
    assert any(stop.place.startswith("copy of") for stop in hosted.walk().stops)

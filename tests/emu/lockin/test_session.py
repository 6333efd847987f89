"""Stacks of the catalogue run through the functions that their drivers export, and are counted."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from emu.ir.errors import AbiMismatch, NoKernel
from emu.ir.graph import Graph
from emu.lockin.catalogue import load_catalogue
from emu.lockin.parts import Choice
from emu.lockin.session import Session, generated
from emu.lockin.source import Source
from emu.lockin.trial import Laboratory
from emu.models.inputs import random_inputs
from emu.models.reader import to_graph
from emu.models.zoo import build

KNOWN = load_catalogue()


@lru_cache(maxsize=1)
def block() -> Graph:
    return to_graph(build("conv_block", {"image": 8, "channels": 4}), {})


@lru_cache(maxsize=1)
def laboratory() -> Laboratory:
    return Laboratory(KNOWN, Source(block()))


def with_parts(stack: str, **parts: str) -> Choice:
    choice = dict(KNOWN.stacks[stack])
    for slot, names in parts.items():
        choice[slot] = tuple(KNOWN.parts[slot][name] for name in names.split("+"))
    return choice


@pytest.mark.parametrize("stack", KNOWN.stacks)
def test_every_stack_runs_through_what_its_drivers_export(stack: str) -> None:
    session = Session(KNOWN.stacks[stack], laboratory())
    inputs = random_inputs(block(), 0)
    ran = session.run(inputs)
    neutral = Session(KNOWN.stacks["cuda-like"], laboratory()).run(inputs)
    assert all(np.isfinite(value).all() for value in ran.outputs.values())
    for name, value in ran.outputs.items():
        worst = np.abs(value.astype("f8") - neutral.outputs[name].astype("f8")).max()
        assert worst <= 0.1 * np.abs(neutral.outputs[name].astype("f8")).max()
    drivers = {part.name for part in KNOWN.stacks[stack]["driver"][:-1]}
    assert [name for name in drivers if not sum(ran.calls[name].values())] == []


SECOND_LIBRARIES = {"cudnn-like", "cublas-like", "onemkl-like", "rocblas-like"}


@pytest.mark.parametrize("stack", KNOWN.stacks)
def test_every_part_of_a_stack_is_called_but_for_libraries_whose_kernels_another_has(
    stack: str,
) -> None:
    choice = KNOWN.stacks[stack]
    called = laboratory().try_(choice).called
    parts = [part for bundle in choice.values() for part in bundle]
    assert {part.name for part in parts if part not in called} <= SECOND_LIBRARIES


@pytest.mark.parametrize("stack", KNOWN.stacks)
def test_who_launched_a_kernel_is_who_a_trial_says_was_called(stack: str) -> None:
    choice = KNOWN.stacks[stack]
    ran = Session(choice, laboratory()).run()
    called = laboratory().try_(choice).called
    libraries = {part.name for part in choice["kernels"]}
    assert {n for n in libraries if ran.calls[n]} == {p.name for p in called if p.name in libraries}


def test_without_inputs_the_calls_are_the_same_and_nothing_is_computed() -> None:
    session = Session(KNOWN.stacks["rocm-like"], laboratory())
    dry, wet = session.run(), session.run(random_inputs(block(), 0))
    assert dry.calls == wet.calls
    assert set(dry.outputs.values()) == {None}


def test_a_portable_section_is_compiled_by_the_driver_once_per_shape() -> None:
    choice = with_parts("oneapi-like", compiler="tvm-like")
    session = Session(choice, laboratory())
    first, second = session.run(), session.run()
    assert (first.recompiles > 0, second.recompiles) == (True, 0)
    each_ps = round(choice["compiler"][0].fact("recompile_us") * 1_000_000)
    assert first.ledger["host"] - second.ledger["host"] == first.recompiles * each_ps
    assert session.cache.hits >= first.recompiles


def test_what_the_driver_compiled_computes_the_same_values() -> None:
    inputs = random_inputs(block(), 0)
    lazily = Session(with_parts("oneapi-like", compiler="tvm-like"), laboratory()).run(inputs)
    ahead = Session(KNOWN.stacks["oneapi-like"], laboratory()).run(inputs)
    for name, value in ahead.outputs.items():
        np.testing.assert_allclose(lazily.outputs[name], value, rtol=0.05, atol=0.05)


def test_a_library_that_imports_nothing_to_launch_with_fails_when_it_runs() -> None:
    choice = with_parts("rbln-like")
    (library,) = choice["kernels"]
    tried = laboratory().try_({**choice, "kernels": (replace(library, imports=()),)})
    assert tried.failure is not None
    assert (tried.failure.contract, tried.failure.stage) == ("K5", "run")
    assert "the library submits work: have no driver open" in str(tried.failure.error)


def test_equal_programs_on_the_same_parts_are_played_once() -> None:
    tried = Laboratory(KNOWN, Source(block()))
    for orchestrator in ("k8s-nvidia-like", "bare"):
        tried.try_(with_parts("cuda-like", orchestrator=orchestrator))
    assert (len(tried.programs), len(tried.played)) == (1, 1)


def test_a_stack_that_breaks_a_contract_opens_nothing() -> None:
    with pytest.raises(AbiMismatch, match="need hip-api"):
        Session(with_parts("cuda-like", kernels="miopen-like"), laboratory())


def test_what_no_kernel_can_be_generated_for_is_refused_by_op() -> None:
    session = Session(KNOWN.stacks["cuda-like"], laboratory())
    bodies = [binding.body for binding in session.segments()[0].schedule.bindings]
    product = next(body for body in bodies if any(node.op == "Conv" for node in body.nodes))
    gathers = tuple(replace(node, op="Gather") for node in product.nodes)
    with pytest.raises(NoKernel, match="no kernel can be generated for Gather"):
        generated(replace(product, nodes=gathers), session.chip)

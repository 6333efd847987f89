"""Programs that are captured in segments, and programs of several batches, compiled as met."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from emu.devices.bounds import serial_ps
from emu.ir.errors import ContractError, DynamicShape
from emu.ir.graph import Graph
from emu.ir.program import Copy, Launch, Wait
from emu.lockin.asked import opened_in
from emu.lockin.catalogue import load_catalogue
from emu.lockin.compare import compared
from emu.lockin.flags import TryFlags
from emu.lockin.outcome import Bench
from emu.lockin.parts import Choice, Fact
from emu.lockin.segments import Timed, reading, serially_ps, timed
from emu.lockin.session import Session
from emu.lockin.source import Source
from emu.lockin.trial import Laboratory
from emu.models.inputs import random_inputs
from emu.models.model import Model
from emu.models.reader import to_graph
from emu.models.zoo import build
from tests.emu.test_command_line import model_file

KNOWN = load_catalogue()
CUDA = KNOWN.stacks["cuda-like"]
DISPATCH_PS = round(CUDA["front_end"][0].fact("dispatch_us") * 1_000_000)


@lru_cache(maxsize=1)
def model() -> Model:
    return build("mlp", {})


@lru_cache(maxsize=8)
def graph(batch: int = 1) -> Graph:
    return to_graph(build("mlp", {"batch": batch}), {})


def relu() -> str:
    """The first value that an unbroken program fuses into the product before it."""
    return next(node.output for node in graph().nodes if node.op == "MatMul")


UNBROKEN = Laboratory(KNOWN, Source(graph()))


def broken(*reads: str) -> Laboratory:
    return Laboratory(KNOWN, Source(graph(), reads or (relu(),)))


def warm(laboratory: Laboratory, choice: Choice = CUDA) -> Timed:
    found = laboratory.time(choice)
    assert isinstance(found, Timed)
    return found


def test_a_read_cuts_the_graph_and_what_is_read_leaves_its_segment() -> None:
    first, second = broken().source.segments()
    assert [*first.nodes, *second.nodes] == [*graph().nodes]
    assert (first.outputs, second.inputs) == ((relu(),), (relu(),))
    assert second.outputs == graph().outputs


def test_reads_of_one_node_or_of_the_last_make_no_empty_segment() -> None:
    assert len(Source(graph(), (relu(), relu())).segments()) == 2
    assert len(Source(graph(), graph().outputs).segments()) == 1


def test_a_value_that_is_only_read_leaves_its_segment_too() -> None:
    both = Source(to_graph(build("diamond", {}), {}))
    middle = both.graph.nodes[1].output
    assert middle in replace(both, reads=(middle,)).segments()[0].outputs


def test_each_segment_is_a_program_of_its_own_that_ends_with_the_read() -> None:
    chip = broken().chip(CUDA)
    first, second = broken().planned(CUDA, chip)
    assert first.program.commands[-2:] == (
        Copy(relu(), "host", graph().types[relu()].bytes),
        Wait(),
    )
    assert not any(isinstance(command, Copy) for command in second.program.commands)
    assert second.program.inputs == (relu(),)
    (whole,) = UNBROKEN.planned(CUDA, chip)
    assert len(first.schedule.bindings) + len(second.schedule.bindings) > len(
        whole.schedule.bindings
    )


def test_a_break_costs_launches_dispatch_a_copy_and_bytes_of_memory() -> None:
    before, after = warm(UNBROKEN), warm(broken())
    more = {cause: after.by_cause[cause] - before.by_cause[cause] for cause in after.by_cause}
    assert after.ps > before.ps
    assert sum(after.by_cause.values()) == after.ps
    assert more["launch"] > DISPATCH_PS
    assert more["link"] > 0
    assert more["intermediate"] > 0
    chip = UNBROKEN.chip(CUDA)
    moved = [
        sum(chip.simulate(s.program).did.traffic.total for s in laboratory.planned(CUDA, chip))
        for laboratory in (UNBROKEN, broken())
    ]
    assert moved[1] > moved[0]


def test_front_ends_that_only_go_on_slower_are_timed_apart() -> None:
    front = CUDA["front_end"][0]
    slow = replace(front, facts={**front.facts, "dispatch_us": Fact(100.0, "a test")})
    laboratory = broken()
    times = [warm(laboratory, {**CUDA, "front_end": (part,)}).ps for part in (front, slow)]
    assert times[1] - times[0] == 100_000_000 - DISPATCH_PS


def test_what_the_host_computed_is_read_where_it_is() -> None:
    program = broken().planned(CUDA, broken().chip(CUDA))[1].program
    made = next(c.outs[0] for c in program.commands if isinstance(c, Launch))
    assert len(reading(program, (made,), graph()).commands) == len(program.commands) + 1
    assert reading(program, graph().inputs, graph()) == program


def test_without_any_overlap_it_takes_longer_and_is_dispatched_as_often() -> None:
    for laboratory in (UNBROKEN, broken()):
        program, chip = laboratory.compiled(CUDA), laboratory.chip(CUDA)
        apart = sum(serial_ps(segment.program, chip) for segment in program)
        dispatches = len(program) - 1
        assert serially_ps(program, chip, 7.0) == apart + dispatches * 7_000_000
        assert serially_ps(program, chip, 7.0) >= timed(program, chip, 7.0).ps


def test_every_further_break_costs_more() -> None:
    products = [node.output for node in graph().nodes if node.op == "MatMul"]
    times = [warm(broken(*products[:count])).ps for count in (1, 2, 3)]
    assert warm(UNBROKEN).ps < times[0] < times[1] < times[2]


def test_the_segments_of_a_run_hand_their_values_over_on_the_device() -> None:
    inputs = random_inputs(graph(), 0)
    whole = Session(CUDA, UNBROKEN).run(inputs)
    pieces = Session(CUDA, broken()).run(inputs)
    for name, value in whole.outputs.items():
        np.testing.assert_allclose(pieces.outputs[name], value, rtol=1e-2, atol=1e-2)
    room = -(-graph().types[relu()].bytes // 256) * 256
    assert pieces.copied_bytes["device"] == whole.copied_bytes["device"]
    assert pieces.copied_bytes["host"] == whole.copied_bytes["host"] + room
    assert sum(pieces.ledger.values()) == warm(broken()).ps


def test_values_of_a_broken_program_are_compared_by_segment() -> None:
    bench = Bench(broken(), CUDA)
    outcome = bench.swap({"kernels": (KNOWN.parts["kernels"]["cublas-like"],)})
    assert compared(model(), bench, outcome).said == "checked"


def test_an_eager_front_end_reads_without_a_break_but_waits_for_the_copy() -> None:
    eager = {**CUDA, "front_end": (KNOWN.parts["front_end"]["pytorch-cuda-like"],)}
    before, after = warm(UNBROKEN, eager), warm(broken(), eager)
    assert after.launched == before.launched
    assert after.by_cause["link"] > before.by_cause["link"] == 0


def symbolic() -> Source:
    return Source(graph(), symbols=("batch",), bound=graph)


def test_a_dynamic_compiler_compiles_once_for_each_shape() -> None:
    session = Session(CUDA, Laboratory(KNOWN, symbolic()))
    runs = [session.run(size=batch) for batch in (1, 4, 1, 8, 4, None)]
    assert [ran.compiles for ran in runs] == [1, 1, 0, 1, 0, 0]
    assert session.programs.misses == 3
    each_ps = round(CUDA["compiler"][0].fact("recompile_us") * 1_000_000)
    hosts = [ran.ledger["host"] for ran in runs]
    assert hosts == [each_ps * ran.compiles for ran in runs]


def test_each_batch_has_its_own_values() -> None:
    session = Session(CUDA, Laboratory(KNOWN, symbolic()))
    for batch in (2, 3):
        inputs = random_inputs(graph(batch), 0)
        alone = Session(CUDA, Laboratory(KNOWN, Source(graph(batch)))).run(inputs)
        ran = session.run(inputs, size=batch)
        for name, value in alone.outputs.items():
            assert ran.outputs[name].shape[0] == batch
            np.testing.assert_array_equal(ran.outputs[name], value)


def test_a_program_of_fixed_shapes_is_compiled_before_it_runs_and_takes_no_other() -> None:
    session = Session(CUDA, UNBROKEN)
    assert session.run().compiles == 0
    with pytest.raises(DynamicShape, match="have shapes as numbers, need a dimension of 4"):
        session.run(size=4)


def test_without_a_compiler_no_shape_is_compiled() -> None:
    eager = {**CUDA, "front_end": (KNOWN.parts["front_end"]["pytorch-cuda-like"],)}
    session = Session(eager, Laboratory(KNOWN, symbolic()))
    assert [session.run(size=batch).compiles for batch in (1, 4)] == [0, 0]


def test_what_the_flags_leave_open_is_bound_by_the_setting_of_a_zoo_model_or_the_file(
    tmp_path: Path,
) -> None:
    flags = TryFlags("mlp", symbolic_batch=True)
    source = opened_in(KNOWN, flags)[1].source
    assert source.of_size(4).graph.types[graph().inputs[0]].shape[0] == 4
    path = model_file(tmp_path / "open.onnx", "Relu", ["batch", 4])
    flags = TryFlags(path, dim=["batch=2"], symbolic_batch=True)
    source = opened_in(KNOWN, flags)[1].source
    assert [t.shape[0] for s in (source, source.of_size(3)) for t in s.graph.types.values()] == [
        *(2, 2),
        *(3, 3),
    ]


def test_a_static_compiler_refuses_an_open_batch() -> None:
    static = next(
        choice for choice in KNOWN.stacks.values() if choice["compiler"][0].fact("static")
    )
    with pytest.raises(ContractError) as caught:
        Session(static, Laboratory(KNOWN, symbolic()))
    assert isinstance(caught.value, DynamicShape)

"""A layout changes where bytes lie and what conversions cost, and never a value."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from emu.as_json import run_json
from emu.devices.make import make_device
from emu.dump import Watch
from emu.executing.execute import Execution, execute
from emu.ir.body import Body
from emu.ir.errors import NoKernel, UnknownName
from emu.ir.layout import LAYOUTS, ROW_MAJOR
from emu.ir.passes import DEFAULT_PASSES, run_passes
from emu.ir.trace import Trace
from emu.ir.types import Array
from emu.kernels.libraries.epilogue import EPILOGUE
from emu.layouts import LAYOUT_PASS, lay_out
from emu.models.inputs import random_inputs
from emu.models.reader import to_graph
from emu.models.zoo.conv_block import conv_block
from emu.pipeline import Executable, compile
from tests.emu.cases import DEVICES
from tests.emu.tiny import TINY

FORCED = tuple(name for name in LAYOUTS if name not in ("auto", "nchw"))
CASES = (
    *(("conv_block", layout, device) for layout in FORCED for device in DEVICES),
    *(("transformer", "t8x128", device) for device in DEVICES),
    ("unet", "blocked", "systolic"),
)


@lru_cache(maxsize=64)
def compiled(model: str, device: str, layout: str, fusion: str = "vertical") -> Executable:
    return compile(TINY[model], device=device, fusion=fusion, layout=layout)


def conversions(made: Executable) -> list[int]:
    """The launches that only change a layout."""
    bodies = [binding.inside.body for binding in made.compiled.schedule.bindings]
    return [i for i, body in enumerate(bodies) if body.nodes[0].op == "Relayout"]


def in_tiles(made: Executable) -> Execution:
    inputs = random_inputs(made.compiled.graph, seed=1)
    return execute(made.compiled.program, made.compiled.lowered, inputs, made.chip.residency)


def walked(made: Executable) -> dict[str, Array]:
    return made.walk().run(random_inputs(made.compiled.graph, seed=1))


@pytest.mark.parametrize(("model", "layout", "device"), CASES)
def test_values_are_those_of_row_major_and_both_executors_and_counts_agree(
    model: str, layout: str, device: str
) -> None:
    made, plain = compiled(model, device, layout), compiled(model, device, "nchw")
    assert conversions(made)
    assert not conversions(plain)

    wanted, fast, tiles = walked(plain), walked(made), in_tiles(made)
    for name in made.compiled.graph.outputs:
        assert np.array_equal(wanted[name], fast[name])
        limit = 1e-5 * float(np.max(np.abs(wanted[name])))
        np.testing.assert_allclose(tiles.read(name), wanted[name], rtol=0, atol=limit)
    did = {launched.index: launched.did for launched in made.compiled.trace.launches}
    for index, moved in tiles.moved.items():
        crossed = sum(moved.fetched.values()) + sum(moved.stored.values())
        assert crossed == did[index].traffic.total
        assert moved.work == did[index].work


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("layout", FORCED)
def test_a_conversion_is_a_group_whose_bytes_are_what_it_reads_and_writes(
    layout: str, device: str
) -> None:
    made = compiled("conv_block", device, layout)
    trace = made.compiled.trace
    launches = {launched.index: launched for launched in trace.launches}
    for index in conversions(made):
        types = made.compiled.schedule.bindings[index].inside.body.types
        moved = launches[index].did.traffic
        assert (moved.layout, moved.total) == (sum(t.bytes for t in types),) * 2
    assert trace.did.traffic.layout == sum(
        launches[index].did.traffic.layout for index in conversions(made)
    )
    assert run_json(made.run(values=False))["dram_bytes"]["layout"] == trace.did.traffic.layout
    assert trace.ledger["layout"] > 0
    assert sum(trace.ledger.values()) == trace.total_ps


@pytest.mark.parametrize("device", DEVICES)
def test_conversions_of_a_dense_layout_are_all_that_it_costs_in_bytes(device: str) -> None:
    traffic = compiled("conv_block", device, "nhwc").compiled.trace.did.traffic
    plain = compiled("conv_block", device, "nchw").compiled.trace.did.traffic
    assert traffic.compulsory == plain.compulsory
    assert traffic.intermediate == plain.intermediate
    assert plain.layout == 0


@pytest.mark.parametrize("device", DEVICES)
def test_free_layouts_leave_no_time_of_conversions(device: str) -> None:
    made = compiled("conv_block", device, "nhwc")
    free = made.chip.simulate(made.compiled.program, frozenset(("layout",)))
    assert free.ledger["layout"] == 0
    assert free.total_ps < made.compiled.trace.total_ps
    assert free.did.traffic == made.compiled.trace.did.traffic


@pytest.mark.parametrize("layout", LAYOUTS)
def test_inputs_and_outputs_stay_row_major(layout: str) -> None:
    graph = compiled("conv_block", "gpu", layout).compiled.lowered
    ends = {graph.types[v].layout for v in (*graph.inputs, *graph.outputs)}
    assert ends == {ROW_MAJOR}


@pytest.mark.parametrize("model", ["attention", "transformer", "conv_block", "unet"])
def test_auto_leaves_alone_what_kernels_take_row_major(model: str) -> None:
    graph = compiled(model, "gpu", "auto").compiled.lowered
    assert {type.layout for type in graph.types.values()} == {ROW_MAJOR}


def test_a_layout_without_a_product_for_it_changes_nothing() -> None:
    made, plain = compiled("transformer", "gpu", "nhwc"), compiled("transformer", "gpu", "nchw")
    assert made.compiled.trace == plain.compiled.trace


def test_a_library_whose_products_are_row_major_refuses_a_layout_in_one_line() -> None:
    with pytest.raises(NoKernel, match="--layout nhwc: no kernel of library 'basic' takes node"):
        compile(TINY["conv_block"], fusion="none", kernels="basic", layout="nhwc")


def test_the_pass_can_be_watched_and_is_not_there_without_a_layout() -> None:
    watches = {layout: Watch() for layout in ("auto", "nhwc")}
    for layout, watch in watches.items():
        compile(TINY["conv_block"], layout=layout, watch=watch)
    seen = {layout: dict(watch.timings).keys() for layout, watch in watches.items()}
    assert seen["nhwc"] - seen["auto"] == {LAYOUT_PASS}


def test_an_unknown_layout_is_refused_with_what_is_near() -> None:
    with pytest.raises(UnknownName, match="unknown layout 'nhcw'; did you mean 'n"):
        compile(TINY["conv_block"], layout="nhcw")


def wants_nhwc(body: Body) -> str | None:
    """A claim on convs, as those of tensor cores: of images with channels innermost only."""
    data = body.types[body.nodes[0].ins[0]]
    return None if data.layout == "nhwc" else f"takes images in nhwc, not {data.layout}"


@pytest.mark.parametrize(("model", "layouts"), [("conv_block", ["nhwc"]), ("transformer", [])])
def test_auto_is_what_kernels_take_that_refuse_row_major(model: str, layouts: list[str]) -> None:
    conv = replace(EPILOGUE.kernels[1], claims=wants_nhwc)
    library = replace(EPILOGUE, kernels=(EPILOGUE.kernels[0], conv, *EPILOGUE.kernels[2:]))
    graph = run_passes(to_graph(TINY[model], {}), DEFAULT_PASSES)

    laid = lay_out(graph, "auto", library, make_device("gpu", "native"), Watch())

    assert {type.layout for type in laid.types.values()} == {ROW_MAJOR, *layouts}


def test_what_the_chip_refuses_stays_row_major_for_the_host() -> None:
    graph = run_passes(to_graph(TINY["unet"], {}), DEFAULT_PASSES)
    laid = lay_out(graph, "nhwc", EPILOGUE, make_device("npu", "native"), Watch())
    made = {node.op: laid.types[node.output].layout for node in laid.nodes}
    assert (made["Conv"], made["ConvTranspose"]) == ("nhwc", ROW_MAJOR)


@pytest.mark.parametrize(
    ("dtype", "device", "layouts"),
    [
        ("fp16", "gpu", ["nhwc"]),
        ("int8", "gpu", ["nhwc"]),
        ("bf16", "systolic", []),
    ],
)
def test_auto_is_what_the_matrix_unit_of_a_chip_reads(
    dtype: str, device: str, layouts: list[str]
) -> None:
    made = compile(TINY["conv_block"], device=device, dtype=dtype)
    stored = {type.layout for type in made.compiled.lowered.types.values()}
    assert stored == {ROW_MAJOR, *layouts}


def latencies(image: int, channels: int) -> tuple[Trace, Trace]:
    """A bottleneck of f16 with the layout that the matrix unit reads, and without it."""
    model = conv_block(image=image, channels=channels)
    auto, rows = (compile(model, dtype="fp16", layout=layout) for layout in ("auto", "nchw"))
    return auto.compiled.trace, rows.compiled.trace


def test_a_conv_that_its_layout_keeps_from_the_matrix_unit_runs_on_a_slower_path() -> None:
    auto, rows = latencies(28, 1024)
    assert rows.total_ps > auto.total_ps
    assert rows.ledger["slower_path"] > 100 * auto.ledger["slower_path"]
    assert (rows.ledger["layout"], auto.ledger["layout"] > 0) == (0, True)
    assert sum(rows.ledger.values()) == rows.total_ps


def test_conversions_may_cost_more_than_the_matrix_unit_saves() -> None:
    auto, rows = latencies(28, 64)
    assert auto.total_ps > rows.total_ps
    lost = auto.ledger["launch"] + auto.ledger["layout"] - rows.ledger["launch"]
    assert lost >= auto.total_ps - rows.total_ps - auto.ledger["wait"]

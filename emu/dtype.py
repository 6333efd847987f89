"""Bring a graph to the element type that a stack computes in, if its chip can."""

from collections.abc import Mapping

from emu.devices.device import Device
from emu.dump import Watch
from emu.executing.calibrate import calibration
from emu.ir.errors import BadOption, Unsupported
from emu.ir.graph import Graph
from emu.ir.ops.decide import HOST_ONLY
from emu.ir.passes import run_passes
from emu.ir.precision import DTYPES, passes_of
from emu.ir.types import Array
from emu.models.inputs import check_inputs


def in_dtype(
    graph: Graph, dtype: str, chip: Device, watch: Watch, given: Mapping[str, Array] | None
) -> Graph:
    """Return ``graph`` in ``dtype``; ``given`` inputs calibrate it, random ones if None.

    Raises Unsupported if the chip does not compute in it, with the dtypes that it has, BadOption
    for a dtype that needs no calibration, and BadValues for inputs that are none of the graph.
    """
    if not computes(chip, dtype):
        known = ", ".join(name for name in DTYPES if computes(chip, name))
        raise Unsupported(f"device '{chip.name}' does not compute in {dtype}; it has {known}")
    _must_compute(graph, dtype)
    if given is not None:
        _must_calibrate(graph, dtype, given)
    passes = passes_of(dtype, calibration(given))
    return run_passes(graph, tuple(passes), watch, passes)


def _must_compute(graph: Graph, dtype: str) -> None:
    """Raise Unsupported for another dtype than the model's own where the host computes a node."""
    hosted = (n for n in graph.nodes if n.op in HOST_ONLY)
    if dtype != "fp32" and (node := next(hosted, None)):
        own = "the host computes it in the model's own element types"
        raise Unsupported(f"node '{node.id}': {own}; --dtype {dtype} is not supported with it")


def _must_calibrate(graph: Graph, dtype: str, given: Mapping[str, Array]) -> None:
    wanted = DTYPES[dtype]
    if wanted.factors == wanted.rest:
        raise BadOption(f"calibration inputs go with int8 and fp8, not with {dtype}")
    check_inputs(graph, given)


def computes(chip: Device, dtype: str) -> bool:
    """Whether a chip has a rate for products in ``dtype`` and lanes for all that is between."""
    wanted = DTYPES[dtype]
    vector = chip.sheet.unit("vector")
    lanes = vector is not None and bool(chip.rates.flops(vector, wanted.rest))
    return lanes and bool(chip.rates.best_product(wanted.factors))

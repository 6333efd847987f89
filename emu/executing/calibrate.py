"""Calibration: how large the values of a graph become on inputs like those that it will meet."""

from collections.abc import Iterable, Mapping

import numpy as np

from emu.ir.body import freeze
from emu.ir.graph import Graph
from emu.ir.passes.quantise import Observe
from emu.ir.types import Array
from emu.kernels.fast import fast_op
from emu.models.inputs import random_inputs

SEEDS = (1001, 1002)  # of the random inputs; a run's own seed is a small number


def calibration(given: Mapping[str, Array] | None) -> Observe:
    """Return what finds the largest sizes, on ``given`` inputs or on random ones of ``SEEDS``."""

    def observe(graph: Graph, names: tuple[str, ...]) -> Mapping[str, float]:
        if given is not None:
            return _sizes(graph, names, given)
        found = [_sizes(graph, names, random_inputs(graph, seed)) for seed in SEEDS]
        return {name: max(sizes[name] for sizes in found) for name in names}

    return observe


def _sizes(graph: Graph, names: Iterable[str], inputs: Mapping[str, Array]) -> dict[str, float]:
    """The largest finite size of each named value, computed by the fast executor."""
    wanted, values = frozenset(names), dict(inputs)
    sizes = {name: _size(array) for name, array in values.items() if name in wanted}
    last = {v: i for i, node in enumerate(graph.nodes) for v in node.inputs}
    for i, node in enumerate(graph.nodes):
        arrays = [_read(graph, values, v) for v in node.inputs]
        made = fast_op(node.op, freeze(node.attrs), arrays, len(node.outputs))
        values.update(zip(node.outputs, made, strict=False))
        sizes |= {v: _size(values[v]) for v in node.outputs if v in wanted}
        for value in node.inputs:
            if last[value] == i:
                values.pop(value, None)
    return sizes


def _read(graph: Graph, values: Mapping[str, Array], name: str) -> Array | None:
    if not name:
        return None
    return values[name] if name in values else graph.constants[name].load()


def _size(array: Array) -> float:
    return float(np.max(np.abs(array), initial=0.0, where=np.isfinite(array)))

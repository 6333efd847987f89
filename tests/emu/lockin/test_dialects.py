"""Every dialect has a spelling for every op that a front end can meet in a model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from emu.ir.errors import NoCommonIR
from emu.ir.graph import Graph
from emu.ir.ops import OPS
from emu.ir.types import Array
from emu.lockin.catalogue import load_catalogue
from emu.lockin.contracts.capture import capture, codes
from emu.lockin.source import Source
from emu.lockin.trial import Laboratory
from emu.models.reader import to_graph
from tests.models.small_models import ints, one_node, opened, real

KNOWN = load_catalogue()
DIALECTS = sorted(KNOWN.of_kind("dialect"))
# Made by passes after the capture, or computed by the host as it stands in the model.
NEVER_SPELLED = {"Relayout", "BiasAdd", "DequantizeAdd", "Decide", "Onnx"}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_spells_every_op_of_a_model(name: str) -> None:
    assert set(OPS) - set(KNOWN.interfaces[name].table) == NEVER_SPELLED


@pytest.mark.parametrize("name", DIALECTS)
def test_what_a_dialect_spells_alike_it_tells_apart(name: str) -> None:
    dialect = KNOWN.interfaces[name]
    found = codes(dialect, dialect.newest)
    assert set(found) == set(dialect.table)
    assert len(set(found.values())) == len(found)


def graph(folder: Path, op: str, read: Array, outputs: Sequence[str], **attrs: Any) -> Graph:
    """A program of one node, which says how many of the largest where it is asked for those."""
    many = [ints(5)] if op == "TopK" else []
    model, _ = one_node(op, [read], 18, many, outputs, **attrs)
    return to_graph(opened(folder, model), {})


OTHER_OPS: list[tuple[str, Array, Sequence[str], dict[str, Any]]] = [
    ("TopK", real(4, 32), ("f32", "i64"), {}),
    ("MaxPool", real(1, 2, 4, 4), ("f32", "i64"), {"kernel_shape": [2, 2]}),
    ("Sin", real(4, 8), ("f32",), {}),
    ("ArgMax", real(4, 8), ("i64",), {}),
]


@pytest.mark.parametrize(
    ("op", "read", "outputs", "attrs"), OTHER_OPS, ids=[o[0] for o in OTHER_OPS]
)
@pytest.mark.parametrize("stack", KNOWN.stacks)
def test_ops_that_no_model_of_the_zoo_has_run_on_every_stack(
    tmp_path: Path, stack: str, op: str, read: Array, outputs: Sequence[str], attrs: dict[str, Any]
) -> None:
    tried = Laboratory(KNOWN, Source(graph(tmp_path, op, read, outputs, **attrs)))
    trial = tried.try_(KNOWN.stacks[stack])
    assert (trial.failure, trial.ps > 0) == (None, True)


def test_an_op_that_no_dialect_has_is_refused_by_the_name_that_the_model_gives_it(
    tmp_path: Path,
) -> None:
    """What emu leaves to the host as it is no front end can write."""
    source = Source(graph(tmp_path, "Det", real(3, 4, 4), ("f32",)))
    with pytest.raises(NoCommonIR, match=r"need Det \(the_node\)"):
        capture(KNOWN.stacks["cuda-like"], source, KNOWN)

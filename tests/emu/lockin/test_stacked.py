"""A model is brought down on a stack only after its contracts were executed."""

from pathlib import Path

import pytest

from emu.dump import Watch
from emu.ir.errors import (
    ContractError,
    DynamicShape,
    GraphBreak,
    KernelNotRegistered,
    LayoutUnrepresentable,
    NoCommonIR,
    SymbolNotFound,
)
from emu.lockin.catalogue import load_catalogue
from emu.lockin.source import Source
from emu.lockin.stacked import brought_down
from emu.lockin.trial import Laboratory
from emu.models.reader import to_graph
from emu.models.zoo import build
from tests.emu.lockin.small import PARTS, Table, changed, write

MODEL = build("mlp", {})
GRAPH = to_graph(MODEL, {})
PLAIN = Source(GRAPH)


def bring(folder: Path, stack: str, tables: dict[str, Table], source: Source, **names: str) -> str:
    known = load_catalogue(write(folder, parts=tables))
    parts = {slot: (known.parts[slot][name],) for slot, name in names.items()}
    choice = {**known.stacks[stack], **parts}
    found = brought_down(MODEL, choice, Laboratory(known, source), Watch())
    return found.compiled.stack.front_end


def test_a_stack_whose_contracts_hold_is_compiled(tmp_path: Path) -> None:
    assert bring(tmp_path, "stack-a", PARTS, PLAIN) == "graph-a"


READS = Source(GRAPH, reads=(GRAPH.nodes[3].output,))
OPEN = Source(GRAPH, symbols=("batch",))
STRICT = changed(changed(PARTS, "eager-a", on_missing="raise"), "compiler-a", on_missing="raise")
TURNED = changed(PARTS, "chip-a", layouts=["nhwc"])


@pytest.mark.parametrize(
    ("error", "stack", "tables", "source", "names"),
    [
        (NoCommonIR, "stack-a", PARTS, PLAIN, {"front_end": "whole-b"}),
        (DynamicShape, "stack-b", PARTS, OPEN, {}),
        (GraphBreak, "stack-b", PARTS, READS, {}),
        (
            KernelNotRegistered,
            "stack-a",
            STRICT,
            PLAIN,
            {"front_end": "eager-a", "kernels": "kernels-b"},
        ),
        (SymbolNotFound, "stack-a", STRICT, PLAIN, {"kernels": "kernels-b"}),
        (LayoutUnrepresentable, "stack-a", TURNED, PLAIN, {}),
    ],
)
def test_a_stack_that_breaks_a_contract_is_refused_by_its_error(
    tmp_path: Path,
    error: type[ContractError],
    stack: str,
    tables: dict[str, Table],
    source: Source,
    names: dict[str, str],
) -> None:
    with pytest.raises(error) as caught:
        bring(tmp_path, stack, tables, source, **names)
    assert caught.value.exit_code == 4

"""How far a stack is, executed in three stages, with the contracts that are missing."""

from pathlib import Path

import pytest

from emu.lockin import corpus
from emu.lockin.catalogue import load_catalogue
from emu.lockin.outcome import Bench
from emu.lockin.parts import Catalogue
from emu.lockin.readiness import entered, operations, performance
from emu.lockin.source import Source
from emu.lockin.trial import Laboratory
from emu.models.reader import to_graph
from emu.models.zoo import build
from tests.emu.lockin.small import PARTS, changed, write

SOURCE = Source(to_graph(build("mlp", {}), {}))


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return load_catalogue(write(tmp_path_factory.mktemp("small")))


def bench(known: Catalogue, stack: str) -> Bench:
    return Bench(Laboratory(known, SOURCE), known.stacks[stack])


def test_every_op_of_the_corpus_is_a_program_of_one_node() -> None:
    found = corpus.ops()
    assert {"Conv", "MatMul", "Exp", "Gelu"} <= found.keys()
    for name, graph in found.items():
        assert [node.op for node in graph.nodes] == [name]
        graph.verify()


def test_ops_that_a_dialect_has_not_are_missing_at_capture(known: Catalogue) -> None:
    programs = {name: corpus.ops()[name] for name in ("Relu", "Exp")}
    found = entered(known, known.stacks["stack-a"], programs, run=False)
    assert (found.taken, found.of) == (1, 2)
    assert found.missing == ("K2 NoCommonIR at capture: Exp",)


def test_models_are_compiled_and_timed(known: Catalogue) -> None:
    found = entered(known, known.stacks["stack-a"], {"mlp": SOURCE.graph}, run=True)
    assert (found.taken, found.missing) == (1, ())


def test_a_stack_is_as_fast_as_itself(known: Catalogue) -> None:
    found = performance(bench(known, "stack-a"), bench(known, "stack-a"))
    assert found.score == 1.0


def test_another_stack_is_measured_at_equal_peaks(known: Catalogue) -> None:
    one, other = bench(known, "stack-b"), bench(known, "stack-a")
    found = performance(one, other)
    assert found.score == min(1.0, other.reference(one.base).ps / one.native.ps)
    assert "at equal peaks" in found.evidence[0]


def test_a_stack_that_does_not_run_has_no_speed(tmp_path: Path) -> None:
    known = load_catalogue(write(tmp_path, parts=changed(PARTS, "chip-a", firmware_version="9")))
    broken, whole = bench(known, "stack-a"), bench(known, "stack-b")
    assert performance(broken, whole).score == 0.0
    assert "K7 FirmwareVersion" in performance(broken, whole).missing[0]
    assert performance(whole, broken).evidence == ("the incumbent does not run",)


def test_policies_are_asked_of_the_own_management_functions(known: Catalogue) -> None:
    laboratory = Laboratory(known, SOURCE)
    first = operations(laboratory, known.stacks["stack-a"])
    second = operations(laboratory, known.stacks["stack-b"])
    assert (first.score, second.score) == (1.0, 0.5)
    assert any("partition: K8" in said for said in second.missing)
    assert any("K8 ApiUnknown at admit, as written: sevenths" in said for said in second.missing)


@pytest.mark.parametrize(
    ("name", "score", "missing"),
    [
        ("rbln-like", 0.5, ("partition: K8 NotSupported", "health: K8 ApiUnknown")),
        ("furiosa-like", 0.75, ("health: K8 ApiUnknown",)),
    ],
)
def test_npu_stacks_are_operated_as_far_as_their_drivers_let_them(
    name: str, score: float, missing: tuple[str, ...]
) -> None:
    shipped = load_catalogue()
    found = operations(Laboratory(shipped, SOURCE), shipped.stacks[name])
    assert found.score == score
    unmet = [said for said in found.missing if "as written" not in said]
    assert len(unmet) == len(missing)
    assert all(said.startswith(start) for said, start in zip(unmet, missing, strict=True))

"""Models that are damaged by chance are refused or run; benches/fuzz_models.py does it for long."""

import warnings
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import emu
from emu.ir.errors import EmuError
from tests.hostile.damage import damaged, images, numbers, seeds, texts
from tests.models.small_models import node, proto, value


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damage") / "damaged.onnx"


@settings(deadline=None, max_examples=150)
@given(random=st.randoms(use_true_random=False))
def test_a_damaged_model_is_refused_or_runs(path: Path, random: Random) -> None:
    path.write_bytes(damaged(random))
    assert code_of(path) in (0, 2, 3, 4)


def code_of(path: Path) -> int:
    """The exit code of a run without its check."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numbers overflow where damage says so
            emu.compile(path).run(check=False)
    except EmuError as error:
        return error.exit_code
    return 0


@pytest.mark.parametrize(
    "model", [images(), texts(), numbers()], ids=["images", "texts", "numbers"]
)
def test_what_is_damaged_was_whole(path: Path, model: "object") -> None:
    assert isinstance(model, type(images()))
    path.write_bytes(model.SerializeToString())
    check = emu.compile(path).run().check
    assert check is not None
    assert check.ok


def test_the_same_chance_makes_the_same_damage() -> None:
    assert damaged(Random(7)) == damaged(Random(7))
    assert sum(damaged(Random(i)) not in seeds() for i in range(50)) > 30


@pytest.mark.parametrize("device", ["gpu", "systolic", "npu"])
def test_without_passes_a_node_that_nobody_reads_runs(path: Path, device: str) -> None:
    nodes = [node("Relu", ["x"], "y"), node("GlobalAveragePool", ["y"], "mean")]
    nodes.append(node("Flatten", ["mean"], "unread"))
    x, y = (value(name, [1, 4, 4, 4]) for name in ("x", "y"))
    path.write_bytes(proto(nodes, [x], [y]).SerializeToString())
    run = emu.compile(path, device=device, fusion="none").run()
    assert run.check is not None
    assert run.check.ok
    assert run.compiled.trace.total_ps > 0

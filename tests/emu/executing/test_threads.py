"""Values on several threads: the same bits on any number of them, and refusals."""

from pathlib import Path

import numpy as np
import pytest

from emu.cli import main
from emu.executing.walk import Walk
from emu.ir.errors import BadOption
from emu.ir.types import Array
from emu.kernels.fast import threads as threading
from emu.kernels.fast.matmul import matmul
from emu.kernels.fast.tiled import Ending, product
from emu.kernels.fast.writer import Held, shares
from emu.models.inputs import random_inputs
from emu.pipeline import Executable, compile
from tests.emu.tiny import TINY


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Split whatever can be split, however small."""
    monkeypatch.setattr(threading, "LEAST_WORK", 2)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("name", sorted(TINY))
def test_any_number_of_threads_gives_the_same_bits(name: str) -> None:
    made = compile(TINY[name])
    inputs = random_inputs(made.compiled.graph, 0)
    alone = made.walk().run(inputs)
    for count in (2, 3, 7):
        walk = made.walk(count)
        assert walk.threads is not None
        for _ in range(3):
            for value, found in walk.run(inputs).items():
                assert found.tobytes() == alone[value].tobytes()


@pytest.mark.usefixtures("eager")
def test_large_steps_are_split_and_walks_are_kept() -> None:
    made = compile(TINY["unet"])
    alone, spread = made.walk(), made.walk(2)
    pairs = zip(alone.stops, spread.stops, strict=True)
    assert any(a.calls != b.calls for a, b in pairs)
    assert made.walk(2) is spread
    assert made.walk(1) is alone


def test_small_steps_stay_whole() -> None:
    made = compile(TINY["unet"])
    assert made.walk(2).stops == made.walk().stops


def parts_of(call: object, parts: int) -> int:
    """Do a step by parts, the last one first; return how many they are."""
    assert isinstance(call, Held)
    assert call.split is not None
    found = call.split(parts)
    for part in reversed(found):
        part()
    return len(found)


def filled(*shape: int) -> Array:
    return np.random.default_rng(len(shape)).standard_normal(shape, dtype=np.float32)


@pytest.mark.parametrize("rows", [1, 3, 200])
@pytest.mark.parametrize("width", [328, 333])
def test_a_product_is_split_by_tiles_or_by_channels(rows: int, width: int) -> None:
    x, w = filled(rows, 40), filled(40, width)
    whole, parts = np.empty((rows, width), np.float32), np.zeros((rows, width), np.float32)
    product(x, w, whole, Ending(filled(width)))()
    assert parts_of(product(x, w, parts, Ending(filled(width))), 4) > 1
    assert parts.tobytes() == whole.tobytes()


def test_products_of_heads_are_split_by_head() -> None:
    x, w, out = filled(1, 5, 7, 8), filled(1, 5, 8, 9), np.zeros((1, 5, 7, 9), np.float32)
    assert parts_of(matmul((x, w), {}, out), 3) == 3
    assert np.array_equal(out, np.matmul(x, w))


def test_shares_cover_everything_once_in_whole_units() -> None:
    assert shares(10, 3) == [(0, 4), (4, 8), (8, 10)]
    assert shares(10, 3, 8) == [(0, 8), (8, 10)]
    assert shares(2, 5) == [(0, 1), (1, 2)]


def test_an_error_on_a_thread_is_raised_where_the_step_was_asked_for() -> None:
    def fails() -> None:
        raise ZeroDivisionError

    call = Held(int, held=(), work=2**20, split=lambda parts: [int, fails])
    (spread,) = threading.threads_of(2).spread([call])
    with pytest.raises(ZeroDivisionError):
        spread()


def test_blas_takes_one_thread_while_values_are_computed() -> None:
    with threading.one_blas_thread(), threading.one_blas_thread():
        x = filled(300, 300)
        first = np.matmul(x, x)
    with threading.one_blas_thread():
        assert np.matmul(x, x).tobytes() == first.tobytes()


@pytest.mark.parametrize("count", [0, -1, 257])
def test_so_many_threads_are_refused(count: int) -> None:
    with pytest.raises(BadOption, match=rf"--threads {count}: from 1 to 256"):
        compile(TINY["unet"]).run(check=False, threads=count)


def test_the_literal_executor_takes_one_thread() -> None:
    with pytest.raises(BadOption, match="--threads 2: the executor 'tiles'"):
        compile(TINY["unet"]).run(check=False, executor="tiles", threads=2)


def test_the_flag_changes_nothing_that_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, three = tmp_path / "one.npz", tmp_path / "three.npz"
    for threads, path in (("1", one), ("3", three)):
        flags = ["--threads", threads, "--outputs", str(path), "--no-check"]
        assert main(["run", "conv_block", *flags]) == 0
    assert one.read_bytes() == three.read_bytes()
    assert main(["run", "conv_block", "--threads", "0"]) == 2
    assert "--threads 0: from 1 to 256" in capsys.readouterr().err


COMMANDS = [
    ["ladder", "conv_block", "-f", "none", "-k", "deep"],
    ["perturb", "mlp", "--fusion", "none", "--kernels", "deep"],
]


@pytest.mark.parametrize("words", COMMANDS)
def test_studies_compute_values_on_the_threads_that_are_asked_for(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, walk = list[int](), Executable.walk

    def counted(executable: Executable, threads: int = 1) -> Walk:
        asked.append(threads)
        return walk(executable, threads)

    monkeypatch.setattr(Executable, "walk", counted)
    printed: list[str] = []
    for threads in (1, 3):
        asked.clear()
        assert main([*words, "--threads", str(threads)]) == 0
        assert set(asked) == {threads}
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert main([*words, "--threads", "0"]) == 2
    assert "--threads 0: from 1 to 256" in capsys.readouterr().err

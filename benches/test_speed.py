"""How fast emu itself is, against the limits that it promises on two cores.

Commands are timed in fresh processes, after one that fills the cache of compiled code.
"""

import os
import sys
from collections.abc import Callable, Mapping
from itertools import count
from subprocess import DEVNULL, Popen
from typing import Protocol

import pytest

import emu
from emu.ir.fusion import decide
from emu.sweeps.point import price
from tests.ir.fusion.graph_text import numbered

MAIN_JOB = ("-m", "emu", "run", "resnet50", "--device", "systolic", "--fusion", "global")
MEMORY_LIMIT_BYTES = 1 << 30
# ru_maxrss counts bytes on macOS and KiB elsewhere.
RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


class Benchmark(Protocol):
    """What these tests use of the fixture of pytest-benchmark."""

    @property
    def stats(self) -> Mapping[str, float]:
        """Statistics in seconds by name."""
        ...

    def pedantic(self, target: Callable[[], object], *, rounds: int, warmup_rounds: int) -> object:
        """Time ``target`` for a number of rounds."""
        ...


def fresh_process(arguments: tuple[str, ...]) -> int:
    """Run Python and return the most memory that it held, in bytes."""
    process = Popen([sys.executable, *arguments], stdout=DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, arguments
    return usage.ru_maxrss * RSS_UNIT_BYTES


@pytest.mark.parametrize(
    ("arguments", "limit_s"),
    [
        pytest.param(("-c", "import emu"), 0.2, id="import emu"),
        pytest.param(("-m", "emu", "--help"), 0.2, id="emu --help"),
        pytest.param(MAIN_JOB, 5.0, id="main job"),
        pytest.param((*MAIN_JOB, "--no-values"), 1.5, id="main job --no-values"),
    ],
)
def test_a_command_takes_no_longer_than_promised(
    benchmark: Benchmark, arguments: tuple[str, ...], limit_s: float
) -> None:
    benchmark.pedantic(lambda: fresh_process(arguments), rounds=3, warmup_rounds=1)
    assert benchmark.stats["median"] <= limit_s


@pytest.mark.parametrize(
    ("device", "fusion"),
    [("gpu", "vertical"), ("systolic", "vertical"), ("npu", "vertical"), ("systolic", "global")],
)
def test_compiling_and_simulating_resnet50_once_more_takes_sixty_milliseconds(
    benchmark: Benchmark, device: str, fusion: str
) -> None:
    def compile_and_simulate() -> object:
        return emu.compile("resnet50", device=device, fusion=fusion).run(values=False)

    benchmark.pedantic(compile_and_simulate, rounds=5, warmup_rounds=1)
    assert benchmark.stats["median"] <= 0.06


@pytest.mark.parametrize("device", ["gpu", "systolic", "npu"])
def test_simulating_a_compiled_resnet50_once_more_takes_ten_milliseconds(
    benchmark: Benchmark, device: str
) -> None:
    made = emu.compile("resnet50", device=device)
    benchmark.pedantic(
        lambda: made.chip.simulate(made.compiled.program), rounds=20, warmup_rounds=2
    )
    assert benchmark.stats["median"] <= 0.01


@pytest.mark.parametrize(("reprice", "a_minute"), [(True, 2000), (False, 1000)])
def test_a_core_prices_points_of_a_sweep_of_resnet50_as_fast_as_promised(
    benchmark: Benchmark, reprice: bool, a_minute: int
) -> None:
    rates = count(500)

    def one_point() -> object:
        changed = {"device.memory.dram.bandwidth_gb_s": str(next(rates))}
        return price("resnet50", {"device": "gpu", **changed}, reprice)

    benchmark.pedantic(one_point, rounds=30, warmup_rounds=3)
    assert benchmark.stats["median"] <= 60 / a_minute


def test_forty_thousand_nodes_with_long_skips_are_fused_in_ten_seconds(
    benchmark: Benchmark,
) -> None:
    half = 20_000
    chain = [("Relu", (i - 1,)) for i in range(half)]
    skips = [("Add", (half + i - 1, half - 1 - i)) for i in range(half)]
    graph = numbered([*chain, *skips])
    benchmark.pedantic(lambda: decide(graph, "vertical"), rounds=1, warmup_rounds=0)
    assert benchmark.stats["median"] <= 10


def test_the_main_job_stays_within_one_gibibyte() -> None:
    assert fresh_process(MAIN_JOB) <= MEMORY_LIMIT_BYTES

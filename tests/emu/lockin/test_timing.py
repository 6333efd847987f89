"""Times of programs: with only as much effort as a question needs, and shared by processes."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from emu.devices.make import device_of
from emu.lockin.catalogue import load_catalogue
from emu.lockin.parts import Choice, Part
from emu.lockin.peaks import scaled
from emu.lockin.segments import Timed
from emu.lockin.shared import Shared
from emu.lockin.source import Source
from emu.lockin.timing import Timing
from emu.models.reader import to_graph
from emu.models.zoo import build

KNOWN = load_catalogue()
SOURCE = Source(to_graph(build("conv_block", {"image": 16, "channels": 8}), {}))
SOME = ["cuda-like", "tenstorrent-like", "jax-tpu-like", "furiosa-like"]


class Idle(Timing):
    """One that compiles nothing, so that all it knows is what others have found."""

    def planned(self, *_: object, **__: object) -> tuple[()]:
        raise AssertionError("this was found before")

    quickly = planned


def timing(shared: Path | None = None) -> Timing:
    return Timing(KNOWN, SOURCE, shared=Shared(shared))


def run(timing: Timing, choice: Choice) -> Timed:
    found = timing.time(choice)
    assert isinstance(found, Timed)
    return found


@pytest.fixture(scope="module")
def exact() -> Mapping[str, Timed]:
    return {name: run(timing(), KNOWN.stacks[name]) for name in SOME}


@pytest.mark.parametrize("name", SOME)
def test_a_stack_is_within_its_own_time_and_in_none_shorter(
    exact: Mapping[str, Timed], name: str
) -> None:
    choice, ps = KNOWN.stacks[name], exact[name].ps
    assert timing().within(choice, ps)
    fresh = timing()
    assert not fresh.within(choice, ps - 1)
    assert not fresh.within(choice, ps / 2)
    assert fresh.within(choice, ps)
    assert run(fresh, choice) == exact[name]


def test_numbers_of_cores_that_cannot_be_worth_it_are_not_tried() -> None:
    asked, choice = timing(), KNOWN.stacks["tenstorrent-like"]

    def cores(worth_ps: int | None) -> set[object]:
        """The numbers that kernels were chosen for on a chip that nobody used before."""
        chip = device_of.__wrapped__(asked.chip(choice).sheet)
        asked.planned(choice, chip, worth_ps=worth_ps)
        keys = [cast(tuple[Any, ...], key) for key in chip.remembered if isinstance(key, tuple)]
        return {key[4] for key in keys if key[0] == "selector"}

    most = asked.chip(choice).machine.cores
    assert most in cores(1)
    assert cores(None) > cores(1)


@pytest.mark.parametrize("name", SOME)
def test_what_one_has_found_no_other_finds_again(
    exact: Mapping[str, Timed], name: str, tmp_path: Path
) -> None:
    choice = KNOWN.stacks[name]
    most = timing(tmp_path).at_most(choice)
    assert Idle(KNOWN, SOURCE, shared=Shared(tmp_path)).at_most(choice) == most
    run(timing(tmp_path), choice)
    idle = Idle(KNOWN, SOURCE, shared=Shared(tmp_path))
    assert run(idle, choice) == exact[name]
    assert idle.within(choice, exact[name].ps)
    assert not idle.within(choice, exact[name].ps - 1)
    assert idle.at_most(choice) == exact[name].ps


def test_what_cannot_be_kept_is_not_shared(exact: Mapping[str, Timed], tmp_path: Path) -> None:
    gone = timing(tmp_path / "no-such-folder")
    assert run(gone, KNOWN.stacks["cuda-like"]) == exact["cuda-like"]
    assert not list(tmp_path.iterdir())


def test_another_source_may_ask_for_what_the_own_one_never_does() -> None:
    """The own program has no matrix product, and a batch of it could have one."""
    asked, choice = timing(), KNOWN.stacks["cuda-like"]
    chip, other = asked.chip(choice), Source(to_graph(build("mlp", {}), {}))
    (segment,) = asked.planned(choice, chip, other)
    products = [b for b in segment.schedule.bindings if any(n.op == "MatMul" for n in b.body.nodes)]
    assert products
    assert all(binding.coverage == "native" for binding in products)


def test_who_shares_with_nobody_keeps_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run(timing(), KNOWN.stacks["cuda-like"])
    assert not list(tmp_path.iterdir())


def test_programs_have_the_same_digest_in_every_process() -> None:
    said = "; ".join(
        (
            "from tests.emu.lockin.test_timing import KNOWN, SOME, timing",
            "print(*[timing().digest(KNOWN.stacks[name]) for name in SOME])",
        )
    )
    root = Path(__file__).parents[3]
    seeds = ("1", "2")
    found = [
        subprocess.run(
            [sys.executable, "-c", said],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            cwd=root,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        for seed in seeds
    ]
    assert found[0] == found[1] == [timing().digest(KNOWN.stacks[name]) for name in SOME]
    assert len({*found[0]}) == len(SOME)


def test_at_other_peaks_the_same_program_runs_at_other_rates() -> None:
    asked = timing()
    choice = KNOWN.stacks["cuda-like"]
    like = KNOWN.stacks["rocm-like"]
    before = run(asked, choice)
    assert asked.at_peaks(choice, choice) == before
    after = asked.at_peaks(choice, like)
    assert after.launched == before.launched
    assert after.ps != before.ps
    assert len(asked.programs) == 1
    ours, theirs = asked.sheet(choice), asked.sheet(like)
    made = scaled(ours, theirs)
    assert made.memory.dram.bandwidth_gb_s == theirs.memory.dram.bandwidth_gb_s
    assert made.compute.cores == ours.compute.cores
    assert replace(made, compute=ours.compute, memory=ours.memory) == ours


def test_a_run_in_eight_bits_leaves_no_bias_to_the_host() -> None:
    """Passes make ops that no table names, and libraries compute them by those that it does."""
    asked, choice = timing(), {**KNOWN.stacks["furiosa-like"]}
    choice["device"] = (KNOWN.parts["device"]["warboy-like"],)
    chip = asked.chip(choice)
    assert asked.dtype(choice, chip) == "int8"
    (segment,) = asked.planned(choice, chip)
    made = {node.op for node in segment.graph.nodes}
    assert made >= {"ConvInteger", "BiasAdd", "DequantizeAdd"}
    assert [b.group.nodes for b in segment.schedule.bindings if b.program is None] == []


def test_a_plan_that_is_quick_to_find_is_enough_if_it_is_short_enough(
    exact: Mapping[str, Timed],
) -> None:
    for name in SOME:
        asked, choice = timing(), KNOWN.stacks[name]
        (segment,) = asked.quickly(choice, asked.chip(choice), "menu")
        ps = asked.chip(choice).latency_ps(segment.program)
        assert ps >= exact[name].ps
        assert asked.within(choice, ps)
        assert not asked.times
        assert asked.at_most(choice) == ps
        assert not asked.within(choice, exact[name].ps - 1)


def test_libraries_that_differ_in_what_a_program_never_asks_for_make_one_program() -> None:
    """What the stack can ask of two of these for the ops of the program is nothing."""
    asked, choice = Timing(KNOWN, replace(SOURCE, dtype="fp32")), KNOWN.stacks["cuda-like"]
    cudnn, poplibs, xla = (
        KNOWN.parts["kernels"][name] for name in ("cudnn-like", "poplibs-like", "xla-runtime-like")
    )

    def number(*kernels: Part) -> int:
        return asked.number({**choice, "kernels": kernels})

    assert number(poplibs) == number(xla) != number(cudnn)
    assert number(cudnn, poplibs) == number(cudnn)
    assert asked.numbers.keys() == set(asked.keys.values())

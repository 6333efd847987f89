"""The scopes side by side on real devices: search is monotone, values stay, fusion may lose."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from emu.choose import Prices
from emu.devices.datasheet import FOLDER
from emu.devices.make import make_device
from emu.dump import Watch
from emu.ir.fusion import DECIDERS, SCOPES, decide, refusal
from emu.ir.fusion.deciders.runs import Runs
from emu.ir.fusion.exact import groupings
from emu.ir.fusion.space import Space
from emu.ir.graph import Graph
from emu.ir.group import Decision
from emu.ir.passes import DEFAULT_PASSES, run_passes
from emu.kernels.libraries import LIBRARIES
from emu.models.reader import to_graph
from emu.models.zoo import build
from emu.pipeline import Executable, compile
from emu.run import Compiled
from emu.select import Selector
from tests.emu.cases import DEVICES
from tests.ir.fusion.exhaustive import every_grouping

DATA = Path(__file__).parent / "data"
COMPUTE_BOUND = str(DATA / "compute_bound.toml")
BANDWIDTH_BOUND = str(DATA / "bandwidth_bound.toml")
SMALL: Mapping[str, Mapping[str, int]] = {
    "conv_block": {"image": 8, "channels": 32},
    "diamond": {"batch": 16, "features": 64},
    "attention": {"heads": 2, "seq": 32, "size": 16},
    "mlp": {"features": 64, "hidden": 64},
    "few_rows": {},
}
# On the npu every count of cores is a candidate of its own, so only what has few nodes is quick.
ON = [(m, d) for m in SMALL for d in DEVICES if d != "npu" or m not in ("conv_block", "mlp")]
# By mechanism: the model, the device on which it shows, the cause that takes the time, and what
# the numbers of the refusal say about it.
LOSING = {
    "halo_chain": ("systolic", "recompute", "recompute_flops"),
    "wide_chain": ("gpu", "wait", "onchip_bytes"),
    "few_rows": ("npu", "idle", "cores"),
}


def lowered(model: str) -> Graph:
    return run_passes(to_graph(build(model, SMALL[model]), {}), DEFAULT_PASSES, Watch())


def prices_of(graph: Graph, device: str) -> Prices:
    chip = make_device(device)
    return Prices(graph, Selector(chip, LIBRARIES["deep"], chip.machine.cores))


@lru_cache(maxsize=128)
def small(model: str, device: str, scope: str, decider: str) -> Executable:
    return compile(model, device=device, fusion=scope, decider=decider, settings=SMALL[model])


@lru_cache(maxsize=16)
def losing(model: str, decider: str) -> Compiled:
    return compile(model, device=LOSING[model][0], fusion="global", decider=decider).compiled


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("model", ["conv_block", "diamond", "attention"])
def test_search_is_as_fast_as_the_fastest_of_all_groupings(model: str, device: str) -> None:
    graph = lowered(model)
    prices = prices_of(graph, device)
    for scope in ("vertical", "global"):
        found = decide(graph, scope, "search", prices)

        assert "search:proved" in {d.code for d in found.decisions}
        assert prices.run(found) == min(map(prices.run, every_grouping(graph, scope)))


@pytest.mark.parametrize("device", DEVICES)
def test_the_last_groups_alone_bound_every_run_that_ends_with_them(device: str) -> None:
    graph = lowered("conv_block")
    space = Space(graph)
    runs = Runs(space, prices_of(graph, device))
    for partition in groupings(space, "global", lambda tail: True):
        whole = runs.price("global", partition)
        for length in range(1, len(partition)):
            assert 0 < runs.at_least("global", partition[:length]) <= whole


@pytest.mark.parametrize(("model", "device"), ON)
def test_a_larger_scope_is_never_slower_under_search(model: str, device: str) -> None:
    times = [small(model, device, scope, "search").compiled.trace.total_ps for scope in SCOPES]

    # Passes run from "pattern" on, so "none" is another graph where they change something.
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(("model", "device"), ON)
def test_no_decider_is_faster_than_search(model: str, device: str) -> None:
    for scope in SCOPES:
        best = small(model, device, scope, "search").compiled.trace.total_ps
        for decider in DECIDERS:
            if not refusal(scope, decider):
                assert best <= small(model, device, scope, decider).compiled.trace.total_ps


@pytest.mark.parametrize(("model", "device"), ON)
def test_values_are_the_same_in_every_scope(model: str, device: str) -> None:
    runs = [small(model, device, scope, "search").run(check=True) for scope in SCOPES]
    for run in runs:
        assert run.check is not None
        assert run.check.ok
        assert run.outputs is not None
        assert runs[0].outputs is not None
        for name, value in run.outputs.items():
            wanted = runs[0].outputs[name]
            np.testing.assert_allclose(value, wanted, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("model", LOSING)
def test_the_naive_choice_loses_where_it_takes_every_region_that_fits(model: str) -> None:
    naive = losing(model, "first-match").trace
    for decider in ("priority", "search"):
        assert naive.total_ps > 1.1 * losing(model, decider).trace.total_ps


@pytest.mark.parametrize("model", LOSING)
def test_most_of_what_the_naive_choice_loses_has_the_cause_of_its_mechanism(model: str) -> None:
    naive, best = losing(model, "first-match").trace, losing(model, "search").trace
    grown = {cause: ps - best.ledger[cause] for cause, ps in naive.ledger.items()}

    assert max(grown, key=lambda cause: grown[cause]) == LOSING[model][1]


def refusals(made: Compiled) -> list[Decision]:
    return [d for d in made.schedule.decisions if not d.ok and d.code == "global:cost"]


@pytest.mark.parametrize("model", LOSING)
def test_the_refusal_says_by_numbers_what_fusing_would_cost(model: str) -> None:
    for decision in refusals(losing(model, "priority")):
        numbers = decision.numbers
        fused = numbers.get("fused_ps", numbers.get("fused_ps_at_least", 0))

        assert fused >= numbers["apart_ps"]
        assert LOSING[model][2] in numbers
    assert refusals(losing(model, "priority"))


@pytest.mark.parametrize("model", LOSING)
def test_search_refuses_what_the_naive_choice_merged_with_the_same_numbers(model: str) -> None:
    merged = max(losing(model, "first-match").fused.groups, key=lambda group: len(group.nodes))
    decisions = losing(model, "search").schedule.decisions
    refused = [d for d in decisions if d.code == "search:slower" and d.nodes == merged.nodes]

    assert len(refused) == 1
    assert refused[0].numbers["run_ps"] == losing(model, "first-match").trace.total_ps
    assert LOSING[model][2] in refused[0].numbers


def test_a_chain_with_wide_windows_computes_its_halos_again() -> None:
    whole = max(refusals(losing("halo_chain", "priority")), key=lambda d: len(d.nodes))

    assert whole.numbers["recompute_flops"] > 3e9


def test_a_band_of_wide_rows_leaves_no_room_for_a_second_tile_on_a_core() -> None:
    (refused,) = refusals(losing("wide_chain", "priority"))
    room = make_device("gpu").machine.onchip_bytes

    assert room / 2 < refused.numbers["onchip_bytes"] <= room


def test_with_more_memory_on_chip_the_same_chain_wins(tmp_path: Path) -> None:
    text = (FOLDER / "gpu.toml").read_text("utf-8")
    larger = tmp_path / "larger.toml"
    twice = (("capacity_kib             = 164", 328), ("registers_kib_per_core = 256", 512))
    for fact, figure in twice:
        assert fact in text
        text = text.replace(fact, f"{fact.split()[0]} = {figure}")
    larger.write_text(text)
    naive, best = (
        compile("wide_chain", device=larger, fusion="global", decider=d).compiled
        for d in ("first-match", "search")
    )

    assert len(best.fused.groups) == 1
    assert best.trace.total_ps == naive.trace.total_ps


def test_a_chain_over_few_rows_runs_on_one_core_where_its_products_take_several() -> None:
    (refused,) = refusals(losing("few_rows", "priority"))
    apart = losing("few_rows", "priority").trace.launches

    assert refused.numbers["cores"] == 1
    assert all(launch.did.cores >= 4 for launch in apart)


def ladder(model: str, device: str, settings: Mapping[str, int]) -> list[float]:
    """Latencies of the scopes up to vertical, over that of vertical."""
    times = [
        compile(model, device=device, fusion=scope, settings=settings).compiled.trace.total_ps
        for scope in ("none", "pattern", "vertical")
    ]
    return [ps / times[-1] for ps in times]


LARGE_BATCH = [
    ("mlp", {"batch": 512, "features": 256, "hidden": 256}),
    ("conv_block", {"batch": 8, "image": 14, "channels": 64}),
]


@pytest.mark.parametrize(("model", "settings"), LARGE_BATCH)
def test_fewer_groups_are_not_less_time_where_arithmetic_is_the_limit(
    model: str, settings: Mapping[str, int]
) -> None:
    assert max(ladder(model, COMPUTE_BOUND, settings)) <= 1.05


@pytest.mark.parametrize(("model", "settings"), LARGE_BATCH)
def test_fewer_groups_are_less_time_where_bandwidth_is_the_limit(
    model: str, settings: Mapping[str, int]
) -> None:
    assert ladder(model, BANDWIDTH_BOUND, settings)[0] > 1.5


def test_fewer_groups_are_less_time_where_launches_are_the_limit() -> None:
    assert ladder("mlp", "gpu", {"batch": 1, "features": 256, "hidden": 256})[0] > 1.5

"""A policy that has a chip cut: programs run on a part of it, and so does what is read of them."""

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest

from emu.cli import main
from emu.devices.datasheet import load_datasheet
from emu.devices.driver.partition import Profile
from emu.lockin.catalogue import FOLDER, load_catalogue
from emu.lockin.contracts.binding import placement_of
from emu.lockin.outcome import Bench, Changes
from emu.lockin.partitions import Share, datasheet_of, facts_of, runs_on, worth_trying
from emu.lockin.parts import SLOTS, Choice, Fact
from emu.lockin.peaks import scaled
from emu.lockin.search import blocking_sets, masks_of
from emu.lockin.segments import Timed
from emu.lockin.source import Source
from emu.lockin.trial import Laboratory
from emu.models.reader import to_graph
from emu.models.zoo import build
from tests.emu.lockin.small import write
from tests.emu.lockin.test_own_stacks import SLOTS as OWN
from tests.emu.lockin.test_own_stacks import written

KNOWN = load_catalogue()
CUT = {  # a stack, and a policy that has its chip cut
    "cuda-like": "k8s-mig-like",
    "ascend-like": "mindx-vnpu-like",
    "furiosa-like": "furiosa-halves-like",
    "kunlun-like": "hami-kunlun-like",
    "rocm-like": "k8s-amd-like",
}


@lru_cache(maxsize=2)
def laboratory(model: str = "conv_block") -> Laboratory:
    return Laboratory(KNOWN, Source(to_graph(build(model, {}), {})))


def under(stack: str, policy: str) -> Choice:
    return {**KNOWN.stacks[stack], "orchestrator": (KNOWN.parts["orchestrator"][policy],)}


def demanding(stack: str, share: str) -> Choice:
    """A stack whose own policy asks for one share of the chip too."""
    choice = KNOWN.stacks[stack]
    (policy,) = choice["orchestrator"]
    intents = Fact([*policy.fact("intents"), f"partition {share}"], "asked for")
    return {**choice, "orchestrator": (replace(policy, facts={"intents": intents}),)}


def time(choice: Choice) -> Timed:
    found = laboratory().time(choice)
    assert isinstance(found, Timed)
    return found


def test_a_partition_has_its_share_of_the_cores_and_its_slices_of_the_memory() -> None:
    """One of seven, on one of eight slices of memory: 132 cores make 18 each, 6 are left over."""
    partition = Share(Profile("1g", 1, 7, 1, (0,)), 8)
    assert dict(facts_of(partition, load_datasheet("h100_sxm"))) == {
        "compute.cores": 18,
        "memory.dram.capacity_gib": 10.0,
        "memory.dram.bandwidth_gb_s": 418.75,
        "memory.l2.capacity_mib": 6.25,
        "memory.l2.bandwidth_gb_s": 1237.5,
        "energy.static_w": 123.2 * 18 / 132,
        "board.power_w": pytest.approx(700 * 18 / 132, rel=1e-15),
    }
    part, whole = datasheet_of("h100_sxm", partition), load_datasheet("h100_sxm")
    assert part.compute.clock_mhz == whole.compute.clock_mhz
    assert part.link == whole.link


def test_a_chip_that_is_cut_finer_than_it_has_cores_gives_each_part_one() -> None:
    sheet = load_datasheet("warboy")
    assert sheet.compute.cores == 2
    assert dict(facts_of(Share(Profile("1of8", 1, 8, 1, (0,)), 8), sheet))["compute.cores"] == 1


@pytest.mark.parametrize(("stack", "policy"), CUT.items())
def test_a_program_runs_on_the_part_of_the_chip_that_a_policy_leaves_it(
    stack: str, policy: str
) -> None:
    choice = under(stack, policy)
    trial = laboratory().try_(choice)
    assert trial.failure is None
    assert trial.ps > time(KNOWN.stacks[stack]).ps
    cores = laboratory().chip(choice).machine.cores
    assert 0 < cores < laboratory().chip(KNOWN.stacks[stack]).machine.cores
    outcome = Bench(laboratory(), KNOWN.stacks[stack]).swap(
        {"orchestrator": choice["orchestrator"]}
    )
    assert outcome.kind in ("slower", "below-floor")
    assert outcome.ratio == outcome.unscaled == trial.ps / time(KNOWN.stacks[stack]).ps


@pytest.mark.parametrize("stack", CUT)
def test_no_smaller_part_of_a_chip_is_faster(stack: str) -> None:
    placement = placement_of(KNOWN.stacks[stack]["device"][0])
    by_size = sorted(placement.profiles.values(), key=lambda p: (p.slices, p.share))
    found = [time(demanding(stack, str(profile.share))).ps for profile in by_size]
    assert found == sorted(found, reverse=True)
    assert found[-1] == time(KNOWN.stacks[stack]).ps  # all of a chip is the chip


def test_a_policy_that_a_chip_is_not_cut_for_is_not_supported_whatever_else_fits() -> None:
    refused = laboratory().refusal(demanding("cuda-like", "5/7"))
    assert refused is not None
    assert (refused.contract, refused.name) == ("K8", "NotSupported")


def test_a_stack_that_is_cut_gets_faster_by_a_policy_that_does_not_cut() -> None:
    outcome = Bench(laboratory(), under("cuda-like", "k8s-mig-like")).swap(
        {"orchestrator": KNOWN.stacks["cuda-like"]["orchestrator"]}
    )
    assert (outcome.kind, outcome.ratio is not None and outcome.ratio < 1) == ("free", True)


def test_another_chip_is_compared_at_the_peaks_of_the_part_that_is_run_on() -> None:
    base, other = under("cuda-like", "k8s-mig-like"), under("rocm-like", "k8s-amd-like")
    tried = laboratory()
    assert [runs_on(c)[1] is None for c in (base, other)] == [False, False]
    at_peaks = tried.at_peaks(base, other)
    assert at_peaks.ps > tried.at_peaks(base, KNOWN.stacks["rocm-like"]).ps
    made = scaled(tried.sheet(base), tried.sheet(other))
    assert made.compute.cores == tried.sheet(base).compute.cores == 132 // 7
    assert made.memory.dram.bandwidth_gb_s == 5300 / 8


def test_policies_that_cut_are_not_tried_where_one_without_demands_is(tmp_path: Path) -> None:
    """What is left out would never have been an answer, nor is needed to say what blocks."""
    known = load_catalogue(write(tmp_path))
    base = {**known.stacks["stack-a"], "orchestrator": (known.parts["orchestrator"]["anything"],)}
    bench = Bench(Laboratory(known, Source(to_graph(build("mlp", {}), {}))), base, keep=())
    every = {slot: known.options(slot) for slot in SLOTS}
    left_out = {bundle[0].name for bundle in every["orchestrator"]}
    left_out -= {b[0].name for b in worth_trying(every["orchestrator"], base["orchestrator"])}
    assert left_out == {"sevenths"}
    found: list[Changes | None] = []
    for slot in SLOTS[:-1]:
        for bundle in (b for b in every[slot] if b != base[slot]):
            replaced = {slot: bundle}
            all_masks = masks_of(bench.laboratory, {**every, slot: (bundle,)})
            some_masks = bench.kept_masks(replaced)
            assert some_masks.stacks < all_masks.stacks
            found.append(bench.first(some_masks, replaced))
            assert found[-1] == bench.first(all_masks, replaced)
            for blocking in blocking_sets(all_masks):
                assert any(set(fewer) <= set(blocking) for fewer in blocking_sets(some_masks))
    assert sum(bool(changes) for changes in found) > 2


def test_a_policy_that_cuts_is_tried_where_it_stands_and_where_no_other_is(tmp_path: Path) -> None:
    known = load_catalogue(write(tmp_path))
    parts = known.parts["orchestrator"]
    cutting, watching = (parts["sevenths"],), (parts["watcher"],)
    every = known.options("orchestrator")
    assert cutting in worth_trying(every, cutting)
    assert worth_trying([cutting, watching], watching) == [cutting, watching]


def test_a_figure_that_a_driver_claims_and_nothing_measures_is_missing() -> None:
    choice = KNOWN.stacks["rocm-like"]
    claim = {"figures": Fact(["busy", "power", "temperature"], "a claim")}
    drivers = tuple(replace(d, facts={**d.facts, **claim}) for d in choice["driver"])
    (policy,) = choice["orchestrator"]
    asked = replace(policy, facts={"intents": Fact(["figure temperature"], "asked for")})
    refused = laboratory().refusal({**choice, "driver": drivers, "orchestrator": (asked,)})
    assert refused is not None
    assert (refused.contract, refused.name) == ("K8", "TelemetryMissing")
    assert "have busy, power, busy, power, need temperature" in str(refused.error)


def test_a_run_says_which_part_it_ran_on_and_what_is_read_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = str(written(tmp_path, {**OWN, "orchestrator": ["k8s-amd-like"]}))
    assert main(["run", "mlp", "--no-values", "--stack", stack, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    device = found["stack"]["device"]
    assert (device["name"], device["partition"]["name"]) == ("mi300x", "1of8")
    assert "compute.cores=38" in device["partition"]["facts"]
    assert 0 < found["telemetry"]["busy"] <= 1
    assert main(["run", "mlp", "--no-values", "--stack", stack]) == 0
    text = capsys.readouterr().out
    assert text.startswith("mlp on 1of8 of mi300x, ")
    assert "\npartition         1of8: compute.cores=38, memory.dram.capacity_gib=24," in text
    assert f"\ntelemetry         busy {found['telemetry']['busy']:.1%}\n" in text


def test_a_run_on_a_part_of_a_chip_can_be_kept_and_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = str(written(tmp_path, {**OWN, "orchestrator": ["k8s-amd-like"]}))
    whole, cut = str(tmp_path / "whole.emurun"), str(tmp_path / "cut.emurun")
    assert main(["run", "mlp", "--no-values", "--stack", "rocm-like", "-o", whole]) == 0
    assert main(["run", "mlp", "--no-values", "--stack", part, "-o", cut]) == 0
    capsys.readouterr()
    assert main(["diff", whole, cut]) == 0
    text = capsys.readouterr().out
    assert "\nB: mlp on 1of8 of mi300x, " in text
    assert "partition none -> 1of8" in " ".join(text.split())


def test_facts_change_a_partition_and_another_chip_is_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = str(written(tmp_path, {**OWN, "orchestrator": ["k8s-amd-like"]}))
    run = ["run", "mlp", "--no-values", "--json", "--stack", stack]
    assert main([*run, "--set-device", "compute.cores=2"]) == 0
    few = json.loads(capsys.readouterr().out)
    assert few["stack"]["device"]["facts"] == ["compute.cores=2"]
    assert few["stack"]["device"]["partition"]["name"] == "1of8"
    assert main([*run, "--device", "a100_sxm80"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert "partition" not in whole["stack"]["device"]


def test_every_policy_that_cuts_is_one_that_some_chip_admits() -> None:
    named = {path.stem for path in (FOLDER / "orchestrator").glob("*.toml")}
    cutting = {n for n in named if "partition" in (FOLDER / f"orchestrator/{n}.toml").read_text()}
    admitted = {
        policy
        for policy in cutting
        if any(laboratory().refusal(under(stack, policy)) is None for stack in CUT)
    }
    assert admitted == cutting

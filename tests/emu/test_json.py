"""The JSON of a run: stable keys, whole numbers, exact sums, and nothing that is not JSON."""

import json
from dataclasses import replace
from typing import Any

import pytest

import emu
from emu.as_json import run_json
from emu.devices.datasheet import load_datasheet
from emu.digest import digest
from emu.ir.trace import CAUSES
from emu.run import Run
from tests.emu import by_hand
from tests.emu.cases import DEVICES, SCOPES, compiled

KEYS = {
    "schema",
    "model",
    "stack",
    "latency_ps",
    "ledger",
    "groups",
    "nodes",
    "boundary_bytes",
    "dram_bytes",
    "kept_bytes",
    "peak_onchip_bytes",
    "peak_device_bytes",
    "energy_pj",
    "coverage",
    "utilisation",
    "values",
    "per_group",
    "per_source",
    "array_cycles",
    "assumed",
    "datasheet_digest",
}
GROUP_KEYS = {
    "name",
    "nodes",
    "sources",
    "kernel",
    "ps",
    "bound",
    "ledger",
    "dram_bytes",
    "array_cycles",
    "dynamic_pj",
}


def parsed(run: Run) -> Any:
    return json.loads(json.dumps(run_json(run), allow_nan=False))


def test_the_keys_are_those_of_the_schema() -> None:
    found = parsed(by_hand.run())
    assert found["schema"] == "emu.run/1"
    assert set(found) == KEYS
    assert {frozenset(group) for group in found["per_group"]} == {frozenset(GROUP_KEYS)}
    assert set(found["boundary_bytes"]) == {"weights", "activations_read", "activations_written"}
    assert set(found["dram_bytes"]) == {"compulsory", "intermediate", "reload", "layout"}
    assert set(found["coverage"]) == {"native", "generated", "composed", "host", "refused"}
    assert set(found["energy_pj"]) == {"total", "dynamic", "static", "operations", "levels"}
    assert set(found["values"]) == {
        "reference",
        "max_abs_error",
        "max_rel_error",
        "tolerance",
        "ok",
        "unlike",
        "apart",
        "numbers",
    }


@pytest.mark.parametrize("device", DEVICES)
def test_the_parts_of_the_energy_sum_to_the_total(device: str) -> None:
    found = run_json(Run(compiled("bert_layer", device, "vertical").compiled, None, None, None))
    energy = found["energy_pj"]
    parts = sum(energy["operations"].values()) + sum(energy["levels"].values())
    assert parts == energy["dynamic"] == sum(g["dynamic_pj"] for g in found["per_group"])
    assert energy["total"] == energy["dynamic"] + energy["static"]
    assert energy["operations"]["transcendental"] > 0
    assert set(energy["levels"]) - {"l2"} == {"dram", "onchip", "link"}


def test_the_stack_has_its_six_slots() -> None:
    assert parsed(by_hand.run())["stack"] == {
        "front_end": "graph-capture",
        "compiler": {
            "passes": ["fold-batch-norm"],
            "scope": "global",
            "decider": "priority",
            "trials": 0,
            "dtype": "fp32",
            "layout": "auto",
            "tiling": "exhaustive",
            "fallback": "generated",
            "residency": "off",
            "graph_replay": "off",
        },
        "kernels": "deep",
        "driver": "emu",
        "device": {"name": "systolic", "array_model": "native", "facts": []},
        "orchestrator": "none",
    }


def test_a_run_on_a_chip_with_other_facts_has_another_digest_of_its_datasheet() -> None:
    def told(*facts: str) -> str:
        run = emu.compile("mlp", device="npu", facts=facts).run(values=False)
        return str(run_json(run)["datasheet_digest"])

    assert told() == told() == digest(load_datasheet("npu"))
    assert told("launch.issue_us=77") != told()


def test_boundaries_are_counted_by_definition_whatever_the_device_moved() -> None:
    image, filter_ = by_hand.IMAGE.bytes, by_hand.FILTER.bytes
    assert parsed(by_hand.run())["boundary_bytes"] == {
        "weights": filter_,
        "activations_read": 2 * image,
        "activations_written": 2 * image,
    }


def test_a_group_tells_its_nodes_their_sources_and_what_bounds_it() -> None:
    first, second = parsed(by_hand.run())["per_group"]
    assert first["nodes"] == ["conv", "relu"]
    assert first["sources"] == ["conv", "bn", "relu"]
    assert (first["ps"], first["bound"], first["array_cycles"]) == (2_000_000, "compulsory", 512)
    assert (second["kernel"], second["bound"]) == ("host", "link")


def test_a_merged_node_is_charged_to_its_first_source_and_a_folded_one_to_nothing() -> None:
    assert parsed(by_hand.run())["per_source"] == {
        "conv": 1_800_000,
        "bn": 0,
        "relu": 200_000,
        "split": 8_000_000,
        "dropped": 0,
    }


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("model", "fusion"), [("bert_layer", "vertical"), *(("mlp", scope) for scope in SCOPES)]
)
def test_causes_groups_and_sources_sum_to_the_latency(model: str, fusion: str, device: str) -> None:
    found = parsed(Run(compiled(model, device, fusion).compiled, None, None, None))
    total = found["latency_ps"]
    assert {*map(tuple, (found["ledger"], *(g["ledger"] for g in found["per_group"])))} == {CAUSES}
    assert all(sum(group["ledger"].values()) == group["ps"] for group in found["per_group"])
    assert sum(found["ledger"].values()) == total
    assert sum(group["ps"] for group in found["per_group"]) == total
    assert sum(found["per_source"].values()) == total
    assert sum(found["coverage"].values()) == found["groups"] == len(found["per_group"])


def test_values_that_were_not_checked_are_null() -> None:
    assert parsed(replace(by_hand.run(), check=None))["values"] is None


def test_an_error_that_is_not_a_number_is_null_and_not_ok() -> None:
    values = parsed(by_hand.run(float("inf")))["values"]
    assert values["max_rel_error"] is None
    assert values["ok"] is False


def test_utilisation_is_of_the_true_operations_also_where_they_are_hidden() -> None:
    products, relu = 2 * 64 * 64 * 32 * 32, 64 * 32 * 32
    ideal_ps = products / 32.768 + relu / 2.048  # operations per ps of the array and the lanes
    assert parsed(by_hand.run())["utilisation"] == pytest.approx(ideal_ps / 10_000_000)

"""Flags beside ``emu run --stack NAME``: each of them does something, or is refused by its name."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from emu.cli import main
from emu.devices.datasheet import datasheet_path
from emu.flags import StackFlags
from emu.ir.program import Replay
from emu.lockin.catalogue import load_catalogue
from emu.lockin.parts import Offer, Part
from emu.lockin.source import Source
from emu.lockin.trial import Laboratory
from emu.models.reader import to_graph
from emu.models.zoo import build
from tests.emu.lockin.test_own_stacks import SLOTS, written

Capture = pytest.CaptureFixture[str]
GRAPHS = "compiler.graph_replay"
RUN = ("run", "mlp", "--no-values", "--json", "--stack")

# For each flag of a stack: a value, and what of the JSON it changes.
DOES = {
    "device": ("a100_sxm80", "device.name"),
    "set_device": ("memory.dram.bandwidth_gb_s=20", "device.facts"),
    "fusion": ("none", "compiler.scope"),
    "decider": ("first-match", "compiler.decider"),
    "kernels": ("basic", "kernels"),
    "passes": ("infer-types", "compiler.passes"),
    "dtype": ("fp32", "compiler.dtype"),
    "layout": ("nhwc", "compiler.layout"),
    "tiling": ("heuristic", "compiler.tiling"),
    "tune_trials": ("2", "compiler.trials"),
    "fallback": ("host", "compiler.fallback"),
    "graph_replay": ("on", GRAPHS),
}
REFUSED = {
    "residency": ("on", "no function of cuda-runtime-like+cuda-driver-like keeps a value on chip"),
    "calibration": ("x.npz", "does not go with --stack cuda-like"),
    "tuning_db": ("x.db", "does not go with --stack cuda-like"),
    "array_model": ("scalesim-ws", "does not go with --stack cuda-like"),
}
ALONE = {"device_file", "over_capacity"}  # tried below


def test_every_flag_of_a_stack_is_tried() -> None:
    assert {field.name for field in fields(StackFlags)} == DOES.keys() | REFUSED.keys() | ALONE


def ran(capsys: Capture, stack: str, *flags: str) -> dict[str, Any]:
    assert main([*RUN, stack, *flags]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: Capture, code: int, stack: str, *flags: str) -> str:
    assert main([*RUN, stack, *flags]) == code
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def spelled(flag: str, value: str) -> tuple[str, str]:
    return f"--{flag.replace('_', '-')}", value


def said(found: dict[str, Any], key: str) -> object:
    value: Any = found["stack"]
    for part in key.split("."):
        value = value[part]
    return value


@pytest.mark.parametrize("flag", DOES)
def test_a_flag_replaces_a_choice_of_the_stack(capsys: Capture, flag: str) -> None:
    value, key = DOES[flag]
    plain, other = ran(capsys, "cuda-like"), ran(capsys, "cuda-like", *spelled(flag, value))
    assert said(plain, key) != said(other, key)


@pytest.mark.parametrize("flag", REFUSED)
def test_a_flag_that_does_not_go_with_a_stack_is_refused_by_name(
    capsys: Capture, flag: str
) -> None:
    value, why = REFUSED[flag]
    name = spelled(flag, value)[0]
    error = refused(capsys, 2, "cuda-like", *spelled(flag, value))
    assert error.startswith(f"emu: {name}")
    assert why in error
    assert "--stack cuda-like" in error


def test_facts_and_files_of_a_chip_change_the_time(capsys: Capture) -> None:
    plain = ran(capsys, "cuda-like")["latency_ps"]
    slow = ran(capsys, "cuda-like", "--set-device", "memory.dram.bandwidth_gb_s=20")
    assert slow["latency_ps"] > plain
    by_file = ran(capsys, "cuda-like", "--device-file", str(datasheet_path("a100_sxm80")))
    assert by_file["latency_ps"] == ran(capsys, "cuda-like", "-d", "a100_sxm80")["latency_ps"]


@pytest.mark.parametrize("stack", ["cuda-like", "tenstorrent-like"])
def test_graphs_are_replayed_where_a_runtime_captures(capsys: Capture, stack: str) -> None:
    graphs = ran(capsys, stack, "--graph-replay", "on")["latency_ps"]
    assert graphs < ran(capsys, stack)["latency_ps"]


def test_graphs_need_a_function_of_the_runtime(capsys: Capture) -> None:
    error = refused(capsys, 2, "rbln-like", "--graph-replay", "on")
    assert "no function of rbln-runtime-like+rbln-driver-like launches a graph" in error


def test_what_is_dispatched_op_by_op_is_no_graph(capsys: Capture, tmp_path: Path) -> None:
    file = written(tmp_path, {**SLOTS, "front_end": ["pytorch-rocm-like"]})
    error = refused(capsys, 2, str(file), "--graph-replay", "on")
    assert "pytorch-rocm-like dispatches op by op" in error


def test_values_stay_on_chip_where_a_runtime_has_room_for_them_there(capsys: Capture) -> None:
    assert ran(capsys, "tenstorrent-like", "--residency", "on")["kept_bytes"] > 0
    assert ran(capsys, "tenstorrent-like")["kept_bytes"] == 0


def test_what_does_not_fit_is_priced_over_capacity_only(capsys: Capture) -> None:
    small = ("--set-device", "memory.dram.capacity_gib=0.0001")
    assert "fit" in refused(capsys, 3, "cuda-like", *small)
    assert ran(capsys, "cuda-like", *small, "--over-capacity")["over_capacity"]
    assert "over_capacity" not in ran(capsys, "cuda-like", "--over-capacity")


def test_limits_hold_beside_a_stack(capsys: Capture, tmp_path: Path) -> None:
    model = tmp_path / "mlp.onnx"
    assert main(["export", "mlp", "-o", str(model)]) == 0
    capsys.readouterr()
    flags = ("--no-values", "--stack", "cuda-like", "--limits", "nodes=2")
    assert main(["run", str(model), *flags]) == 2
    assert "nodes" in capsys.readouterr().err


def test_a_compiler_that_makes_graphs_has_them_replayed_where_driver_and_chip_can() -> None:
    known = load_catalogue()
    jax = {
        **known.stacks["cuda-like"],
        "front_end": (known.parts["front_end"]["jax-like"],),
        "compiler": (known.parts["compiler"]["xla-gpu-like"],),
    }
    laboratory = Laboratory(known, Source(to_graph(build("mlp", {}), {})))
    assert laboratory.try_(jax).failure is None
    (program,) = (s.program for found in laboratory.programs.values() for s in found)
    assert [type(c) for c in program.commands].count(Replay) == 1
    assert laboratory.stack(jax, laboratory.chip(jax)).compiler.graph_replay == "on"
    older = tuple(replace(d, exports=_oldest(d)) for d in jax["driver"])
    eager = {**jax, "front_end": (known.parts["front_end"]["pytorch-cuda-like"],)}
    for choice in ({**jax, "driver": older}, eager, known.stacks["cuda-like"]):
        chip = laboratory.chip(choice)
        assert laboratory.stack(choice, chip).compiler.graph_replay == "off"
    tpu = laboratory.chip(known.stacks["jax-tpu-like"])
    assert laboratory.stack(jax, tpu).compiler.graph_replay == "off"


def _oldest(driver: Part) -> tuple[Offer, ...]:
    """The exports of a driver in their first version, which has no graphs."""
    return tuple(Offer(o.interface, o.least, o.least) for o in driver.exports)


def test_a_flag_decides_over_the_compiler(capsys: Capture, tmp_path: Path) -> None:
    slots = {
        **{slot: [p.name for p in b] for slot, b in load_catalogue().stacks["cuda-like"].items()},
        "front_end": ["jax-like"],
        "compiler": ["xla-gpu-like"],
    }
    file = str(written(tmp_path, slots))
    on, off = ran(capsys, file), ran(capsys, file, "--graph-replay", "off")
    assert (said(on, GRAPHS), said(off, GRAPHS)) == ("on", "off")
    assert on["latency_ps"] < off["latency_ps"]

"""What ``emu ops`` prints: the class of every op of ONNX on each device."""

import json as json_text
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from emu.devices.datasheet import device_names
from emu.dump import Tick
from emu.ir.errors import UnknownName
from emu.progress import progress
from emu.studies.node_tests import CLASSES, OpClass, chosen, counts, node_tests, op_class
from emu.table import table

Classes = Mapping[str, Sequence[OpClass]]  # by device


def show(ops: Sequence[str], devices: str, why: bool, as_json: bool) -> None:
    """Run the node tests of some ops (all, if none is named), and print who computes each op.

    ``why`` adds a line for each test that a device does not run by itself.
    """
    found = classes(ops, _devices(devices))
    if as_json:
        print(json_text.dumps(classes_json(found)))
        return
    print("\n".join(lines(found)))
    if why:
        print("\n".join(("", *reasons(found))))


def _devices(text: str) -> tuple[str, ...]:
    """The devices of a list with commas; raises UnknownName for one that emu does not have."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if unknown := next((name for name in names if name not in device_names()), None):
        raise UnknownName("device", unknown, device_names())
    return names


def classes(ops: Sequence[str], devices: Sequence[str]) -> Classes:
    """The classes of ops on devices; raises UnknownName for an op without node tests."""
    tests = node_tests()
    wanted = tuple(chosen(tests, ops))
    with progress("node tests", len(devices) * len(wanted)) as tick:
        return {d: [_ticked(tick, op_class(op, tests[op], d)) for op in wanted] for d in devices}


def _ticked(tick: Tick, found: OpClass) -> OpClass:
    tick()
    return found


def classes_json(found: Classes) -> dict[str, Any]:
    """Schema emu.ops/1."""
    return {
        "schema": "emu.ops/1",
        "devices": {
            device: [{"op": c.op, "class": c.kind, "tests": _tests_json(c)} for c in ops]
            for device, ops in found.items()
        },
    }


def _tests_json(found: OpClass) -> list[dict[str, str]]:
    return [{"name": v.test, "class": v.kind, "why": v.why} for v in found.verdicts]


def lines(found: Classes) -> Iterator[str]:
    """A row for each op, then how many ops of each class there are."""
    rows = [
        (of_devices[0].op, str(len(of_devices[0].verdicts)), *map(cell, of_devices))
        for of_devices in zip(*found.values(), strict=True)
    ]
    yield from table(("op", "tests", *found), rows)
    yield ""
    yield from summary(found)


def cell(each: OpClass) -> str:
    """The class, and how many tests the device ran by itself where that is not all of them."""
    alone = each.on_device
    return each.kind if each.is_on_device or not alone else f"{each.kind}, {alone} alone"


def summary(found: Classes) -> Iterator[str]:
    """How many ops of each class there are on each device."""
    alone = {device: sum(c.is_on_device for c in ops) for device, ops in found.items()}
    rows = [("all tests without the host", *map(str, alone.values()))]
    sums = [counts(ops) for ops in found.values()]
    rows += [(kind, *(str(each[kind]) for each in sums)) for kind in CLASSES]
    yield from table(("ops by class", *found), rows)


def reasons(found: Classes) -> Iterator[str]:
    """A line for each test that a device does not run by itself."""
    for device, ops in found.items():
        for verdict in (v for each in ops for v in each.verdicts if v.why):
            why = verdict.why.removeprefix(f"{verdict.test}: ")
            yield f"{device}: {verdict.kind} {verdict.test}: {why}"

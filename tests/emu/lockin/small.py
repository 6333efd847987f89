"""A small catalogue of two made-up vendors, A and B, written as the files that users write."""

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

from emu.devices.driver.boot import digest
from tests.devices.signing import EXPONENT, MODULUS, PRIVATE

Table = dict[str, Any]
OPS = (
    "Add BatchNormalization Clip Concat Conv Div Erf Expand Flatten Gather Gemm GlobalAveragePool "
    "LayerNormalization MatMul MaxPool Mul Pow ReduceMean Relu Reshape Sigmoid Softmax Split Sqrt "
    "Sub Tanh Transpose Where"
).split()


def signature(version: str) -> str:
    return f"{pow(digest(version.encode()) % MODULUS, PRIVATE, MODULUS):x}"


def interface(kind: str, *versions: Mapping[str, Any], **facts: Any) -> Table:
    return {"kind": kind, "source": "test", "versions": [dict(v) for v in versions], "facts": facts}


def offer(name: str, least: int = 1, most: int = 1) -> Table:
    return {"interface": name, "min": least, "max": most}


def part(slot: str, imports: list[Table], exports: list[Table], **facts: Any) -> Table:
    return {
        "slot": slot,
        "product": "a product",
        "version": "1",
        "open": True,
        "source": "test",
        "imports": imports,
        "exports": exports,
        "facts": {key: {"value": value, "source": "test"} for key, value in facts.items()},
    }


def front_end(imports: list[Table], exports: list[Table], **facts: Any) -> Table:
    said = {
        "mode": "graph",
        "dynamic": True,
        "on_break": "raise",
        "on_missing": "host",
        "dispatch_us": 5.0,
    }
    return part("front_end", imports, exports, **{**said, **facts})


DIALECTS = ("dialect-a", "dialect-b")


def compiler(imports: list[Table], exports: list[Table], **facts: Any) -> Table:
    said = {
        "parsers": {o["interface"]: o["max"] for o in imports if o["interface"] in DIALECTS},
        "passes": ["infer-types", "fold-constants", "canonicalise", "fold-batch-norm"],
        "scope": "vertical",
        "decider": "post-dominator",
        "trials": 0,
        "static": False,
        "on_missing": "codegen",
        "recompile_us": 0,
        "replays": False,
    }
    return part("compiler", imports, exports, **{**said, **facts})


def kernels(imports: list[Table], exports: list[Table], **facts: Any) -> Table:
    said = {"depth": "deep", "dtypes": ["fp32"], "layouts": ["nchw"]}
    return part("kernels", imports, exports, **{**said, **facts})


def driver(imports: list[Table], exports: list[Table], **facts: Any) -> Table:
    said = {
        "format_min": 1,
        "format_max": 2,
        "chip_ids": ["chip-a"],
        "exact_isa": False,
        "firmware_version": "1.0",
        "firmware_signature": signature("1.0"),
        "closed": [],
        "figures": ["busy", "power"],
    }
    return part("driver", imports, exports, **{**said, **facts})


SEVENTHS = {
    "slices": 8,
    "most": 7,
    "profiles": [
        {"name": "1s", "cores": 1, "of": 7, "slices": 1, "starts": [0, 1, 2, 3, 4, 5, 6]},
        {"name": "7s", "cores": 7, "of": 7, "slices": 8, "starts": [0]},
    ],
}


def device(exports: list[Table], **facts: Any) -> Table:
    said = {
        "datasheet": "gpu",
        "chip_id": "chip-a",
        "rom_modulus": f"{MODULUS:x}",
        "rom_exponent": EXPONENT,
        "firmware_version": "1.0",
        "layouts": ["nchw"],
        "placement_kind": "table",
        "placement": SEVENTHS,
    }
    return part("device", [], exports, **{**said, **facts})


NHWC = {"data": "nhwc", "weight": "ohwi"}
TILED = {"data": "..rc8r128c", "weight": "..rc8r128c"}
INTERFACES: dict[str, Table] = {
    "nchw": interface(
        "layout",
        {
            "images": {"data": "nchw", "weight": "oihw"},
            "rows": {"data": "..rc", "weight": "..rc"},
        },
    ),
    "nhwc": interface("layout", {"images": NHWC}),
    "t8x128": interface("layout", {"rows": TILED}),
    "dialect-a": interface(
        "dialect", {op: f"a.{op}" for op in OPS[:-2]}, {op: op for op in OPS[-2:]}
    ),
    "dialect-b": interface("dialect", {op: f"b.{op}" for op in OPS}),
    "ops-a": interface("kernels", {op: f"k_{op}" for op in OPS}),
    "ops-b": interface("kernels", {op: f"k_{op}" for op in OPS if op != "Erf"}),
    "calls-a": interface("functions", {"a_open": "open", "a_run": "launch"}, {"a_pool": "pool"}),
    "calls-b": interface("functions", {"b_open": "open", "b_run": "launch"}),
    "manage-a": interface("management", {"partition": "a_cut", "measure": "a_read"}),
    "manage-b": interface("management", {"measure": "b_read"}),
    "isa-a": interface("isa", {"Load": 33, "Store": 34}, {}, word_bytes=4, major=1),
    "isa-b": interface("isa", {"Load": 50, "Compute": 51}, word_bytes=8, major=1),
    "portable-a": interface("portable", {"1": "bodies"}, {"2": "bodies"}, word_bytes=1),
}
PARTS: dict[str, Table] = {
    "eager-a": front_end([offer("ops-a")], [], mode="eager"),
    "graph-a": front_end([], [offer("dialect-a", 1, 2)], on_break="fallback"),
    "whole-b": front_end([], [offer("dialect-b")], mode="whole", dynamic=False),
    "compiler-a": compiler(
        [offer("dialect-a", 1, 2), offer("ops-a")],
        [offer("isa-a", 1, 2), offer("portable-a", 1, 2)],
    ),
    "compiler-b": compiler([offer("dialect-b"), offer("ops-b")], [offer("isa-b")], static=True),
    "kernels-a": kernels([offer("calls-a")], [offer("ops-a"), offer("isa-a", 1, 2)]),
    "kernels-b": kernels([offer("calls-b")], [offer("ops-b"), offer("isa-b")], depth="basic"),
    "driver-a": driver(
        [offer("isa-a", 1, 2), offer("portable-a", 1, 2)],
        [offer("calls-a", 1, 2), offer("manage-a")],
    ),
    "driver-b": driver(
        [offer("isa-b")],
        [offer("calls-b"), offer("manage-b")],
        chip_ids=["chip-b"],
        figures=["busy"],
    ),
    "chip-a": device([offer("isa-a", 1, 2)]),
    "chip-b": device(
        [offer("isa-b")],
        datasheet="systolic",
        chip_id="chip-b",
        placement_kind="none",
        placement={},
    ),
    "anything": part("orchestrator", [], [], intents=[]),
    "sevenths": part(
        "orchestrator", [offer("manage-a")], [], intents=["partition 1/7"] * 7 + ["figure busy"]
    ),
    "watcher": part("orchestrator", [offer("manage-b")], [], intents=["figure busy"]),
}
STACKS: dict[str, Table] = {
    "stack-a": {
        "about": "vendor A",
        "slots": {
            "front_end": ["graph-a"],
            "compiler": ["compiler-a"],
            "kernels": ["kernels-a"],
            "driver": ["driver-a"],
            "device": ["chip-a"],
            "orchestrator": ["sevenths"],
        },
    },
    "stack-b": {
        "about": "vendor B",
        "slots": {
            "front_end": ["whole-b"],
            "compiler": ["compiler-b"],
            "kernels": ["kernels-b"],
            "driver": ["driver-b"],
            "device": ["chip-b"],
            "orchestrator": ["watcher"],
        },
    },
}


def write(
    folder: Path,
    interfaces: Mapping[str, Table] = INTERFACES,
    parts: Mapping[str, Table] = PARTS,
    stacks: Mapping[str, Table] = STACKS,
) -> Path:
    """Write a catalogue; JSON of tables of texts and numbers is nearly TOML."""
    for name, table in interfaces.items():
        write_file(folder / "interfaces" / f"{name}.toml", {"name": name, **table})
    for name, table in parts.items():
        write_file(folder / table["slot"] / f"{name}.toml", {"name": name, **table})
    for name, table in stacks.items():
        write_file(folder / "stacks" / f"{name}.toml", {"name": name, **table})
    return folder


def changed(tables: Mapping[str, Table], name: str, **changes: Any) -> dict[str, Table]:
    """The tables with some entries of one changed; facts by their name."""
    copy = deepcopy(dict(tables))
    for key, value in changes.items():
        if key in copy[name].get("facts", {}):
            copy[name]["facts"][key] = {"value": value, "source": "test"}
        else:
            copy[name][key] = value
    return copy


def write_file(path: Path, table: Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(f"{key} = {toml(value)}" for key, value in table.items()))


def toml(value: Any) -> str:
    if isinstance(value, dict):
        table = cast("Table", value)
        inner = ", ".join(f"{json.dumps(str(k))} = {toml(v)}" for k, v in table.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(toml(v) for v in cast('list[Any]', value))}]"
    return json.dumps(value)

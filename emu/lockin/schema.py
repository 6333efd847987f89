"""The facts that a part of each slot must state, and what their values can be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

from emu.ir.fusion import SCOPES
from emu.ir.passes import PASSES
from emu.ir.precision import DTYPES
from emu.kernels.libraries import LIBRARIES

Check = Callable[[Any], bool]


@dataclass(frozen=True)
class Rule:
    """What a value must be, in words for messages, and as a predicate."""

    wants: str
    holds: Check


def _one_of(*names: str) -> Rule:
    return Rule(f"one of {', '.join(names)}", lambda value: value in names)


def _some_of(*names: str) -> Rule:
    def holds(value: Any) -> bool:
        return isinstance(value, list) and all(v in names for v in cast("list[object]", value))

    return Rule(f"a list of {', '.join(names)}", holds)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in cast("list[object]", value))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9


def _is_hex(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and set(value) <= set("0123456789abcdef")


TRUTH = Rule("true or false", lambda value: isinstance(value, bool))
TEXT = Rule("a text", lambda value: isinstance(value, str) and bool(value.strip()))
TEXTS = Rule("a list of texts", _is_texts)
COUNT = Rule("a whole number, 0 or more", _is_count)
TIME = Rule("a time in microseconds, 0 or more", _is_time)
HEX = Rule("a hexadecimal number in lower case", _is_hex)
TABLE = Rule("a table", lambda value: isinstance(value, dict))

FACTS: Mapping[str, Mapping[str, Rule]] = MappingProxyType(
    {
        "front_end": {
            "mode": _one_of("eager", "graph", "whole"),
            "dynamic": TRUTH,
            "on_break": _one_of("fallback", "raise"),
            "on_missing": _one_of("host", "raise"),
            "dispatch_us": TIME,
        },
        "compiler": {
            "passes": _some_of(*PASSES),
            "scope": _one_of(*SCOPES),
            "decider": TEXT,
            "trials": COUNT,
            "static": TRUTH,
            "on_missing": _one_of("codegen", "composition", "host", "raise"),
            "recompile_us": TIME,
        },
        "kernels": {
            "depth": _one_of(*LIBRARIES),
            "dtypes": _some_of(*DTYPES),
            "layouts": TEXTS,
        },
        "driver": {
            "format_min": COUNT,
            "format_max": COUNT,
            "chip_ids": TEXTS,
            "exact_isa": TRUTH,
            "firmware_version": TEXT,
            "firmware_signature": HEX,
            "closed": TEXTS,
            "figures": TEXTS,
        },
        "device": {
            "datasheet": TEXT,
            "chip_id": TEXT,
            "rom_modulus": HEX,
            "rom_exponent": COUNT,
            "firmware_version": TEXT,
            "layouts": TEXTS,
            "placement_kind": _one_of("none", "table", "mode", "template"),
            "placement": TABLE,
        },
        "orchestrator": {
            "intents": TEXTS,
        },
    }
)

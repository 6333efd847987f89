"""The facts that a part of each slot must state, and what their values can be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

from emu.devices.driver.management import ROLES
from emu.ir.fusion import DECIDERS, SCOPES
from emu.ir.passes import PASSES
from emu.ir.precision import DTYPES
from emu.kernels.libraries import LIBRARIES

Check = Callable[[Any], bool]
PARTITION, FIGURE = "partition ", "figure "  # beginnings of intents; the rest are roles
MOST_SLICES = 1024  # of a chip, more than any has cores that can be cut apart
SIZES = ("cores", "of", "slices")  # of a partition
MOST_SHARE = 12  # digits of the two numbers of a share
MOST_DIGITS = 2048  # of a key of 8,192 bits
MOST_EXPONENT = 1 << 32


@dataclass(frozen=True)
class Rule:
    """What a value must be, in words for messages, and as a predicate."""

    wants: str
    holds: Check


def _one_of(*names: str) -> Rule:
    return Rule(f"one of {', '.join(names)}", lambda value: value in names)


def _some_of(*names: str, least: int = 0) -> Rule:
    def holds(value: Any) -> bool:
        listed = cast("list[object]", value) if isinstance(value, list) else [value]
        return isinstance(value, list) and len(listed) >= least and all(v in names for v in listed)

    return Rule(f"a list of {'at least one of ' * bool(least)}{', '.join(names)}", holds)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in cast("list[object]", value))


def _is_versions(value: Any) -> bool:
    """Whether a table gives at least one name a whole number each."""
    table = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    return bool(table) and all(map(_is_count, table.values()))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9


def _is_hex(value: Any) -> bool:
    digits = value if isinstance(value, str) and 0 < len(value) <= MOST_DIGITS else "no number"
    return set(digits) <= set("0123456789abcdef")


def _is_modulus(value: Any) -> bool:
    return _is_hex(value) and int(value, 16) > 0


def _is_exponent(value: Any) -> bool:
    return _is_count(value) and value < MOST_EXPONENT


def _is_policy(value: Any) -> bool:
    return _is_texts(value) and all(map(_is_intent, value))


def _is_intent(text: str) -> bool:
    if not text.startswith(PARTITION):
        return text in ROLES or bool(text.removeprefix(FIGURE) if text.startswith(FIGURE) else "")
    part, _, whole = text.removeprefix(PARTITION).partition("/")
    counts = part.isdecimal() and whole.isdecimal() and len(part + whole) <= MOST_SHARE
    return counts and 0 < int(part) <= int(whole)


def _is_cut(value: Any) -> bool:
    """Whether a table is empty, or cuts a chip into a few slices: by ``most`` profiles at once."""
    if not isinstance(value, dict) or value.keys() - {"slices", "most", "profiles"}:
        return False
    table = cast("dict[str, Any]", value)
    slices, profiles = table.get("slices", 1), table.get("profiles", [])
    if not all(_is_size(count) for count in (slices, table.get("most", 1))):
        return False
    return isinstance(profiles, list) and all(
        _is_profile(profile, slices) for profile in cast("list[object]", profiles)
    )


def _is_profile(value: Any, slices: int) -> bool:
    """Whether a table is a named share of the cores, and of the slices where it starts."""
    if not isinstance(value, dict) or value.keys() != {"name", "starts", *SIZES}:
        return False
    table = cast("dict[str, Any]", value)
    if not isinstance(table["name"], str) or not all(_is_size(table[key]) for key in SIZES):
        return False
    if table["cores"] > table["of"]:
        return False
    starts, last = table["starts"], slices - table["slices"]
    return isinstance(starts, list) and all(
        _is_count(start) and start <= last for start in cast("list[Any]", starts)
    )


def _is_size(value: Any) -> bool:
    return _is_count(value) and 0 < value <= MOST_SLICES


TRUTH = Rule("true or false", lambda value: isinstance(value, bool))
TEXT = Rule("a text", lambda value: isinstance(value, str) and bool(value.strip()))
TEXTS = Rule("a list of texts", _is_texts)
PARSERS = Rule("a table of dialects, each with the newest version that is read", _is_versions)
COUNT = Rule("a whole number, 0 or more", _is_count)
TIME = Rule("a time in microseconds, 0 or more", _is_time)
HEX = Rule(f"a hexadecimal number of up to {MOST_DIGITS:,} digits in lower case", _is_hex)
MODULUS = Rule(f"{HEX.wants}, not 0", _is_modulus)
EXPONENT = Rule(f"a whole number below {MOST_EXPONENT:,}", _is_exponent)
POLICY = Rule(
    f"a list of {PARTITION}N/M, {FIGURE}NAME, {', '.join(ROLES)}",
    _is_policy,
)
CUT = Rule(
    f"a table of slices, most (up to {MOST_SLICES}) and profiles, each with name, cores, of, "
    "slices and starts, within the chip",
    _is_cut,
)

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
            "parsers": PARSERS,
            "passes": _some_of(*PASSES),
            "scope": _one_of(*SCOPES),
            "decider": _one_of(*DECIDERS),
            "trials": COUNT,
            "static": TRUTH,
            "on_missing": _one_of("codegen", "host", "raise"),
            "recompile_us": TIME,
            "replays": TRUTH,
        },
        "kernels": {
            "depth": _one_of(*LIBRARIES),
            "dtypes": _some_of(*DTYPES, least=1),
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
            "rom_modulus": MODULUS,
            "rom_exponent": EXPONENT,
            "firmware_version": TEXT,
            "layouts": TEXTS,
            "placement_kind": _one_of("none", "table", "mode", "template"),
            "placement": CUT,
        },
        "orchestrator": {
            "intents": POLICY,
        },
    }
)

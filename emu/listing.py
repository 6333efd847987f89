"""What there is to choose from."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from emu import chips
from emu.devices.datasheet import device_names, load_datasheet
from emu.ir.errors import BadOption, UnknownName
from emu.ir.fusion import DECIDERS, SCOPE_SAYS
from emu.ir.passes import PASSES
from emu.ir.spellings import SPELLINGS
from emu.kernels.libraries import LIBRARIES
from emu.lockin.catalogue import load_catalogue
from emu.models.zoo import zoo_models


def devices() -> list[dict[str, Any]]:
    """Every datasheet."""
    sheets = [load_datasheet(name) for name in device_names()]
    return [{"name": s.name, "kind": s.kind, "about": s.about} for s in sheets]


def models() -> list[dict[str, Any]]:
    """Every model of the zoo, with its settings."""
    return [
        {"name": m.name, "settings": dict(m.settings), "about": m.description} for m in zoo_models()
    ]


def kernels() -> list[dict[str, Any]]:
    """Every kernel library, with its kernels."""
    return [
        {"name": library.name, "kernels": [k.name for k in library.kernels], "about": library.about}
        for library in LIBRARIES.values()
    ]


def scopes() -> list[dict[str, Any]]:
    """Every fusion scope."""
    return [{"name": name, "about": about} for name, about in SCOPE_SAYS.items()]


def deciders() -> list[dict[str, Any]]:
    """Every fusion decider."""
    return [{"name": name, "about": decider.about} for name, decider in DECIDERS.items()]


def spellings() -> list[dict[str, Any]]:
    """Every other way to write the same mathematics."""
    return [{"name": s.name, "about": s.about} for s in SPELLINGS.values()]


def passes() -> list[dict[str, Any]]:
    """Every graph pass."""
    return [{"name": name, "about": _first_line(run.__doc__)} for name, run in PASSES.items()]


def stacks() -> list[dict[str, Any]]:
    """Every stack of the catalogue."""
    return [{"name": name, "about": about} for name, about in load_catalogue().about.items()]


def slots() -> list[dict[str, Any]]:
    """Every slot of a stack, with what can stand in it."""
    return [
        {"name": slot, "parts": list(parts), "about": ", ".join(parts)}
        for slot, parts in load_catalogue().parts.items()
    ]


KINDS: Mapping[str, Callable[[], list[dict[str, Any]]]] = {
    "devices": devices,
    "models": models,
    "kernels": kernels,
    "scopes": scopes,
    "deciders": deciders,
    "spellings": spellings,
    "passes": passes,
    "stacks": stacks,
    "slots": slots,
}


def show(kind: str, as_json: bool, with_facts: bool = False) -> None:
    """Print one kind of thing; raises UnknownName if there is no such kind.

    With facts, which only devices have, else BadOption, those of every device.
    """
    if kind not in KINDS:
        raise UnknownName("kind", kind, KINDS)
    if with_facts:
        _facts(kind, as_json)
        return
    items = KINDS[kind]()
    if as_json:
        print(json.dumps({"schema": "emu.list/1", "kind": kind, "items": items}))
        return
    width = max(len(item["name"]) for item in items)
    for item in items:
        print(f"{item['name']:<{width}}  {item['about']}")
        if settings := item.get("settings"):
            print(" " * (width + 2) + " ".join(f"{k}={v}" for k, v in settings.items()))


def _facts(kind: str, as_json: bool) -> None:
    if kind != "devices":
        raise BadOption(f"--facts: goes with devices, not with {kind}")
    chips.facts(as_json)


def _first_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[0]

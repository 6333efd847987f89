"""The sizes of work items and of the fleet: a TOML file, each number sourced or assumed."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from emu.devices.fields import At
from emu.ir.errors import CatalogueError
from emu.lockin.parts import Fact
from emu.lockin.toml_file import toml_table

PRICES = Path(__file__).parent / "cost.toml"
KEYS = frozenset({"value", "source", "assumed", "why"})
LARGEST = 1e9


@dataclass(frozen=True)
class Prices:
    """Working days of one person, US dollars, and counts; see cost.toml for what each is."""

    port_days_per_node: Fact
    kernel_days: Fact
    adapter_days_per_entry: Fact
    requalify_one_side_days: Fact
    requalify_both_sides_days: Fact
    engineers: Fact
    engineer_usd_per_day: Fact
    working_days_per_year: Fact
    fleet_chips: Fact
    chip_usd_per_day: Fact
    horizon_days: Fact

    @property
    def facts(self) -> Mapping[str, Fact]:
        """Every number by its name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@lru_cache(maxsize=8)
def load_prices(path: Path = PRICES) -> Prices:
    """Read a file of prices; raises CatalogueError with file and key."""
    at = At(str(path), refusal=CatalogueError)
    table = toml_table(path, at)
    names = tuple(field.name for field in fields(Prices))
    if unknown := next((key for key in table if key not in names), None):
        raise at.to(unknown).error(f"is no price; known: {', '.join(names)}")
    if missing := next((name for name in names if name not in table), None):
        raise at.to(missing).error("is missing")
    return Prices(**{name: _price(table[name], at.to(name)) for name in names})


def _price(said: object, at: At) -> Fact:
    table = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
    if unknown := next((key for key in table if key not in KEYS), None):
        raise at.to(unknown).error("is none of value, source, assumed, why")
    value, source = table.get("value"), table.get("source", "")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < LARGEST:
        raise at.error("needs a value: a number above 0")
    if not isinstance(source, str) or bool(source) == (table.get("assumed") is True):
        raise at.error("needs a source, or assumed = true where no public fact exists, not both")
    return Fact(float(value), source, str(table.get("why", "")))

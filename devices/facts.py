"""Single facts of a datasheet by a key with dots: what if the chip had another figure there?"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias, cast

from emu.devices.fields import At, near
from emu.ir.errors import BadOption

Fact: TypeAlias = float | str
Changes: TypeAlias = tuple[tuple[str, Fact], ...]
Table: TypeAlias = Mapping[str, object]


def parse_fact(text: str) -> Fact:
    """Return the figure that a text is, or the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def parse_changes(texts: Iterable[str]) -> Changes:
    """Return the changes that texts KEY=VALUE stand for; raises BadOption for another form."""
    return tuple(_change(text) for text in texts)


def _change(text: str) -> tuple[str, Fact]:
    key, equals, figure = text.partition("=")
    if not (key and equals and figure):
        raise BadOption(f"--set-device {text}: must be KEY=VALUE, like compute.clock_mhz=1200")
    return key, parse_fact(figure)


def with_facts(table: Table, changes: Changes, at: At) -> Table:
    """Return the table of a datasheet with other figures for keys like ``memory.dram.latency_ns``.

    A unit goes by its name: ``compute.units.matrix.rows``. Raises DatasheetError for a key that the
    classes of a datasheet cannot have in that place.
    """
    for key, fact in changes:
        table = _replaced(table, key.split("."), fact, at, at.to(key))
    return table


def _replaced(table: Table, keys: list[str], fact: Fact, at: At, whole: At) -> Table:
    first, *rest = keys
    if not rest:
        return {**table, first: fact}
    inner = table.get(first)
    if isinstance(inner, list):
        units = cast("list[dict[str, object]]", inner)
        return {**table, first: _in_unit(units, rest, fact, at.to(first), whole)}
    if not isinstance(inner, dict):
        raise whole.error(f"no block '{first}'{near(first, _blocks(table))}")
    return {
        **table,
        first: _replaced(cast("Table", inner), rest, fact, at.to(first), whole),
    }


def _in_unit(
    units: list[dict[str, object]], keys: list[str], fact: Fact, at: At, whole: At
) -> list[Table]:
    name, *rest = keys
    names = [str(unit.get("name")) for unit in units]
    if name not in names or not rest:
        raise whole.error(f"no unit '{name}'{near(name, names)}")
    return [
        _replaced(unit, rest, fact, at.to(name), whole) if known == name else unit
        for unit, known in zip(units, names, strict=True)
    ]


def _blocks(table: Table) -> list[str]:
    return [key for key, value in table.items() if isinstance(value, dict | list)]


def figures(table: Table, prefix: str = "") -> Iterator[tuple[str, Fact]]:
    """Every figure of a datasheet's table with its key; names, kinds and texts are none."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from figures(cast("Table", value), f"{prefix}{key}.")
        elif isinstance(value, list) and key == "units":
            for unit in cast("list[dict[str, object]]", value):
                yield from figures(unit, f"{prefix}{key}.{unit.get('name')}.")
        elif isinstance(value, int | float):
            yield prefix + key, value

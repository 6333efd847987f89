"""The shipped catalogue under other names: outcomes follow from what parts do, not from names."""

import tomllib
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from emu.lockin.catalogue import FOLDER, load_catalogue
from emu.lockin.outcome import Bench, Outcome
from emu.lockin.parts import SLOTS, Bundle, Catalogue
from emu.lockin.source import Source
from emu.lockin.trial import Laboratory
from emu.models.reader import to_graph
from emu.models.zoo import build
from tests.emu.lockin.small import Table, write

Rename = Callable[[str], str]
SWAPPED = "rocm-like"  # the stack whose whole matrix is compared; contracts are for all stacks


def prefixed(name: str) -> str:
    """Another name in the same order."""
    return f"z-{name}"


def reversed_(name: str) -> str:
    """Another name, and another order of all of them."""
    return name[::-1]


def tables(folder: str) -> Iterator[Table]:
    for path in sorted((FOLDER / folder).glob("*.toml")):
        yield tomllib.loads(path.read_text())


def offers(table: Table, key: str, new: Rename) -> list[Table]:
    return [{**o, "interface": new(o["interface"])} for o in table.get(key, [])]


def facts(said: Table, new: Rename) -> Table:
    """The facts, of which layouts and parsers name interfaces."""
    found = dict(said)
    if "layouts" in said:
        named = [new(name) for name in said["layouts"]["value"]]
        found["layouts"] = {**said["layouts"], "value": named}
    if "parsers" in said:
        read = {new(name): version for name, version in said["parsers"]["value"].items()}
        found["parsers"] = {**said["parsers"], "value": read}
    return found


def part(table: Table, new: Rename) -> Table:
    return {
        **table,
        "facts": facts(table["facts"], new),
        "imports": offers(table, "imports", new),
        "exports": offers(table, "exports", new),
    }


def stack(table: Table, new: Rename) -> Table:
    slots: dict[str, list[str]] = table["slots"]
    return {**table, "slots": {slot: [new(n) for n in names] for slot, names in slots.items()}}


def named(found: Iterator[Table], new: Rename) -> dict[str, Table]:
    """Tables by their new name, without the name that they have inside."""
    return {new(t["name"]): {k: v for k, v in t.items() if k != "name"} for t in found}


def renamed(folder: Path, new: Rename) -> Catalogue:
    """The shipped catalogue with all parts, interfaces and stacks called otherwise."""
    parts = (part(table, new) for slot in SLOTS for table in tables(slot))
    stacks = (stack(table, new) for table in tables("stacks"))
    files = named(tables("interfaces"), new), named(parts, new), named(stacks, new)
    return load_catalogue(write(folder, *files))


def laboratory(known: Catalogue) -> Laboratory:
    return Laboratory(known, Source(to_graph(build("mlp", {}), {})))


def key(slot: str, bundle: Bundle, new: Rename) -> tuple[str, tuple[str, ...]]:
    return slot, tuple(new(p.name) for p in bundle)


def swaps(known: Catalogue, stack: str) -> Iterator[dict[str, Bundle]]:
    base = known.stacks[stack]
    return ({s: b} for s in SLOTS for b in known.options(s) if b != base[s])


def refusals(tried: Laboratory, new: Rename) -> dict[Any, tuple[str, str, str] | None]:
    """Contract, stage and error of each single swap in each stack, by new names."""
    said: dict[Any, tuple[str, str, str] | None] = {}
    for name, base in tried.catalogue.stacks.items():
        for replaced in swaps(tried.catalogue, name):
            failed = tried.refusal({**base, **replaced})
            ((slot, bundle),) = replaced.items()
            said[new(name), key(slot, bundle, new)] = failed and (
                failed.contract,
                failed.stage,
                failed.name,
            )
    return said


def classes(tried: Laboratory, stack: str, new: Rename) -> dict[Any, tuple[Any, ...]]:
    """What the outcome of each swap in one stack says besides names."""
    bench = Bench(tried, tried.catalogue.stacks[stack])
    found = ((replaced, bench.swap(replaced)) for replaced in swaps(tried.catalogue, stack))
    return {
        key(slot, bundle, new): shape(outcome)
        for replaced, outcome in found
        for slot, bundle in replaced.items()
    }


def shape(outcome: Outcome) -> tuple[Any, ...]:
    further = outcome.apart
    return outcome.label, outcome.ratio, sorted(outcome.blocking), further


@lru_cache(maxsize=1)
def shipped() -> Laboratory:
    return laboratory(load_catalogue())


@pytest.mark.parametrize("new", [prefixed, reversed_])
def test_a_consistent_renaming_changes_no_outcome(tmp_path: Path, new: Rename) -> None:
    other = laboratory(renamed(tmp_path, new))
    same = str  # the renamed catalogue has the new names already
    assert refusals(shipped(), new) == refusals(other, same)
    assert classes(shipped(), SWAPPED, new) == classes(other, new(SWAPPED), same)


def test_a_renaming_changes_every_name_and_the_order(tmp_path: Path) -> None:
    known, other = load_catalogue(), renamed(tmp_path, reversed_)
    assert not set(known.interfaces) & set(other.interfaces)
    assert not set(known.stacks) & set(other.stacks)
    for slot in SLOTS:
        assert len(known.parts[slot]) == len(other.parts[slot])
        assert [reversed_(n) for n in known.parts[slot]] != list(other.parts[slot])

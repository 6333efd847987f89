"""The catalogue: parts, interfaces and stacks, one TOML file each, read strictly."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias, cast

from emu.devices.fields import At, read
from emu.ir.errors import CatalogueError
from emu.lockin.cycles import cycle, functions_of, inseparable, told
from emu.lockin.layouts import KIND as LAYOUT
from emu.lockin.parts import (
    INTERFACES,
    SLOTS,
    Catalogue,
    Choice,
    Fact,
    Interface,
    Offer,
    Part,
    misfit,
)
from emu.lockin.schema import FACTS
from emu.lockin.sheets import SHEETS, sheets, with_sheet
from emu.lockin.tables import DIALECT, check_table
from emu.lockin.toml_file import toml_table

FOLDER = Path(__file__).parent.parent / "catalogue"
Stamp: TypeAlias = tuple[str, int, int]


@dataclass(frozen=True)
class _Offered:
    interface: str
    min: int
    max: int


@dataclass(frozen=True)
class _PartFile:
    name: str
    slot: str
    product: str
    version: str
    open: bool
    source: str
    facts: dict[str, Any]
    rows: tuple[str, ...] = ()
    imports: tuple[_Offered, ...] = ()
    exports: tuple[_Offered, ...] = ()


@dataclass(frozen=True)
class _InterfaceFile:
    name: str
    kind: str
    source: str
    versions: tuple[dict[str, Any], ...]
    rows: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class _StackFile:
    name: str
    about: str
    slots: dict[str, Any]


@lru_cache(maxsize=8)
def load_catalogue(folder: Path = FOLDER) -> Catalogue:
    """Read every file below ``folder``; raise CatalogueError, with file and key, for a bad one."""
    return _read_all((folder,), _below((folder,), "stacks"))


def load_with(owns: Sequence[Path], folder: Path = FOLDER) -> Catalogue:
    """The catalogue with stack files of the user's own.

    Parts and interfaces in folders beside each, named as those of the catalogue are, are read too,
    and ``datasheets``.
    Whatever was changed since is read again. Raises CatalogueError with file and key.
    """
    for own in owns:
        if not own.is_file():
            raise CatalogueError(f"{own}: file: there is no such file")
    shipped = (folder / "stacks").resolve()
    outside = tuple(own for own in dict.fromkeys(owns) if own.resolve().parent != shipped)
    if not outside:
        return load_catalogue(folder)
    parents = tuple(dict.fromkeys(own.parent for own in outside))
    beside = [path for name in ("interfaces", SHEETS, *SLOTS) for path in _below(parents, name)]
    return _read_with(outside, parents, folder, tuple(map(_stamp, (*outside, *beside))))


@lru_cache(maxsize=8)
def _read_with(
    owns: tuple[Path, ...], parents: tuple[Path, ...], folder: Path, stamps: tuple[Stamp, ...]
) -> Catalogue:
    del stamps  # part of the key only
    return _read_all((folder, *parents), (*_below((folder,), "stacks"), *owns))


def _stamp(path: Path) -> Stamp:
    """What tells the contents of a file from those that it had."""
    status = path.stat()
    return str(path), status.st_mtime_ns, status.st_size


def _read_all(folders: tuple[Path, ...], stacks: Iterable[Path]) -> Catalogue:
    """The parts and interfaces of some folders, and some stacks of them.

    Datasheets are those of emu, and of all folders but the first.
    """
    files = _files(_below(folders, "interfaces"))
    interfaces = {i.name: i for i in (_interface(at, table) for at, table in files)}
    parts = {slot: _slot(_below(folders, slot), slot, interfaces) for slot in SLOTS}
    known = sheets(_below(folders[1:], SHEETS))
    parts["device"] = {name: with_sheet(part, known) for name, part in parts["device"].items()}
    every = [part for slot in parts.values() for part in slot.values()]
    _check_names(every)
    _check_cycles(every, interfaces)
    found = [_stack(at, table, parts, interfaces) for at, table in _files(stacks)]
    about = {name: said for name, said, _ in found}
    return Catalogue(parts, interfaces, {name: choice for name, _, choice in found}, about)


def _below(folders: Iterable[Path], name: str) -> tuple[Path, ...]:
    """The files of a kind, in the order of the folders, then by name."""
    return tuple(path for folder in folders for path in sorted((folder / name).glob("*.toml")))


def _files(paths: Iterable[Path]) -> Iterable[tuple[At, dict[str, Any]]]:
    """The table of each file; raises CatalogueError if two of them have one name."""
    seen: dict[str, Path] = {}
    for path in paths:
        at = At(str(path), refusal=CatalogueError)
        if path.stem in seen:
            raise at.to("name").error(f"'{path.stem}' is the name of {seen[path.stem]} too")
        seen[path.stem] = path
        yield at, _toml(path, at)


def _toml(path: Path, at: At) -> dict[str, Any]:
    table = toml_table(path, at)
    if table.get("name") != path.stem:
        raise at.to("name").error(f"must be the name of the file, '{path.stem}'")
    return table


def _interface(at: At, table: dict[str, Any]) -> Interface:
    """An interface; each of its versions adds entries to the one before."""
    found = read(_InterfaceFile, table, at)
    if found.kind not in INTERFACES:
        raise at.to("kind").error(f"'{found.kind}' is none of {', '.join(INTERFACES)}")
    entries: dict[str, Any] = {}
    since: dict[str, int] = {}
    for number, added in enumerate(found.versions, 1):
        for name, said in added.items():
            if name in since:
                raise at.to("versions").error(f"'{name}' is added twice")
            entries[name], since[name] = said, number
    check_table(found.kind, found.name, entries, found.facts, at)
    newest = len(found.versions)
    path = Path(at.file)
    return Interface(found.name, found.kind, found.rows, newest, entries, since, found.facts, path)


def _slot(paths: Iterable[Path], slot: str, interfaces: Mapping[str, Interface]) -> dict[str, Part]:
    return {p.name: p for p in (_part(at, t, slot, interfaces) for at, t in _files(paths))}


def _check_names(parts: Iterable[Part]) -> None:
    """Raise CatalogueError if two files of different slots have one name."""
    seen: dict[str, Path] = {}
    for part in parts:
        if part.name in seen:
            at = At(str(part.path), refusal=CatalogueError).to("name")
            raise at.error(f"'{part.name}' is the name of {seen[part.name]} too")
        seen[part.name] = part.path


def _check_cycles(parts: Iterable[Part], interfaces: Mapping[str, Interface]) -> None:
    """Raise CatalogueError for parts that nothing but each other can open."""
    way = inseparable(parts, interfaces)
    if way:
        at = At(str(way[0].importer.path), refusal=CatalogueError).to("imports")
        files = ", ".join(str(meeting.importer.path) for meeting in way[1:])
        raise at.error(f"parts open only each other: {told(way)} (see {files} too)")


def _check_bundle(choice: Choice, interfaces: Mapping[str, Interface], at: At) -> None:
    """Raise CatalogueError for drivers of a stack that open each other."""
    way = cycle(choice["driver"], functions_of(interfaces))
    if way:
        raise at.to("slots.driver").error(f"parts open each other: {told(way)}")


def _part(at: At, table: dict[str, Any], slot: str, interfaces: Mapping[str, Interface]) -> Part:
    found = read(_PartFile, table, at)
    if found.slot != slot:
        raise at.to("slot").error(f"is '{found.slot}', but the file lies in {slot}")
    return Part(
        found.name,
        found.slot,
        found.rows,
        found.product,
        found.version,
        found.open,
        _offers(found.imports, at.to("imports"), interfaces),
        _offers(found.exports, at.to("exports"), interfaces),
        _checked(_facts(found.facts, slot, at.to("facts")), interfaces, at.to("facts")),
        Path(at.file),
    )


def _offers(
    found: tuple[_Offered, ...], at: At, interfaces: Mapping[str, Interface]
) -> tuple[Offer, ...]:
    for offered in found:
        if offered.interface not in interfaces:
            raise at.error(f"'{offered.interface}' is no interface; {_known(interfaces)}")
        newest = interfaces[offered.interface].newest
        if not 1 <= offered.min <= offered.max <= newest:
            span = f"{offered.min} to {offered.max}"
            raise at.error(f"'{offered.interface}' has versions 1 to {newest}, not {span}")
    return tuple(Offer(o.interface, o.min, o.max) for o in found)


def _known(names: Iterable[str]) -> str:
    return f"known: {', '.join(sorted(names))}"


def _facts(table: dict[str, Any], slot: str, at: At) -> dict[str, Fact]:
    rules = FACTS[slot]
    if unknown := next((key for key in table if key not in rules), None):
        raise at.to(unknown).error(f"is no fact of this slot; {_known(rules)}")
    if missing := next((key for key in rules if key not in table), None):
        raise at.to(missing).error("is missing")
    return {key: _fact(table[key], slot, key, at.to(key)) for key in rules}


def _checked(
    facts: dict[str, Fact], interfaces: Mapping[str, Interface], at: At
) -> dict[str, Fact]:
    """The facts, if the layouts and dialects that they name are interfaces."""
    if "layouts" in facts:
        _check_layouts(facts["layouts"].value, interfaces, at.to("layouts"))
    if "parsers" in facts:
        _check_parsers(facts["parsers"].value, interfaces, at.to("parsers"))
    return facts


def _check_layouts(named: list[str], interfaces: Mapping[str, Interface], at: At) -> None:
    known = [name for name, i in interfaces.items() if i.kind == LAYOUT]
    if unknown := next((name for name in named if name not in known), None):
        raise at.error(f"'{unknown}' is no layout; {_known(known)}")


def _check_parsers(named: dict[str, int], interfaces: Mapping[str, Interface], at: At) -> None:
    known = [name for name, i in interfaces.items() if i.kind == DIALECT]
    for name, version in named.items():
        if name not in known:
            raise at.error(f"'{name}' is no dialect; {_known(known)}")
        newest = interfaces[name].newest
        if not 1 <= version <= newest:
            raise at.to(name).error(f"has versions 1 to {newest}, not {version}")


def _fact(said: Any, slot: str, key: str, at: At) -> Fact:
    if not isinstance(said, dict) or "value" not in said:
        raise at.error("must be a table with a value, and a source or assumed = true")
    table = cast("dict[str, Any]", said)
    if unknown := next((k for k in table if k not in ("value", "source", "assumed", "why")), None):
        raise at.to(unknown).error("is none of value, source, assumed, why")
    rule = FACTS[slot][key]
    if not rule.holds(table["value"]):
        raise at.error(f"must be {rule.wants}, not {table['value']!r}")
    source, assumed = table.get("source", ""), table.get("assumed", False)
    if bool(source) == (assumed is True) or not isinstance(source, str):
        raise at.error("needs a source, or assumed = true where no public fact exists, not both")
    return Fact(table["value"], source, str(table.get("why", "")))


def _stack(
    at: At,
    table: dict[str, Any],
    parts: Mapping[str, Mapping[str, Part]],
    interfaces: Mapping[str, Interface],
) -> tuple[str, str, Choice]:
    found = read(_StackFile, table, at)
    slots = at.to("slots")
    if unknown := next((slot for slot in found.slots if slot not in SLOTS), None):
        raise slots.to(unknown).error(f"is no slot; {_known(SLOTS)}")
    chosen = {slot: _bundle(found.slots.get(slot), parts, slot, slots.to(slot)) for slot in SLOTS}
    _check_bundle(chosen, interfaces, at)
    return found.name, found.about, chosen


def _bundle(
    names: object, parts: Mapping[str, Mapping[str, Part]], slot: str, at: At
) -> tuple[Part, ...]:
    if not isinstance(names, list) or not names:
        raise at.error("must be a list of at least one part")
    bundle = tuple(_find(name, parts[slot], at) for name in cast("list[object]", names))
    if wrong := misfit(slot, bundle):
        raise at.error(wrong)
    return bundle


def _find(name: object, parts: Mapping[str, Part], at: At) -> Part:
    if not isinstance(name, str) or name not in parts:
        raise at.error(f"'{name}' is not in the catalogue; {_known(parts)}")
    return parts[name]

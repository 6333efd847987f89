"""Cycles in what parts need of each other: each is opened by another one, and none by the chip."""

from collections.abc import Iterable, Mapping

from emu.lockin.parts import Interface, Meeting, Part, meetings


def cycle(parts: tuple[Part, ...], names: frozenset[str]) -> tuple[Meeting, ...]:
    """The first way from a part over what it imports back to itself; empty if there is none.

    ``names`` are the interfaces through which parts open each other.
    """
    for part in parts:
        found = _back_to(part, (), parts, names)
        if found:
            return found
    return ()


def _back_to(
    part: Part, way: tuple[Meeting, ...], parts: tuple[Part, ...], names: frozenset[str]
) -> tuple[Meeting, ...]:
    """The end of a way from its first meeting with ``part``, once it comes there again."""
    met = [meeting.importer for meeting in way]
    if part in met:
        return way[met.index(part) :]
    others = tuple(other for other in parts if other is not part)
    for meeting in meetings(others, (part,), names):
        found = _back_to(meeting.exporter, (*way, meeting), parts, names)
        if found:
            return found
    return ()


def inseparable(parts: Iterable[Part], interfaces: Mapping[str, Interface]) -> tuple[Meeting, ...]:
    """A cycle of parts that nothing but each other can open; empty if there is none.

    A part is opened if it imports no functions, or some of a part that is opened itself.
    """
    names = functions_of(interfaces)
    everyone = tuple(parts)
    closed = tuple(p for p in everyone if any(o.interface in names for o in p.imports))
    opened = tuple(p for p in everyone if p not in closed)
    while opened:
        opened = tuple(p for p in closed if meetings(opened, (p,), names))
        closed = tuple(p for p in closed if p not in opened)
    return cycle(closed, names)


def functions_of(interfaces: Mapping[str, Interface]) -> frozenset[str]:
    """Names of the interfaces by which parts open each other."""
    return frozenset(name for name, i in interfaces.items() if i.kind == "functions")


def told(way: tuple[Meeting, ...]) -> str:
    """A cycle in words."""
    needs = (f"{m.importer.name} needs {m.interface} of {m.exporter.name}" for m in way)
    return ", ".join(needs)

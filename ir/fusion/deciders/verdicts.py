"""Decisions about moves that were made or not, and about the borders that stay between groups."""

from collections.abc import Iterator, Mapping

from emu.ir.fusion.grouping import Grouping
from emu.ir.fusion.reasons import why
from emu.ir.fusion.space import Move, Space
from emu.ir.group import Decision

# Refusals for a fold over whole dimensions, wherever in the reader's group it stands.
FOLDING = frozenset({"anchor-into-reduction", "injective-into-reduction", "whole-image"})


def decision(
    space: Space,
    move: Move,
    ok: bool,
    text: str,
    numbers: Mapping[str, int] | None = None,
    code: str = "",
) -> Decision:
    """The decision on a move, with its bytes and what else counted."""
    known = {**move.numbers, **(numbers or {})}
    return Decision(ok, code or move.code, text, space.structure.ids(move.nodes), known)


def borders(space: Space, scope: str, grouping: Grouping) -> Iterator[Decision]:
    """Why each group that others read was not merged with the first of them by the rules."""
    for group in sorted(grouping.members):
        readers = sorted(grouping.readers(group))
        code = _border_code(space, scope, grouping, (group, *readers)) if readers else ""
        if code:
            yield _border(space, grouping, group, readers[0], code)


def _border_code(space: Space, scope: str, grouping: Grouping, groups: tuple[int, ...]) -> str:
    code = space.legal(scope, grouping.union(groups[:2]))
    if code and grouping.ends(groups[0]):
        return "model-output"
    return "two-readers" if code and len(groups) > 2 else code


def _border(space: Space, grouping: Grouping, group: int, reader: int, code: str) -> Decision:
    made, read = space.structure.readers, set(grouping.members[reader])
    node = next(n for n in reversed(grouping.members[group]) if not read.isdisjoint(made[n]))
    goal = min(read.intersection(made[node]))
    told = goal
    if code in FOLDING:
        told = max(grouping.members[reader], key=lambda i: space.structure.classes[i])
    text = why(code, space.structure.op(node), space.structure.op(told))
    numbers = grouping.saved((group, reader))
    return Decision(False, code, text, space.structure.ids((node, goal)), numbers)

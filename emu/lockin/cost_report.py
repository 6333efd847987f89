"""What leaving a stack costs, for people and as JSON (emu.cost/1)."""

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any

from emu.lockin.cost import ITEMS, Leaving, Moved, Types, subsets
from emu.lockin.disarm import TYPES
from emu.lockin.parts import SLOTS, title
from emu.lockin.prices import Prices
from emu.table import COLUMNS, short, table

EVERY = frozenset(TYPES)


def cost_text(stack: str, model: str, found: Sequence[Leaving], prices: Prices) -> Iterator[str]:
    """A table of all moves in thousands of US dollars, and how the types of lock-in interact."""
    yield f"leaving {stack} on {model}, in thousands of US dollars"
    yield ""
    rows = [(short(f.chip.name, 18), *_usd(f.held)) for f in found]
    yield from table(("to", *ITEMS), rows)
    for one in found:
        yield ""
        yield from _interactions(one)
    yield ""
    yield "what the numbers are made of"
    for name, fact in prices.facts.items():
        said = f"assumed: {fact.why}" if fact.assumed else fact.source
        yield f"  {name:<24}{fact.value:>7,g}  {said}"[:COLUMNS]


def _usd(moved: Moved) -> list[str]:
    return [f"{moved.usd[item] / 1e3:,.0f}" for item in ITEMS]


def _interactions(one: Leaving) -> Iterator[str]:
    """The signed terms, each with the item that made most of it."""
    where = f"{one.chip.name}, in {one.held.ratio:.2f} times the time at equal peaks"
    yield from wrap(f"to {where}: what types of lock-in add, alone and beyond parts", COLUMNS)
    yield ""
    types = [types for types in subsets(EVERY) if types]
    rows = [(_initials(t), *_signed(one, t), _made_by(one, t)) for t in types]
    yield from table(("types", *ITEMS, "source"), rows)


def _signed(one: Leaving, types: Types) -> list[str]:
    return [f"{one.interaction(types, item) / 1e3:+,.0f}" for item in ITEMS]


def _made_by(one: Leaving, types: Types) -> str:
    largest = max(ITEMS, key=lambda item: abs(one.interaction(types, item)))
    return largest if round(abs(one.interaction(types, largest))) else "-"


def _initials(types: Types) -> str:
    return "".join(name[0].upper() for name in TYPES if name in types)


def cost_json(stack: str, model: str, found: Sequence[Leaving], prices: Prices) -> dict[str, Any]:
    """All moves with all sets of types armed, their interactions, and every number that went in."""
    return {
        "schema": "emu.cost/1",
        "stack": stack,
        "model": model,
        "prices": {
            name: {"value": f.value, "source": f.source or None, "why": f.why or None}
            for name, f in prices.facts.items()
        },
        "moves": [_leaving_json(one) for one in found],
    }


def _leaving_json(one: Leaving) -> dict[str, Any]:
    return {
        "to": one.chip.name,
        "armed": [{"types": _names(a), **_moved_json(m)} for a, m in one.moves.items()],
        "interactions": [
            {"types": _names(t), "source": _made_by(one, t)}
            | {"usd": {item: one.interaction(t, item) for item in ITEMS}}
            for t in subsets(EVERY)
            if t
        ],
    }


def _names(types: Types) -> list[str]:
    return [name for name in TYPES if name in types]


def _moved_json(moved: Moved) -> dict[str, Any]:
    return {
        "usd": dict(moved.usd),
        "total_usd": moved.total,
        "ratio": moved.ratio,
        "bought": _names(moved.bought),
        "witness": {slot: title(moved.choice[slot]) for slot in SLOTS},
    }

"""The deciders: who chooses the groups that a scope allows. One file each.

The default of a scope is the simplest decider that real compilers of that scope have.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from emu.ir.errors import BadOption, UnknownName
from emu.ir.fusion.deciders.first_match import first_match
from emu.ir.fusion.deciders.greedy import greedy
from emu.ir.fusion.deciders.post_dominator import post_dominator
from emu.ir.fusion.deciders.priority import priority
from emu.ir.fusion.deciders.search import search
from emu.ir.fusion.pricing import NoDevice, Pricing
from emu.ir.fusion.scopes import SCOPES, scopes_within
from emu.ir.fusion.space import Space
from emu.ir.graph import Graph
from emu.ir.group import Fused

Decide: TypeAlias = Callable[[Space, str, Pricing], Fused]
EVERY_SCOPE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Decider:
    """Who chooses groups. ``unfit`` says of a scope why this decider cannot serve it.

    From ``asks`` on, its choice depends on the device; scopes before it are structure alone.
    """

    about: str
    choose: Decide
    unfit: Mapping[str, str] = field(default_factory=lambda: EVERY_SCOPE)
    asks: str = "global"


RULES_ONLY = MappingProxyType(
    {
        "pattern": "its rules are about post-dominators, and patterns are a table",
        "global": "which regions pay is a matter of the device, not of a rule",
    }
)
DECIDERS: Mapping[str, Decider] = MappingProxyType(
    {
        "first-match": Decider("whatever is legal, in the order in which it is met", first_match),
        "post-dominator": Decider(
            "by rule: up to the post-dominator, then siblings", post_dominator, RULES_ONLY
        ),
        "priority": Decider(
            "the largest gain on the device's clock first", priority, asks="pattern"
        ),
        "greedy": Decider("the most bytes saved first, without a clock", greedy),
        "search": Decider(
            "the cheapest whole run that a budget of tries finds", search, asks="none"
        ),
    }
)
DEFAULT_DECIDER: Mapping[str, str] = MappingProxyType(
    {
        "none": "first-match",
        "pattern": "first-match",
        "vertical": "post-dominator",
        "horizontal": "priority",
        "global": "priority",
    }
)


def refusal(scope: str, decider: str) -> str:
    """Why ``decider`` cannot serve ``scope``; "" if it can. Raises UnknownName for either."""
    scopes_within(scope)
    if decider not in DECIDERS:
        raise UnknownName("decider", decider, DECIDERS)
    return DECIDERS[decider].unfit.get(scope, "")


def decider_of(scope: str, decider: str | None = None) -> str:
    """The name of the decider for a scope, None for the scope's default.

    Raises UnknownName for a scope or decider that does not exist, and BadOption for a pair that
    does not go together.
    """
    scopes_within(scope)
    name = decider or DEFAULT_DECIDER[scope]
    if why := refusal(scope, name):
        fitting = ", ".join(n for n, d in DECIDERS.items() if scope not in d.unfit)
        raise BadOption(f"decider '{name}' cannot serve scope '{scope}': {why}; try {fitting}")
    return name


def decide(
    graph: Graph, scope: str, decider: str | None = None, pricing: Pricing | None = None
) -> Fused:
    """Return the groups that ``decider`` makes of ``graph``, None for the scope's default.

    Raises what ``decider_of`` does, BadOption where a device has to be asked and there is no
    ``pricing``, and UnsupportedOp for an op without a rule.
    """
    choose = DECIDERS[decider_of(scope, decider)].choose
    return choose(Space(graph), scope, pricing or NoDevice())


def asks_device(scope: str, decider: str) -> bool:
    """Whether the groups depend on the device, and not on the graph alone."""
    return SCOPES.index(scope) >= SCOPES.index(DECIDERS[decider].asks)

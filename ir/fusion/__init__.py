"""Fusion: which nodes form one group, by scope and decider, with a Decision for every merge."""

from emu.ir.fusion.deciders import (
    DECIDERS,
    DEFAULT_DECIDER,
    asks_device,
    decide,
    decider_of,
    refusal,
)
from emu.ir.fusion.pricing import Pricing, Quote
from emu.ir.fusion.scopes import SCOPE_SAYS, SCOPES

__all__ = [
    "DECIDERS",
    "DEFAULT_DECIDER",
    "SCOPES",
    "SCOPE_SAYS",
    "Pricing",
    "Quote",
    "asks_device",
    "decide",
    "decider_of",
    "refusal",
]

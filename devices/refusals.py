"""Ops, or attributes of ops, that a device refuses although its kind could run them."""

from dataclasses import dataclass

from emu.ir.graph import Attr, Attrs


@dataclass(frozen=True, slots=True)
class Refusal:
    """An op that the device never runs, and why."""

    op: str
    why: str


@dataclass(frozen=True, slots=True)
class Limit:
    """An attribute of an op that may be ``at_most`` this (each number of a tuple), and why."""

    op: str
    attr: str
    at_most: int
    why: str

    def admits(self, attrs: Attrs) -> bool:
        """Whether a node with these attributes stays within the limit."""
        return all(number <= self.at_most for number in _numbers(attrs.get(self.attr, 0)))


@dataclass(frozen=True, slots=True)
class Ops:
    """What the device cannot run although its kind could."""

    unsupported: tuple[Refusal, ...] = ()
    limits: tuple[Limit, ...] = ()
    source: str = "no op is refused"

    def refusal(self, op: str, attrs: Attrs) -> str | None:
        """Return why the device refuses a node of this op, or None if it runs it."""
        for refused in self.unsupported:
            if refused.op == op:
                return refused.why
        for limit in self.limits:
            if limit.op == op and not limit.admits(attrs):
                return f"{limit.attr} = {attrs[limit.attr]} is over {limit.at_most}: {limit.why}"
        return None


NOTHING_REFUSED = Ops()


def _numbers(value: Attr) -> tuple[float, ...]:
    if isinstance(value, tuple):
        return value
    return () if isinstance(value, str) else (value,)

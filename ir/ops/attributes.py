"""Attributes and inputs as the rules read them: typed, with defaults, refused in one line."""

from emu.ir.errors import ModelError
from emu.ir.graph import Attrs
from emu.ir.ops.table import Types
from emu.ir.types import TensorType


def take(types: Types, least: int, most: int = 0) -> tuple[TensorType, ...]:
    """Return the first ``least`` input types; raise ModelError if one is absent or too many are."""
    most = max(least, most)
    first = tuple(t for t in types[:least] if t is not None)
    if len(first) < least or len(types) > most:
        wanted = f"{least}" if most == least else f"{least} to {most}"
        raise ModelError(f"takes {wanted} inputs, not {len(types)}")
    return first


def optional(types: Types, index: int) -> TensorType | None:
    """Return the type of input ``index``, None if it is absent."""
    return types[index] if index < len(types) else None


def integer(attrs: Attrs, name: str, default: int) -> int:
    """Return an integer attribute; raise ModelError if it is something else."""
    value = attrs.get(name, default)
    if not isinstance(value, int):
        raise ModelError(f"attribute '{name}' must be an integer, not {value!r}")
    return value


def number(attrs: Attrs, name: str, default: float) -> float:
    """Return a number; raise ModelError if the attribute is something else."""
    value = attrs.get(name, default)
    if not isinstance(value, int | float):
        raise ModelError(f"attribute '{name}' must be a number, not {value!r}")
    return float(value)


def integers(attrs: Attrs, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
    """Return a list of integers; raise ModelError if the attribute is something else."""
    value = attrs.get(name, default)
    if not isinstance(value, tuple):
        raise ModelError(f"attribute '{name}' must be a list of integers, not {value!r}")
    return tuple(int(v) for v in value)


def numbers(attrs: Attrs, name: str) -> tuple[float, ...]:
    """Return a list of numbers; raise ModelError if the attribute is absent or something else."""
    value = attrs.get(name)
    if not isinstance(value, tuple):
        raise ModelError(f"attribute '{name}' must be a list of numbers, not {value!r}")
    return tuple(float(v) for v in value)


def text(attrs: Attrs, name: str, default: str, known: tuple[str, ...]) -> str:
    """Return a string attribute; raise ModelError unless it is one of ``known``."""
    value = attrs.get(name, default)
    if not isinstance(value, str) or value not in known:
        raise ModelError(f"attribute '{name}' must be one of {', '.join(known)}, not {value!r}")
    return value


def position(axis: int, rank: int) -> int:
    """Return ``axis`` counted from the front; raise ModelError if a rank has no such axis."""
    if not -rank <= axis < rank:
        raise ModelError(f"axis {axis} is outside of rank {rank}")
    return axis % rank


def positions(axes: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """Return ``axes`` counted from the front; raise ModelError if one repeats or is outside."""
    found = tuple(position(axis, rank) for axis in axes)
    if len(set(found)) != len(found):
        raise ModelError(f"axes {axes} name one dimension twice")
    return found

"""The one table of ops: each entry declares its type rule, meaning, fusion class and work."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import wraps
from typing import Any, TypeAlias

import numpy as np

from emu.ir.errors import UnsupportedOp
from emu.ir.graph import Attrs
from emu.ir.types import NAMES, NUMPY, Array, TensorType, is_narrow, narrowed

Types: TypeAlias = Sequence[TensorType | None]
TypeRule: TypeAlias = Callable[[Types, Attrs], tuple[TensorType, ...]]
Meaning: TypeAlias = Callable[..., Any]


class Fusion(IntEnum):
    """How far a node fuses; the class of a group is the largest in it."""

    ELEMENTWISE = 0  # out[i] depends on in[i] of inputs of one shape
    BROADCAST = 1  # the same, with inputs repeated along some dimensions
    INJECTIVE = 2  # each output element is one input element, elsewhere: reshape, transpose, slice
    REDUCTION = 3  # folds whole dimensions
    ANCHOR = 4  # matmul, conv: multiply-accumulate with reuse
    OPAQUE = 5  # never fuses


@dataclass(frozen=True, slots=True)
class Work:
    """True operations of one node: simple ones (a multiply-add is 2), and exp, erf, tanh, ...

    ``divisions`` are those of the simple ones that divide.
    """

    flops: int = 0
    transcendentals: int = 0
    divisions: int = 0

    def __add__(self, other: "Work") -> "Work":
        return Work(
            self.flops + other.flops,
            self.transcendentals + other.transcendentals,
            self.divisions + other.divisions,
        )

    def __mul__(self, times: int) -> "Work":
        return Work(self.flops * times, self.transcendentals * times, self.divisions * times)


WorkRule: TypeAlias = Callable[[Types, Sequence[TensorType], Attrs], Work]


@dataclass(frozen=True, slots=True)
class Op:
    """One operation. ``run`` takes the input arrays (None if absent) and attributes by name."""

    name: str
    fusion: Fusion
    infer: TypeRule
    run: Meaning
    work: WorkRule


OPS: dict[str, Op] = {}
# Ops whose meaning is another element type; they round by themselves.
CONVERSIONS = ("Cast", "Identity", "QuantizeLinear", "DequantizeLinear")


def op(name: str, fusion: Fusion, infer: TypeRule, work: WorkRule) -> Callable[[Meaning], Meaning]:
    """Enter the decorated function into the table as the meaning of op ``name``.

    What computes on narrow real numbers does so in f32, and its result is rounded to the element
    type of its first real operand, or to ``out_dtype`` where that attribute is given.
    """

    def enter(run: Meaning) -> Meaning:
        if name in OPS:
            raise ValueError(f"op {name} is declared twice")
        computes = fusion not in (Fusion.INJECTIVE, Fusion.OPAQUE) and name not in CONVERSIONS
        whole = rounding(run) if computes else run
        OPS[name] = Op(name, fusion, infer, _without_warnings(whole), work)
        return run

    return enter


def rounding(run: Meaning) -> Meaning:
    """Return ``run`` for operands of any real type: computed in f32, rounded once at the end."""

    @wraps(run)
    def rounded(*arrays: Any, **attrs: Any) -> Any:
        dtype = result_dtype(arrays, attrs)
        if dtype is None:
            return run(*arrays, **attrs)
        attrs.pop("out_dtype", None)
        found = run(*(widened(a) for a in arrays), **attrs)
        return found if found.dtype == np.bool_ else narrowed(found, dtype)

    return rounded


def result_dtype(arrays: Sequence[Array | None], attrs: Attrs) -> str | None:
    """Return the element type that a result is rounded to; None where nothing is narrow."""
    reals = [a for a in arrays if a is not None and (is_narrow(a) or a.dtype.kind == "f")]
    if "out_dtype" in attrs:
        return str(attrs["out_dtype"])
    return NAMES[reals[0].dtype] if any(map(is_narrow, reals)) else None


def widened(array: Array | None) -> Array | None:
    """Return ``array`` in the element type in which units compute with it."""
    return array.astype(NUMPY["f32"]) if array is not None and is_narrow(array) else array


def _without_warnings(run: Meaning) -> Meaning:
    """Infinities and NaNs are results, as they are on a device, and no reason to warn."""

    @wraps(run)
    def quiet(*arrays: Any, **attrs: Any) -> Any:
        with np.errstate(all="ignore"):
            return run(*arrays, **attrs)

    return quiet


def find_op(name: str, where: str) -> Op:
    """Return the entry of ``name``; raise UnsupportedOp that says ``where`` it was met."""
    if name not in OPS:
        raise UnsupportedOp(f"{where}: op '{name}' is not supported")
    return OPS[name]

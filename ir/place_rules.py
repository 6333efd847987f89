"""Tile rules of ops about places along an axis: whole there, cut into tiles everywhere else.

What they read lies on chip as a whole along the axis, so indices mean on a tile what they mean on
the tensor, and more is loaded than is taken.
"""

from collections.abc import Mapping
from types import MappingProxyType

from emu.ir.tile import WHOLE, Axes, Axis
from emu.ir.tile_rule import Case, Rule, TileRule, each, without


def _extreme(case: Case) -> TileRule:
    """ArgMax and ArgMin: the axis is 1 in the output, or is not there."""
    rank = len(case.shape(0))
    axis = case.integer("axis", 0) % rank
    kept = case.integer("keepdims", 1)
    axes = (WHOLE if d == axis else Axis(d - (d > axis and not kept)) for d in range(rank))
    return case.rule(tuple(axes))


def _running(case: Case) -> TileRule:
    axis = case.integer("axis", 0) % case.rank
    return case.rule(each(case.rank), whole=frozenset((axis,)))


def _top(case: Case) -> TileRule:
    axis = case.integer("axis", -1) % case.rank
    return case.rule(without(each(case.rank), axis), whole=frozenset((axis,)))


def _taken(case: Case) -> TileRule:
    """GatherElements: the data are whole along the axis, and where the indices are fewer."""
    axis = case.integer("axis", 0) % case.rank
    fewer = _fewer(case)
    uncut = without(each(case.rank), axis, *fewer)
    return case.rule(uncut, each(case.rank), whole=frozenset(fewer))


def _fewer(case: Case) -> tuple[int, ...]:
    """Dimensions in which the indices have other sizes than the data."""
    sizes = zip(case.shape(0), case.shape(1), strict=True)
    return tuple(d for d, (data, indices) in enumerate(sizes) if data != indices)


def _put(case: Case) -> TileRule:
    """ScatterElements: all is whole along the axis, and where the indices are fewer."""
    axis = case.integer("axis", 0) % case.rank
    uncut = {axis, *_fewer(case)}
    axes = without(each(case.rank), *uncut)
    return case.rule(axes, axes, axes, whole=frozenset(uncut))


def _taken_slices(case: Case) -> TileRule:
    """GatherND: data [batch, named, rest], indices [batch, ..., depth]."""
    batch, rows, depth = case.integer("batch_dims", 0), len(case.shape(1)) - 1, case.shape(1)[-1]
    rest = len(case.shape(0)) - batch - depth
    data = (*each(batch), *(WHOLE,) * depth, *_behind(rows, rest))
    return case.rule(data, (*each(rows), WHOLE))


def _put_slices(case: Case) -> TileRule:
    """ScatterND: data [named, rest]; only what indices do not name is cut."""
    rows, depth = len(case.shape(1)) - 1, case.shape(1)[-1]
    rest = _behind(depth, case.rank - depth)
    uncut = (WHOLE,) * depth
    updates = (*(WHOLE,) * rows, *rest)
    indices = (WHOLE,) * (rows + 1)
    return case.rule((*uncut, *rest), indices, updates, whole=frozenset(range(depth)))


def _behind(first: int, count: int) -> Axes:
    """``count`` dimensions that follow those of the output from ``first`` on."""
    return tuple(Axis(first + d) for d in range(count))


def _reversed(case: Case) -> TileRule:
    batch, time = (case.integer(f"{name}_axis", 0) % case.rank for name in ("batch", "time"))
    return case.rule(each(case.rank), (Axis(batch),), whole=frozenset((time,)))


PLACE_RULES: Mapping[str, Rule] = MappingProxyType(
    {
        **dict.fromkeys(("ArgMax", "ArgMin"), _extreme),
        **dict.fromkeys(("CumSum", "CumProd"), _running),
        "TopPlaces": _top,
        "GatherElements": _taken,
        "ScatterElements": _put,
        "GatherND": _taken_slices,
        "ScatterND": _put_slices,
        "ReverseSequence": _reversed,
    }
)

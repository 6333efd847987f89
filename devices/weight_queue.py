"""Weights that come to a systolic array through a queue, tile by tile, ahead of their buffer.

A product starts when its first tile is there. Its folds then follow each other as fast as tiles
come and the array takes them, so fold i starts at the later of two times: the start of the first
fold and all folds between, or the arrival of its own tile. Both grow evenly, so the first and the
last fold decide when the product is done. Products that read the same weights again find them in
their buffer.
"""

from collections.abc import Iterator
from fractions import Fraction

from emu.devices.course import Part
from emu.devices.recorder import Held, Kind, Preload
from emu.devices.slices import Slice
from emu.devices.terms import Event
from emu.devices.tile_cost import TileCost
from emu.ir.tile import Compute


def queued_buffers(cost: TileCost) -> frozenset[int]:
    """Buffers that are loaded from device memory for the array, as weights, and for nothing else.

    There are none on a chip without such a queue, or where a named model prices the whole array.
    """
    if cost.rates.sheet.weight_fifo is None or not cost.native:
        return frozenset()
    readers = {
        (operand.buffer, position == 1 and cost.unit(placed.statement) is not None)
        for placed in cost.program.statements
        if isinstance(placed.statement, Compute)
        for position, operand in enumerate(placed.statement.ins)
        if operand is not None
    }
    weights = {buffer for buffer, weighs in readers if weighs and (buffer, False) not in readers}
    views = cost.program.views
    return frozenset(b for b in weights if not views[cost.program.buffers[b].value].kept)


def queue_parts(cost: TileCost, part: Part, busy: Event) -> tuple[Event, Event]:
    """Of a load through the queue, ``busy``: its first tile, and what the queue has no room for."""
    fifo, unit = cost.rates.sheet.weight_fifo, cost.rates.sheet.unit("matrix")
    assert fifo is not None
    assert unit is not None
    assert isinstance(part.shape, Slice)
    moved = cost.moved_view(cost.program.statements[part.number].statement)
    size = part.shape.bytes // cost.program.views[moved].type.itemsize
    tile = min(Fraction((unit.rows or 1) * (unit.columns or 1), max(1, size)), Fraction(1))
    over = max(Fraction(), 1 - fifo.tiles * tile)
    return cost.part(busy, tile), cost.part(busy, over)


def streams(
    load: Kind, preload: Preload, start_ps: int, fed_ps: int, done_ps: int
) -> Iterator[Held]:
    """Every fold of a product whose first starts at a time, and its shift, but for the first.

    Its last weights are in the queue at ``fed_ps``, those before them each as long before.
    """
    folds, shift, stream = preload.folds, preload.shift, preload.last
    starts = [
        max(
            start_ps + preload.lead_ps * fold // max(1, folds - 1),
            fed_ps + shift.busy_ps - load.busy_ps * (folds - 1 - fold) // folds,
        )
        for fold in range(folds)
    ]
    for fold, (start, after) in enumerate(zip(starts, (*starts[1:], done_ps), strict=True)):
        if fold:
            yield Held(shift.resource, start - shift.busy_ps, start, {shift: 1})
        yield Held(stream.resource, start, min(start + stream.busy_ps, after), {stream: 1})

"""What the first core executes of a tile program: runs of equal iterations, with their shapes.

No rate of a chip counts here, so all chips that price an equal program share its course.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import count as numbers
from itertools import groupby
from math import prod
from typing import TypeAlias

from emu.devices.slices import Slice
from emu.devices.tile_shapes import Shape, Tile, moved_view, shape_in, stream, whole_tile
from emu.ir.count import count
from emu.ir.ops import Work
from emu.ir.regions import Interval, Run, runs, trips
from emu.ir.tile import Compute, Fill, Nest, Step, TileProgram


@dataclass(frozen=True, slots=True)
class Part:
    """Executions of statement ``number`` that are alike in ``shape``.

    ``first`` is the first tile of all, if it stands alone.
    """

    number: int
    shape: Shape
    first: bool = False


@dataclass(frozen=True, slots=True)
class Repeat:
    """``count`` iterations of a loop that do the same: parts, by their places, and inner loops."""

    loop: int
    body: "tuple[int | Repeat, ...]"
    count: int


@dataclass(frozen=True, slots=True)
class Branch:
    """A loop and its body, with statements as numbers."""

    loop: int
    body: "tuple[int | Branch, ...]"


Items: TypeAlias = tuple[int | Repeat, ...]
Frames: TypeAlias = dict[int, Interval]


class _Walk:
    """Follows the first iteration of each parallel loop, and all of the others."""

    def __init__(self, program: TileProgram, first_alone: bool) -> None:
        self.program = program
        self.first_alone = first_alone
        self.places: dict[Part, int] = {}
        self.known: dict[tuple[int, tuple[Interval, ...]], int] = {}

    def follow(self, body: tuple[int | Branch, ...], frame: Frames) -> Items:
        """What is executed of a body in ``frame``."""
        found: list[int | Repeat] = []
        for step in body:
            if isinstance(step, Branch):
                found += self.repeats(step, frame)
            else:
                found.append(self.place(step, frame))
        return tuple(found)

    def repeats(self, branch: Branch, frame: Frames) -> Iterator[Repeat]:
        """The iterations of a loop; neighbouring runs of equal shapes are one."""
        made = (
            Repeat(loop, self.follow(branch.body, {**frame, loop: run.interval}), run.count)
            for loop in (branch.loop,)
            for run in self.runs(loop, frame)
        )
        for (loop, body), alike in groupby(made, lambda one: (one.loop, one.body)):
            yield Repeat(loop, body, sum(one.count for one in alike))

    def runs(self, loop: int, frame: Frames) -> tuple[Run, ...]:
        """The runs of a loop on the first core."""
        found = runs(self.program, loop, frame, self.first_alone)
        return (Run(found[0].interval, 1),) if self.program.loops[loop].parallel else found

    def place(self, number: int, frame: Frames) -> int:
        """The place of what statement ``number`` does in ``frame``."""
        placed = self.program.statements[number]
        key = number, tuple([frame[loop] for loop in placed.loops])
        if key not in self.known:
            first = self.first_alone and not any(start for start, _ in frame.values())
            part = Part(number, shape_in(self.program, placed.statement, frame), first)
            self.known[key] = self.places.setdefault(part, len(self.places))
        return self.known[key]


class Course:
    """One program on the first core; ``first_alone`` keeps the first iteration of loops apart."""

    def __init__(self, program: TileProgram, first_alone: bool = False) -> None:
        """Nothing is worked out before it is asked for."""
        self.program = program
        self.first_alone = first_alone
        self.streams: dict[tuple[int, int, int], int] = {}
        self.repeated: dict[int, Fraction] = {}

    @cached_property
    def walked(self) -> tuple[Items, tuple[Part, ...]]:
        """What is executed in which order, and the parts that it consists of."""
        walk = _Walk(self.program, self.first_alone)
        items = walk.follow(_numbered(self.program.steps, numbers()), {})
        return items, tuple(walk.places)

    @property
    def items(self) -> Items:
        """What is executed, in order: parts by their places."""
        return self.walked[0]

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts that are executed."""
        return self.walked[1]

    @cached_property
    def times(self) -> tuple[int, ...]:
        """How often each part is executed."""
        times = [0] * len(self.parts)
        pending: list[tuple[Items, int]] = [(self.items, 1)]
        while pending:
            items, each = pending.pop()
            for item in items:
                if isinstance(item, Repeat):
                    pending.append((item.body, each * item.count))
                else:
                    times[item] += each
        return tuple(times)

    @cached_property
    def active(self) -> int:
        """How many cores have tiles: the iterations of all parallel loops."""
        return prod(trips(loop, {}) for loop in self.program.loops if loop.parallel)

    @cached_property
    def inside(self) -> tuple[frozenset[int], ...]:
        """By loop, the statements that it repeats."""
        statements = list(enumerate(self.program.statements))
        return tuple(
            frozenset(number for number, placed in statements if loop in placed.loops)
            for loop in range(len(self.program.loops))
        )

    @cached_property
    def charged(self) -> tuple[tuple[int, int], ...]:
        """By statement, the view that it moves bytes of and its node, each -1 for none."""
        statements = (placed.statement for placed in self.program.statements)
        return tuple(
            (moved_view(self.program, s), -1 if isinstance(s, Fill) else s.node) for s in statements
        )

    @cached_property
    def wholes(self) -> dict[int, Tile]:
        """By statement, what it would compute if nothing were cut."""
        return {
            number: whole_tile(self.program, placed.statement)
            for number, placed in enumerate(self.program.statements)
            if isinstance(placed.statement, Compute)
        }

    @cached_property
    def memory_bytes(self) -> int:
        """Bytes of device memory that all active cores move, each as many as the first."""
        moved = sum(
            part.shape.bytes * times
            for part, times in zip(self.parts, self.times, strict=True)
            if isinstance(part.shape, Slice) and not self.keeps(part.number)
        )
        return moved * self.active

    def keeps(self, number: int) -> bool:
        """Whether what a statement moves stays on chip."""
        view, _ = self.charged[number]
        return view >= 0 and self.program.views[view].kept

    def tiles(self, number: int) -> Iterator[tuple[Tile, int]]:
        """What statement ``number`` computes, and how often."""
        for part, times in zip(self.parts, self.times, strict=True):
            if part.number == number and isinstance(part.shape, Tile):
                yield part.shape, times

    def executed(self, number: int) -> Work:
        """The work of all executions of statement ``number`` on all cores."""
        return count(self.program).computed[number][0]

    def moved_again(self, view: int) -> Fraction:
        """The share of the bytes of a view that are moved a second time."""
        if view not in self.repeated:
            counts = count(self.program)
            if view in counts.stored:
                moved, once = counts.stored[view], self.program.views[view].type.bytes
            else:
                moved, once = counts.loaded[view], counts.unique[view]
            self.repeated[view] = 1 - Fraction(min(once, moved), moved)
        return self.repeated[view]

    def alike(self, number: int, buffer: int) -> int:
        """How many cores move the same slice with a buffer: those of loops that it follows not."""
        axes = self.program.buffers[buffer].axes
        followed = {n for axis in axes for n in self.program.lineage(axis.of)}
        return prod(
            trips(self.program.loops[n], {})
            for n in self.program.statements[number].loops
            if self.program.loops[n].parallel and n not in followed
        )

    def streamed(self, number: int, rows: int, columns: int) -> int:
        """Rows that the products of a statement stream through an array of that shape in all."""
        key = number, rows, columns
        if key not in self.streams:
            self.streams[key] = sum(
                times * stream(tile.product, rows, columns) for tile, times in self.tiles(number)
            )
        return self.streams[key]


@lru_cache(maxsize=8192)
def course_of(program: TileProgram, first_alone: bool = False) -> Course:
    """Return the course of a program; equal programs share it."""
    return Course(program, first_alone)


def _numbered(steps: tuple[Step, ...], number: Iterator[int]) -> tuple[int | Branch, ...]:
    return tuple(
        Branch(step.loop, _numbered(step.body, number)) if isinstance(step, Nest) else next(number)
        for step in steps
    )

"""Tile programs: what a kernel does on the device, as data that is priced and can be executed.

A program is a tree of loops whose bodies load slices into buffers, compute on them and store them.
It speaks of group-local numbers only, so equal programs hash, and each is built and priced once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from emu.ir.body import FrozenAttrs
from emu.ir.types import TensorType


@dataclass(frozen=True, slots=True)
class Axis:
    """How one dimension of a slice follows a loop (or, for an operand, an output dimension).

    The image of [a, b) of ``of`` is [a*stride + offset, (b-1)*stride + offset + window), divided by
    ``divide`` (what a reshape or an upsampling shrinks; all that is touched belongs to it). ``of``
    None means the whole dimension. With window 1 and stride > 1 only every stride-th element is
    taken, otherwise the image is contiguous. Images compose, so halos of halos are images too.
    """

    of: int | None = None
    stride: int = 1
    offset: int = 0
    window: int = 1
    divide: int = 1

    def image(self, start: int, stop: int) -> tuple[int, int]:
        """The image of [start, stop) as a half-open interval, not yet clipped."""
        low = start * self.stride + self.offset
        high = (stop - 1) * self.stride + self.offset + self.window
        return low // self.divide, -(-high // self.divide)

    @property
    def step(self) -> int:
        """Distance of the elements taken within the image."""
        return self.stride if self.window == 1 else 1


WHOLE = Axis()
Axes: TypeAlias = tuple[Axis, ...]
Follower: TypeAlias = tuple[Axis, int, int]  # with the extent and granule of its dimension


@dataclass(frozen=True, slots=True)
class Loop:
    """Steps of ``step`` over [0, extent), or over the current interval of loop ``parent``.

    The last step may be shorter. The iterations of a parallel loop run on different cores.
    """

    extent: int
    step: int
    parallel: bool = False
    parent: int | None = None


@dataclass(frozen=True, slots=True)
class Buffer:
    """On-chip room for a slice of a value: where the slice lies follows from the loops.

    ``depth`` is the number of versions that can be alive (1 single, 2 double buffered).
    """

    value: int
    axes: Axes
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Operand:
    """What a compute reads from a buffer: for each dimension the image of an output dimension.

    ``axes`` refer to dimensions of the output; WHOLE means all that the buffer holds. Where an
    image leaves the domain of the value, ``fill`` is read (the padding of a conv or a pool).
    """

    buffer: int
    axes: Axes
    fill: float = 0.0


@dataclass(frozen=True, slots=True)
class Load:
    """Copy the slice of a value from where its view lies into its buffer."""

    buffer: int
    node: int


@dataclass(frozen=True, slots=True)
class Gather:
    """Fetch the rows of view ``table`` [P, V, S] that buffer ``index`` [I] names: [P, I, S].

    Rows are fetched one by one and never shared, even if an index repeats.
    """

    table: int
    index: int
    buffer: int
    node: int


@dataclass(frozen=True, slots=True)
class Store:
    """Copy a buffer to its place in a view."""

    buffer: int
    view: int
    node: int


@dataclass(frozen=True, slots=True)
class Fill:
    """Start a new version of a state buffer from one number; takes no time of a unit."""

    buffer: int
    number: float


@dataclass(frozen=True, slots=True)
class Compute:
    """Apply an op of the op table to operands; the result is the region that ``out`` now covers.

    ``accumulate`` adds to the buffer instead of replacing it. ``kind`` is "matrix" or "vector":
    which units may run it. ``node`` is the position, in the body, of the node that is charged.
    """

    op: str
    attrs: FrozenAttrs
    ins: tuple[Operand | None, ...]
    out: int
    kind: str
    node: int
    accumulate: bool = False


@dataclass(frozen=True, slots=True)
class Nest:
    """One loop and what it repeats."""

    loop: int
    body: "tuple[Step, ...]"


Statement: TypeAlias = Load | Gather | Store | Fill | Compute
Step: TypeAlias = Load | Gather | Store | Fill | Compute | Nest


@dataclass(frozen=True, slots=True)
class View:
    """A value as the program sees it: ``type`` may be a reshape of the value's own type.

    ``role`` is "weight", "input" or "output" for values outside of the program, "local" for the
    rest. ``value`` is its position in the body, None for state that the body does not have. Loads
    and stores move it from and to device memory, unless it stays on chip between launches, spread
    over the scratchpads of ``kept_cores`` cores (0 for a value that does not): if it is ``own``,
    each core finds what it loads and stores in its own scratchpad, otherwise in that of any.
    """

    type: TensorType
    role: str
    value: int | None
    kept_cores: int = 0
    own: bool = False

    @property
    def kept(self) -> bool:
        """Whether it stays on chip between launches."""
        return self.kept_cores > 0

    @property
    def loaded(self) -> bool:
        """Whether programs read it from outside."""
        return self.role in ("input", "weight")


@dataclass(frozen=True)
class TileProgram:
    """A whole kernel. Parallel loops stand outermost; all the rest is inside of them.

    ``load_width_bytes`` is what one lane moves at a time, ``threads`` the lanes of one tile.
    ``split`` says how tiles share their reduction, the only loop that is not parallel, with cores
    that would be idle, if they do ("split_k" or "stream_k"); how many parts are summed apart is for
    the chip to say. Two programs that differ in ``name`` only are equal: they do the same, in the
    same time.
    """

    name: str = field(compare=False)
    views: tuple[View, ...]
    loops: tuple[Loop, ...]
    buffers: tuple[Buffer, ...]
    steps: tuple[Step, ...]
    threads: int = 256
    load_width_bytes: int = 16
    split: str = ""

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        parts = self.views, self.loops, self.buffers, self.steps
        return hash((*parts, self.threads, self.load_width_bytes, self.split))

    @cached_property
    def statements(self) -> "tuple[Placed, ...]":
        """Every statement, in order, with the loops around it."""
        return tuple(_placed(self.steps, ()))

    def lineage(self, number: int | None) -> Iterator[int]:
        """A loop and the loops that it divides further, inside out."""
        while number is not None:
            yield number
            number = self.loops[number].parent

    @cached_property
    def followers(self) -> tuple[tuple[Follower, ...], ...]:
        """For each loop the axes that follow it or a loop inside of it, each once."""
        found: list[dict[Follower, None]] = [{} for _ in self.loops]
        for buffer in self.buffers:
            type = self.views[buffer.value].type
            for axis, extent, granule in zip(buffer.axes, type.dims, type.granule, strict=True):
                for number in self.lineage(axis.of):
                    found[number][(axis, extent, granule)] = None
        return tuple(tuple(axes) for axes in found)


@dataclass(frozen=True, slots=True)
class Placed:
    """A statement with the numbers of the loops around it, outermost first."""

    statement: Statement
    loops: tuple[int, ...]


def _placed(steps: tuple[Step, ...], loops: tuple[int, ...]) -> Iterator[Placed]:
    for step in steps:
        if isinstance(step, Nest):
            yield from _placed(step.body, (*loops, step.loop))
        else:
            yield Placed(step, loops)

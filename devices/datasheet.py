"""Datasheets: the facts of one device, read from a TOML file whose shape is these classes.

A key of the file is a field of the class and carries its unit; every block says where its numbers
come from in ``source``. Reading is strict: an unknown, missing, zero or negative entry is refused.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from emu.devices.fields import At, read
from emu.ir.errors import DatasheetError, UnknownName
from emu.ir.graph import Attr, Attrs
from emu.ir.layout import STORED
from emu.ir.types import NUMPY

LARGEST_FILE = 1 << 20
NO_FIGURES: Mapping[str, float] = MappingProxyType({})
KINDS = ("gpu", "systolic", "npu")
FOLDER = Path(__file__).parent / "datasheets"
CHIPS = FOLDER / "chips"


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit of every core: "matrix" or "vector".

    ``flops_per_cycle_per_core`` gives the rate per dtype (a multiply-add is 2). ``rows`` and
    ``columns`` are the shape of an array of multiply-adders; a gpu's matrix unit has ``tile_rows``,
    ``tile_columns`` and ``tile_depth_bytes`` instead, the granule of one instruction.
    ``transcendental_cycles`` is what one exp, erf, tanh, ... costs, counted in simple operations of
    this unit. It convolves images in ``image_layouts`` only, in any layout if none is given.
    """

    name: str
    source: str
    flops_per_cycle_per_core: Mapping[str, float] = field(hash=False)
    rows: int | None = None
    columns: int | None = None
    transcendental_cycles: float | None = None
    tile_rows: int | None = None
    tile_columns: int | None = None
    tile_depth_bytes: int | None = None
    image_layouts: tuple[str, ...] = ()

    def granule(self, itemsize: int) -> tuple[int, int, int]:
        """Rows, columns and depth of the smallest product, of factors of ``itemsize`` bytes."""
        depth = (self.tile_depth_bytes or 1) // itemsize
        return self.tile_rows or 1, self.tile_columns or 1, max(1, depth)


@dataclass(frozen=True, slots=True)
class Compute:
    """Cores that work side by side, their clock and the units in each of them."""

    cores: int
    clock_mhz: float
    units: tuple[Unit, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Dram:
    """Device memory; allocations start at multiples of ``alignment_bytes``."""

    capacity_gib: float
    bandwidth_gb_s: float
    latency_ns: float
    energy_pj_byte: float
    alignment_bytes: int
    source: str


@dataclass(frozen=True, slots=True)
class Onchip:
    """The memory of one core that the buffers of a tile program lie in."""

    capacity_kib: float
    bytes_per_cycle_per_core: float
    energy_pj_byte: float
    source: str


@dataclass(frozen=True, slots=True)
class L2:
    """A cache that all cores share."""

    capacity_mib: float
    bandwidth_gb_s: float
    energy_pj_byte: float
    source: str


@dataclass(frozen=True, slots=True)
class Memory:
    """The levels of memory; only a gpu has an ``l2``."""

    dram: Dram
    onchip: Onchip
    l2: L2 | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a gpu core can hold at once: threads, tiles and their registers."""

    max_threads_per_core: int
    max_threads_per_tile: int
    max_tiles_per_core: int
    registers_kib_per_core: float
    source: str


@dataclass(frozen=True, slots=True)
class Link:
    """The connection of host and device, one direction."""

    bandwidth_gb_s: float
    latency_us: float
    energy_pj_byte: float
    source: str


@dataclass(frozen=True, slots=True)
class Host:
    """The processor that computes what the device refuses; ``dispatch_us`` is paid per call."""

    gflops: float
    memory_bandwidth_gb_s: float
    dispatch_us: float
    source: str


@dataclass(frozen=True, slots=True)
class Launch:
    """Per launch: ``issue_us`` on the side that issues, ``start_us`` on the device."""

    issue_us: float
    start_us: float
    source: str


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy of operations in one process, and the power that the part draws while it waits.

    Operations in an element type that ``pj_per_flop`` does not have cost those of f32.
    """

    process_nm: int
    pj_per_flop_f32: float
    pj_per_transcendental: float
    static_w: float
    source: str
    pj_per_flop: Mapping[str, float] = field(default_factory=lambda: NO_FIGURES, hash=False)


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


@dataclass(frozen=True, slots=True)
class Datasheet:
    """All facts of one device; ``name`` is the file's, ``kind`` the class of its cost model."""

    name: str
    kind: str
    about: str
    compute: Compute
    memory: Memory
    link: Link
    host: Host
    launch: Launch
    energy: Energy
    limits: Limits | None = None
    ops: Ops = Ops()

    def unit(self, name: str) -> Unit | None:
        """Return the unit "matrix" or "vector" of a core, or None if the device has none."""
        return next((unit for unit in self.compute.units if unit.name == name), None)


def device_names() -> tuple[str, ...]:
    """Return the names of the devices that come with emu, the generic ones first."""
    return (*generic_names(), *sorted(path.stem for path in CHIPS.glob("*.toml")))


def generic_names() -> tuple[str, ...]:
    """Return the names of the generic devices, one of each kind; they compute in f32."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load_datasheet(device: str | Path) -> Datasheet:
    """Read a device by name or by the path of a TOML file; equal contents are read once.

    Raises UnknownName for a name that is none, DatasheetError for a file that is no datasheet.
    """
    path = Path(device)
    if path.suffix != ".toml":
        if str(device) not in device_names():
            raise UnknownName("device", str(device), device_names())
        path = (FOLDER if device in generic_names() else CHIPS) / f"{device}.toml"
    return _parse(path.stem, str(path), _contents(path))


def _contents(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise DatasheetError(f"{path}: is larger than {LARGEST_FILE:,} bytes")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasheetError(f"{path}: cannot be read as text: {_one_line(error)}") from error


@lru_cache(maxsize=64)
def _parse(name: str, file: str, text: str) -> Datasheet:
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # of tomllib, or of an endless number
        raise DatasheetError(f"{file}: is not TOML: {_one_line(error)}") from error
    if "name" in table:
        raise DatasheetError(f"{file}: name: the file's own name is the name of the device")
    sheet = read(Datasheet, {"name": name, **table}, At(file))
    _check_kind(sheet, At(file))
    _check_units(sheet, At(file).to("compute").to("units"))
    return sheet


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _check_kind(sheet: Datasheet, at: At) -> None:
    if sheet.kind not in KINDS:
        raise at.to("kind").error(f"'{sheet.kind}' is none of {', '.join(KINDS)}")
    for key, block in (("memory.l2", sheet.memory.l2), ("limits", sheet.limits)):
        if (block is None) == (sheet.kind == "gpu"):
            raise at.to(key).error(f"a gpu needs it and no other kind has it, not a {sheet.kind}")


def _check_units(sheet: Datasheet, at: At) -> None:
    names = [unit.name for unit in sheet.compute.units]
    if set(names) - {"matrix", "vector"} or len(names) != len(set(names)):
        raise at.error(f"names are matrix and vector, each once at most, not {', '.join(names)}")
    vector, matrix = sheet.unit("vector"), sheet.unit("matrix")
    if vector is None or vector.transcendental_cycles is None:
        raise at.error("a vector unit with transcendental_cycles is missing")
    if sheet.kind != "gpu" and matrix is None:
        raise at.error(f"a {sheet.kind} needs a matrix unit")
    for unit in sheet.compute.units:
        _check_array(sheet, unit, at.to(unit.name))
        _check_layouts(unit, at.to(unit.name).to("image_layouts"))


def _check_array(sheet: Datasheet, unit: Unit, at: At) -> None:
    needs_shape = unit.name == "matrix" and sheet.kind != "gpu"
    if unit.rows is None or unit.columns is None:
        if needs_shape or unit.rows is not unit.columns:
            raise at.error("rows and columns are needed, both")
        return
    for dtype, rate in unit.flops_per_cycle_per_core.items():
        # A multiply-adder of f32 can be split into as many narrower ones as fit its 4 bytes.
        most = 2 * unit.rows * unit.columns * max(1, 4 // NUMPY[dtype].itemsize)
        if rate > most:
            raise (
                at.to("flops_per_cycle_per_core")
                .to(dtype)
                .error(
                    f"{rate:g} is over the {most} of {unit.rows} x {unit.columns} multiply-adders"
                )
            )


def _check_layouts(unit: Unit, at: At) -> None:
    for layout in unit.image_layouts:
        if layout not in STORED:
            raise at.error(f"'{layout}' is none of {', '.join(STORED)}")


def _numbers(value: Attr) -> tuple[float, ...]:
    if isinstance(value, tuple):
        return value
    return () if isinstance(value, str) else (value,)

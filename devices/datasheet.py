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

from emu.devices.dma import Dma, check_dma
from emu.devices.facts import Changes, Fact, Table, figures, with_facts
from emu.devices.feeding import (
    Accumulators,
    UnifiedBuffer,
    WeightFifo,
    check_array_only,
    check_buffer,
)
from emu.devices.fields import At, near, read
from emu.devices.network import Network, check_network
from emu.devices.refusals import NOTHING_REFUSED, Ops
from emu.devices.units import NO_FIGURES, Compute, Unit, check_peaks, check_units
from emu.ir.errors import DatasheetError, UnknownName

NO_TEXTS: Mapping[str, str] = MappingProxyType({})
KINDS = ("gpu", "systolic", "npu")
FOLDER = Path(__file__).parent / "datasheets"
CHIPS = FOLDER / "chips"
LONGEST = 1 << 18  # characters; those that come with emu have some thousand


@dataclass(frozen=True, slots=True)
class Dram:
    """Device memory; allocations start at multiples of ``alignment_bytes``.

    ``bandwidth_gb_s`` is that of the pins. For ``refresh_ns`` (tRFC) of every
    ``refresh_interval_ns`` (tREFI) the memory refreshes its rows and moves nothing.
    """

    capacity_gib: float
    bandwidth_gb_s: float
    latency_ns: float
    energy_pj_byte: float
    alignment_bytes: int
    source: str
    refresh_ns: float | None = None
    refresh_interval_ns: float | None = None


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
    """What a gpu core can hold at once: threads, tiles and their registers.

    Schedulers share the units. ``cluster_tiles`` neighbours receive a load of one (multicast).
    """

    max_threads_per_core: int
    max_threads_per_tile: int
    max_tiles_per_core: int
    registers_kib_per_core: float
    threads_per_warp: int
    schedulers_per_core: int
    source: str
    cluster_tiles: int | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """The connection of host and device; ``to_host_gb_s`` if the way back has another bandwidth."""

    bandwidth_gb_s: float
    latency_us: float
    energy_pj_byte: float
    source: str
    to_host_gb_s: float | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """The processor that computes what the device refuses; ``dispatch_us`` is paid per call."""

    gflops: float
    memory_bandwidth_gb_s: float
    dispatch_us: float
    source: str


@dataclass(frozen=True, slots=True)
class Launch:
    """Per launch: ``issue_us`` on the side that issues, ``start_us`` on the device.

    A graph of launches takes ``replay_us`` on the side that issues, whatever their number, and
    each of them ``replayed_us`` on the device, ``start_us`` if that is not given. A device without
    ``replay_us`` replays no graphs.

    A product stages its operands, and takes ``staging_us`` to set that up before its loop and to
    drain it behind.
    """

    issue_us: float
    start_us: float
    source: str
    staging_us: float | None = None
    replay_us: float | None = None
    replayed_us: float | None = None


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
class Board:
    """What the card is: the power it may draw, its process, and how it can be partitioned."""

    process: str
    partitions: str
    source: str
    power_w: float | None = None


@dataclass(frozen=True, slots=True)
class Datasheet:
    """All facts of one device; ``name`` is the file's, ``kind`` the class of its cost model.

    ``assumed`` says of which figures no source knows, and why they were taken: one value for all
    chips of a kind. ``conflict`` says where sources disagree with each other.
    """

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
    network: Network | None = None
    weight_fifo: WeightFifo | None = None
    accumulators: Accumulators | None = None
    unified_buffer: UnifiedBuffer | None = None
    dma: Dma | None = None
    ops: Ops = NOTHING_REFUSED
    board: Board | None = None
    assumed: Mapping[str, str] = field(default_factory=lambda: NO_TEXTS, hash=False)
    conflict: Mapping[str, str] = field(default_factory=lambda: NO_TEXTS, hash=False)

    def unit(self, name: str) -> Unit | None:
        """Return the unit "matrix" or "vector" of a core, or None if the device has none."""
        return self.compute.unit(name)


def device_names() -> tuple[str, ...]:
    """Return the names of the devices that come with emu, the generic ones first."""
    return (*generic_names(), *sorted(path.stem for path in CHIPS.glob("*.toml")))


def generic_names() -> tuple[str, ...]:
    """Return the names of the generic devices, one of each kind; they compute in f32."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load_datasheet(device: str | Path, changes: Changes = ()) -> Datasheet:
    """Read a device by name or by the path of a TOML file; equal contents are read once.

    ``changes`` are other figures for some of its keys, like ("memory.dram.latency_ns", 500).
    Raises UnknownName for a name that is none, DatasheetError for a file that is no datasheet or a
    key that datasheets do not have.
    """
    path = datasheet_path(device)
    return _parse(path.stem, str(path), _contents(path), changes)


def datasheet_figures(device: str | Path) -> dict[str, Fact]:
    """Every figure that the file of a device gives, by its key with dots."""
    path = datasheet_path(device)
    return dict(figures(_table(str(path), _contents(path))))


def datasheet_path(device: str | Path) -> Path:
    """The file of a device that is given by name or by path; raises UnknownName."""
    path = Path(device)
    if path.suffix != ".toml":
        if str(device) not in device_names():
            raise UnknownName("device", str(device), device_names())
        path = (FOLDER if device in generic_names() else CHIPS) / f"{device}.toml"
    return path


def _contents(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():  # reading a pipe or a device would not end
            raise DatasheetError(f"{path}: is not a file")
        with path.open(encoding="utf-8") as file:
            text = file.read(LONGEST + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise DatasheetError(f"{path}: cannot be read as text: {_one_line(error)}") from error
    if len(text) > LONGEST:
        raise DatasheetError(f"{path}: a datasheet has at most {LONGEST:,} characters")
    return text


@lru_cache(maxsize=256)
def _parse(name: str, file: str, text: str, changes: Changes) -> Datasheet:
    table = _table(file, text)
    if "name" in table:
        raise DatasheetError(f"{file}: name: the file's own name is the name of the device")
    table = with_facts(table, changes, At(file))
    sheet = read(Datasheet, {"name": name, **table}, At(file))
    _check(sheet, table, At(file), as_published=not changes)
    return sheet


@lru_cache(maxsize=256)
def _table(file: str, text: str) -> Table:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # of tomllib, or of an endless number
        raise DatasheetError(f"{file}: is not TOML: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _check(sheet: Datasheet, table: Table, at: At, as_published: bool) -> None:
    """Raise DatasheetError where figures of what was read, the ``table``, cannot be together.

    The published peaks are those of a sheet ``as_published``, with no figure replaced.
    """
    _check_kind(sheet, at)
    check_units(sheet.compute, sheet.kind, at.to("compute").to("units"))
    _check_notes(sheet, table, at)
    _check_power(sheet, at)
    if as_published:
        check_peaks(sheet.compute, sheet.conflict, at.to("compute").to("units"))


def _check_kind(sheet: Datasheet, at: At) -> None:
    if sheet.kind not in KINDS:
        raise at.to("kind").error(f"'{sheet.kind}' is none of {', '.join(KINDS)}")
    for key, block in (("memory.l2", sheet.memory.l2), ("limits", sheet.limits)):
        if (block is None) == (sheet.kind == "gpu"):
            raise at.to(key).error(f"a gpu needs it and no other kind has it, not a {sheet.kind}")
    if sheet.network is not None:
        check_network(sheet.network, sheet.kind, at.to("network"))
    check_dma(sheet.dma, sheet.kind, at.to("dma"))
    onchip_kib = sheet.memory.onchip.capacity_kib
    check_buffer(sheet.unified_buffer, sheet.kind, onchip_kib, at.to("unified_buffer"))
    for key, block in (("weight_fifo", sheet.weight_fifo), ("accumulators", sheet.accumulators)):
        if block is not None:
            check_array_only(sheet.kind, at.to(key))


def _check_power(sheet: Datasheet, at: At) -> None:
    if sheet.board is None or sheet.board.power_w is None:
        return
    if sheet.board.power_w <= sheet.energy.static_w:
        why = f"{sheet.board.power_w:g} is not over energy.static_w, {sheet.energy.static_w:g}"
        raise at.to("board").to("power_w").error(f"{why}: nothing is left to compute with")


def _check_notes(sheet: Datasheet, table: Table, at: At) -> None:
    """What is assumed, or in conflict, must be a figure that the file gives."""
    known = dict(figures(table))
    for block, notes in (("assumed", sheet.assumed), ("conflict", sheet.conflict)):
        if unknown := next((key for key in notes if key not in known), None):
            raise at.to(block).to(unknown).error(f"is no figure here{near(unknown, known)}")

"""Rates of a chip in work per picosecond, from the facts of its datasheet."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Generic, TypeVar

from emu.devices.datasheet import Datasheet
from emu.devices.dma import burst_bytes, descriptors
from emu.devices.network import Network, Transfer, hops, loads
from emu.devices.slices import Slice
from emu.devices.terms import PS_PER_S, Event, Phase, Term, exact, one, positive
from emu.devices.units import Unit
from emu.ir.errors import NoKernel
from emu.ir.layout import IMAGE_PRODUCTS, STORED, is_row_major
from emu.ir.ops import Work
from emu.ir.types import TensorType

ZERO = Fraction()
Number = TypeVar("Number", Fraction, float)
# Integers that a datasheet has no rate for run in the lanes of wider ones, sign or zeros before
# them, or as signed ones of their own width: the lanes add, shift and compare the same bits.
LANES_OF = (("i16", "i32"), ("ui16", "i32"), ("ui32", "i32"), ("ui64", "i64"))


@dataclass(frozen=True)
class Speeds(Generic[Number]):
    """What bounds a wave of tiles: cycles and bytes per ps, and the ps until a byte comes."""

    clock: Number
    dram: Number
    l2: Number
    port: Number
    latency_ps: Number


@dataclass(frozen=True)
class Rates:
    """The rates that cost models use; all per picosecond, of one core unless said otherwise."""

    sheet: Datasheet
    events: dict[object, Event] = field(default_factory=dict[object, Event], compare=False)
    products: dict[tuple[str, TensorType], Unit | None] = field(
        default_factory=dict[tuple[str, TensorType], Unit | None], compare=False
    )
    slow: dict[tuple[str, str], Fraction] = field(
        default_factory=dict[tuple[str, str], Fraction], compare=False
    )

    def event(self, key: object, phases: Callable[[], tuple[Phase, ...]]) -> Event:
        """The event of a key; events of one key are equal, and made once."""
        found = self.events.get(key)
        if found is None:
            found = self.events[key] = Event(phases())
        return found

    @cached_property
    def cores(self) -> int:
        """Cores of the chip."""
        return self.sheet.compute.cores

    @cached_property
    def clock(self) -> Fraction:
        """Cycles."""
        return exact(self.sheet.compute.clock_mhz) * 10**6 / PS_PER_S

    @cached_property
    def dram(self) -> Fraction:
        """Bytes of device memory, whole chip, in the time that its refresh leaves."""
        dram = self.sheet.memory.dram
        if dram.refresh_ns is None or dram.refresh_interval_ns is None:
            return _gb_s(dram.bandwidth_gb_s)
        refreshing = exact(dram.refresh_ns) / exact(dram.refresh_interval_ns)
        return _gb_s(dram.bandwidth_gb_s) * (1 - refreshing)

    @cached_property
    def port(self) -> Fraction:
        """Bytes into or out of the on-chip memory of one core."""
        return exact(self.sheet.memory.onchip.bytes_per_cycle_per_core) * self.clock

    @cached_property
    def l2(self) -> Fraction:
        """Bytes of the shared cache, whole chip; raises ValueError on a chip without one."""
        if self.sheet.memory.l2 is None:
            raise ValueError(f"{self.sheet.name} has no l2")
        return _gb_s(self.sheet.memory.l2.bandwidth_gb_s)

    @cached_property
    def l2_bytes(self) -> int:
        """Bytes that the shared cache holds, 0 on a chip without one."""
        l2 = self.sheet.memory.l2
        return 0 if l2 is None else int(l2.capacity_mib * 2**20)

    def burst_bytes(self, moved: Slice) -> Fraction:
        """Bytes that device memory moves for a slice: whole bursts, where they are known."""
        dma = self.sheet.dma
        return Fraction(moved.bytes if dma is None else burst_bytes(moved, dma.burst_bytes))

    def described(self, moved: Slice) -> tuple[Term, ...]:
        """The time that one core takes to set up the descriptors of a slice, if it needs any."""
        dma = self.sheet.dma
        if dma is None:
            return ()
        count = Fraction(descriptors(moved, dma.descriptor_dims))
        return (Term("slower_path", count * exact(dma.descriptor_ns) * 1000, Fraction(1)),)

    @cached_property
    def link(self) -> Mapping[str, Fraction]:
        """Bytes between host and device, by where they go to: "device" or "host"."""
        facts = self.sheet.link
        there, back = facts.bandwidth_gb_s, facts.to_host_gb_s
        return {"device": _gb_s(there), "host": _gb_s(back or there)}

    @cached_property
    def host_memory(self) -> Fraction:
        """Bytes into or out of the memory of the host."""
        return _gb_s(self.sheet.host.memory_bandwidth_gb_s)

    @cached_property
    def dram_latency(self) -> Term:
        """The time from asking device memory to the first byte."""
        return Term("wait", self.latency_ps, Fraction(1))

    @cached_property
    def latency_ps(self) -> Fraction:
        """Picoseconds from asking device memory to the first byte."""
        return exact(self.sheet.memory.dram.latency_ns) * 1000

    @cached_property
    def exactly(self) -> Speeds[Fraction]:
        """What bounds a wave of tiles."""
        return Speeds(self.clock, self.dram, self.l2, self.port, self.latency_ps)

    @cached_property
    def roughly(self) -> Speeds[float]:
        """The same, nearly."""
        return Speeds(
            float(self.clock),
            float(self.dram),
            float(self.l2),
            float(self.port),
            float(self.latency_ps),
        )

    @cached_property
    def staging(self) -> Term:
        """The time that a product takes to set up the staging of its operands, and to drain it."""
        us = self.sheet.launch.staging_us or 0
        return Term("fill_drain", exact(us) * 10**6, Fraction(1))

    @cached_property
    def network(self) -> Network:
        """The network between cores; raises ValueError on a chip without one."""
        if self.sheet.network is None:
            raise ValueError(f"{self.sheet.name} has no network")
        return self.sheet.network

    def hops(self) -> tuple[Phase, ...]:
        """The way from the farthest core."""
        way = hops(self.network.topology, self.cores) * exact(self.network.hop_ns) * 1000
        return one(Term("wait", way, Fraction(1)))

    def network_bounds(self, transfer: Transfer) -> list[tuple[Fraction, Fraction]]:
        """Bytes and bytes per picosecond of whatever may bind a transfer between cores."""
        link = exact(self.network.link_bytes_per_cycle) * self.clock
        found = loads(self.network.topology, self.cores, transfer)
        return [(size, link * links) for size, links in found]

    @cached_property
    def table(self) -> dict[tuple[str, str], Fraction]:
        """Operations by name of the unit and element type."""
        given = {
            (unit.name, dtype): exact(rate) * self.clock
            for unit in self.sheet.compute.units
            for dtype, rate in unit.flops_per_cycle_per_core.items()
        }
        lanes = {
            ("vector", dtype): given["vector", wide]
            for dtype, wide in LANES_OF
            if ("vector", wide) in given
        }
        return lanes | given

    def flops(self, unit: Unit, dtype: str) -> Fraction:
        """Operations of a unit, 0 if it cannot compute in ``dtype``."""
        return self.table.get((unit.name, dtype), ZERO)

    def best_product(self, dtype: str) -> Fraction:
        """Operations of the best unit for multiply-adds."""
        return max((self.flops(u, dtype) for u in self.sheet.compute.units), default=ZERO)

    def vector(self, dtype: str) -> Fraction:
        """Operations of the vector unit; raises NoKernel if it has no such dtype."""
        unit = self.sheet.unit("vector")
        rate = ZERO if unit is None else self.flops(unit, dtype)
        if not rate:
            raise NoKernel(f"{self.sheet.name}: no vector unit computes in {dtype}")
        return rate

    def matrix(self, dtype: str) -> Unit | None:
        """The matrix unit, if it computes in ``dtype``."""
        unit = self.sheet.unit("matrix")
        return unit if unit is not None and self.flops(unit, dtype) else None

    def product_unit(self, op: str, data: TensorType) -> Unit | None:
        """The matrix unit, if it runs ``op`` on such data: in their element type and layout."""
        key = op, data
        if key not in self.products:
            wanted = self.image_layouts(op, data)
            runs = not wanted or data.layout in wanted
            self.products[key] = self.matrix(data.dtype) if runs else None
        return self.products[key]

    def slowness(self, unit: Unit, dtype: str) -> Fraction:
        """Cycles per row of a fold: more than 1 for a dtype below the rate of the array."""
        key = unit.name, dtype
        if key not in self.slow:
            cycle_flops = self.flops(unit, dtype) / self.clock
            self.slow[key] = Fraction(2 * (unit.rows or 1) * (unit.columns or 1)) / cycle_flops
        return self.slow[key]

    def image_layouts(self, op: str, data: TensorType) -> tuple[str, ...]:
        """The layouts of such data in which a matrix unit runs ``op``; none if any will do."""
        unit = self.matrix(data.dtype) if op in IMAGE_PRODUCTS else None
        known = () if unit is None else unit.image_layouts
        layouts = tuple(name for name in known if STORED[name].stores(len(data.shape)))
        return () if any(is_row_major(name, data.dims) for name in layouts) else layouts

    @cached_property
    def transcendental(self) -> Fraction:
        """Simple operations that one exp, erf or tanh is worth on the vector unit."""
        unit = self.sheet.unit("vector")
        each = unit.transcendental_cycles if unit is not None else None
        return exact(each or 1)

    @cached_property
    def division(self) -> Fraction:
        """Simple operations that a division is worth beyond the one that it counts as."""
        unit = self.sheet.unit("vector")
        each = unit.division_cycles if unit is not None else None
        return exact(each or 1) - 1

    def simple(self, work: Work) -> Fraction:
        """Work in simple operations."""
        if not (work.transcendentals or work.divisions):
            return Fraction(work.flops)
        rare = work.transcendentals * self.transcendental + work.divisions * self.division
        return work.flops + rare

    def vector_terms(
        self,
        work: Work,
        again: Fraction,
        moved: int,
        dtype: str,
        active: int,
        lanes_used: Fraction,
        products: bool = False,
    ) -> tuple[Term, ...]:
        """Terms of vector work that ``active`` of the chip's cores do side by side.

        ``work`` is that of all of them; ``again`` the share of it that is done a second time;
        ``moved`` elements that are only moved; ``lanes_used`` the share of lanes that have work.
        A lane does a multiply-add a cycle, so an operation that is none uses half of it; the
        ``products`` of a chip without a matrix unit are multiply-adds.
        """
        peak = self.vector(dtype) * self.cores
        best = max(peak, self.best_product(dtype) * self.cores) if products else peak
        simple = self.simple(work)
        slots = simple if products else 2 * simple
        only_moved = max(2 * Fraction(moved) - slots, ZERO)
        padded = (slots + only_moved) / lanes_used
        return positive(
            (
                Term("useful", simple * (1 - again), best),
                Term("recompute", simple * again, best),
                Term("slower_path", slots / peak - simple / best, Fraction(1)),
                Term("layout", only_moved, peak),
                Term("padding", padded - slots - only_moved, peak),
                Term("idle", padded * (self.cores - active), peak * active),
            )
        )


def _gb_s(figure: float) -> Fraction:
    return exact(figure) * 10**9 / PS_PER_S

"""GPUs: an asynchronous launch queue feeds launches whose inside is the wave model."""

from dataclasses import replace
from functools import cached_property

from emu.devices.datasheet import Datasheet
from emu.devices.device import Clock, Device
from emu.devices.holds import waved
from emu.devices.launch_footprint import launch_footprint
from emu.devices.marks import START, later
from emu.devices.occupancy import occupancy
from emu.devices.power import capped, least_ps
from emu.devices.raster import raster
from emu.devices.terms import Settled, settle
from emu.devices.tile_cost import Shares
from emu.devices.waves import Waves
from emu.ir.machine import Machine, Residency
from emu.ir.ops import Work
from emu.ir.program import Launch
from emu.ir.tile import TileProgram
from emu.ir.trace import Footprint, Traffic

KIB = 1024


class GpuDevice(Device):
    """A chip of many cores behind a shared cache."""

    def __init__(self, sheet: Datasheet) -> None:
        """Take the facts of ``sheet``."""
        super().__init__(sheet)
        self.settled: dict[tuple[TileProgram, Shares, frozenset[str]], Settled] = {}
        self.priced: dict[TileProgram, tuple[int, int]] = {}

    @cached_property
    def machine(self) -> Machine:
        """A grid of tiles; buffers lie in shared memory and registers."""
        limits, matrix = self.sheet.limits, self.sheet.unit("matrix")
        assert limits is not None
        registers = limits.registers_kib_per_core
        return Machine(
            name=self.name,
            grid=True,
            cores=self.sheet.compute.cores,
            onchip_bytes=int((self.sheet.memory.onchip.capacity_kib + registers) * KIB),
            device_bytes=int(self.sheet.memory.dram.capacity_gib * KIB**3),
            alignment_bytes=self.sheet.memory.dram.alignment_bytes,
            matrix_shape=(1, 1),
            max_threads=limits.max_threads_per_tile,
            warp_threads=limits.threads_per_warp,
            schedulers=limits.schedulers_per_core,
            fine_tiles=matrix is not None and matrix.fine_tiles,
        )

    def residency(self, program: TileProgram) -> Residency:
        """The largest blocks of neighbouring tiles that share what the cache fetches."""
        at_once = self.sheet.compute.cores * occupancy(program, self.sheet)
        return raster(program, self.rates.l2_bytes, at_once)

    def waves(self, program: TileProgram) -> Waves:
        """The wave model of a program; made once for each."""
        return self.memo(
            ("waves", program),
            lambda: Waves(program, self.sheet, self.rates, self.residency(program)),
        )

    def duration(
        self, program: TileProgram, shares: Shares, free: frozenset[str] = frozenset()
    ) -> tuple[Settled, int]:
        """How long a launch computes, and on how many cores, whatever is ``free``."""
        key = (program, shares, free)
        _, cores = self.fastest(program)
        if key not in self.settled:
            # Which resource is slowest is known as long as nothing is free.
            phases = self.waves(program).phases(cores, shares, every=bool(free))
            settled = settle(phases, free)
            self.settled[key] = capped(settled, self.powered_ps(program, cores), free)
        return self.settled[key], cores

    def fastest(self, program: TileProgram) -> tuple[int, int]:
        """The duration of a launch in ps, and the cores that it takes; worked out once."""
        if program not in self.priced:
            ps, cores = self.waves(program).best()
            self.priced[program] = max(ps, self.powered_ps(program, cores)), cores
        return self.priced[program]

    def powered_ps(self, program: TileProgram, cores: int) -> int:
        """The least time of a launch that the limit of the board's power allows."""
        return least_ps(self.footprint(program, Shares(), cores), self.sheet)

    def footprint(self, program: TileProgram, shares: Shares, cores: int) -> Footprint:
        """What a launch of a program does; worked out once."""
        return self.memo(
            ("footprint", program, shares, cores), lambda: self.does(program, shares, cores)
        )

    def does(self, program: TileProgram, shares: Shares, cores: int) -> Footprint:
        """What a launch does on this chip, whose clusters share what crosses the cache."""
        did = launch_footprint(program, shares, self.residency(program), cores, 0)
        waves = self.waves(program)
        _, through, _ = waves.bytes.sizes
        stored, deal = 0, waves.deal(cores)
        if deal is not None:
            # The sums of each part are stored and loaded again.
            stored = 2 * deal.stored * waves.sums.bytes
            added = Work(flops=deal.stored * waves.sums.elements)
            again = Traffic(reload=2 * waves.exact.spilled(deal))
            did = replace(did, traffic=did.traffic + again, work=did.work + added)
        return replace(did, l2_bytes=through + stored, onchip_bytes=did.onchip_bytes + stored)

    def least_ps(self, program: TileProgram) -> int:
        """Its operations on all cores that it can use, or its bytes, whatever the waves are."""
        waves = self.waves(program)
        return waves.at_least(next(waves.candidates()))

    def price(self, program: TileProgram) -> int:
        """The duration of a launch, in ps."""
        return self.fastest(program)[0]

    def run(self, free: frozenset[str]) -> Clock:
        """A clock at zero."""
        return _GpuClock(self, free)


class _GpuClock(Clock):
    """Launches run one after the other; issuing them overlaps with running those before."""

    def __init__(self, device: GpuDevice, free: frozenset[str]) -> None:
        super().__init__(device, free)
        self.chip = device
        self.stream = START
        # By identity: comparing equal programs costs more than all else here, and those of a run
        # live as long as it.
        self.known: dict[tuple[int, Shares], tuple[Settled, Footprint]] = {}

    def launch(self, command: Launch, shares: Shares) -> None:
        """Start when the stream, the queue and the inputs are ready."""
        index, program = command.index, command.program
        issued, starting = self.issue(index)
        inputs = [self.ready.get(value, START) for value in command.ins]
        start = later(self.stream, issued, *inputs)
        started = start.after(starting, index)
        settled, did = self.what(program, shares)
        self.stream = started.after(settled, index)
        if self.holds is not None:
            waves, cores = self.chip.waves(program), self.chip.fastest(program)[1]
            self.holds += waved(waves, cores, shares, index, started.ps)
        for value in command.outs:
            self.ready[value] = self.stream
        self.record(index, start.ps, self.stream, did)

    def what(self, program: TileProgram, shares: Shares) -> tuple[Settled, Footprint]:
        """How long a launch computes, and what it does."""
        key = (id(program), shares)
        if key not in self.known:
            settled, cores = self.chip.duration(program, shares, self.free)
            self.known[key] = settled, self.chip.footprint(program, shares, cores)
        return self.known[key]

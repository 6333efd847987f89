"""The units of every core, and what must hold between their figures."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from emu.devices.fields import At
from emu.ir.layout import STORED
from emu.ir.types import NUMPY

NO_FIGURES: Mapping[str, float] = MappingProxyType({})
PEAK_TOLERANCE = 0.03


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit of every core: "matrix" or "vector".

    ``flops_per_cycle_per_core`` gives the rate per dtype (a multiply-add is 2). ``rows`` and
    ``columns`` are the shape of an array of multiply-adders; a gpu's matrix unit has ``tile_rows``,
    ``tile_columns`` and ``tile_depth_bytes`` instead, the granule of one instruction. With
    ``fine_tiles`` its libraries have tiles between powers of two.
    ``transcendental_cycles`` is what one exp, erf, tanh, ... costs, counted in simple operations of
    this unit, ``division_cycles`` what a division costs: one of them, if that is not given. A unit
    that ``widens`` computes narrow floats in f32, at the rate of f32. It convolves images in
    ``image_layouts`` only, in any layout if none is given.
    ``peak_tflops`` are the dense peaks of the whole chip as published, which the rates must meet.
    """

    name: str
    source: str
    flops_per_cycle_per_core: Mapping[str, float] = field(hash=False)
    rows: int | None = None
    columns: int | None = None
    transcendental_cycles: float | None = None
    division_cycles: float | None = None
    widens: bool = False
    tile_rows: int | None = None
    tile_columns: int | None = None
    tile_depth_bytes: int | None = None
    fine_tiles: bool = False
    image_layouts: tuple[str, ...] = ()
    peak_tflops: Mapping[str, float] = field(default_factory=lambda: NO_FIGURES, hash=False)

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

    def unit(self, name: str) -> Unit | None:
        """Return the unit "matrix" or "vector" of a core, or None if the chip has none."""
        return next((unit for unit in self.units if unit.name == name), None)


def check_units(compute: Compute, kind: str, at: At) -> None:
    """Raise DatasheetError for units that a chip of a kind cannot have."""
    names = [unit.name for unit in compute.units]
    if set(names) - {"matrix", "vector"} or len(names) != len(set(names)):
        raise at.error(f"names are matrix and vector, each once at most, not {', '.join(names)}")
    vector, matrix = compute.unit("vector"), compute.unit("matrix")
    if vector is None or vector.transcendental_cycles is None:
        raise at.error("a vector unit with transcendental_cycles is missing")
    if kind != "gpu" and matrix is None:
        raise at.error(f"a {kind} needs a matrix unit")
    for unit in compute.units:
        _check_array(unit, kind, at.to(unit.name))
        _check_layouts(unit, at.to(unit.name).to("image_layouts"))


def check_peaks(compute: Compute, conflict: Container[str], at: At) -> None:
    """Raise DatasheetError where cores x clock x rate is not within 3 % of a published peak.

    A peak that is in ``conflict``, by its key, may be off.
    """
    cycles = compute.cores * compute.clock_mhz * 1e6
    for unit in compute.units:
        for dtype, peak in unit.peak_tflops.items():
            key = f"compute.units.{unit.name}.peak_tflops.{dtype}"
            made = unit.flops_per_cycle_per_core.get(dtype, 0.0) * cycles / 1e12
            if abs(made / peak - 1) > PEAK_TOLERANCE and key not in conflict:
                place = at.to(unit.name).to("peak_tflops").to(dtype)
                said = f"{peak:g} is not the {made:.4g} of {compute.cores} cores x clock"
                raise place.error(f"{said} x rate; sources that disagree belong under conflict")


def _check_array(unit: Unit, kind: str, at: At) -> None:
    needs_shape = unit.name == "matrix" and kind != "gpu"
    if unit.rows is None or unit.columns is None:
        if needs_shape or unit.rows is not unit.columns:
            raise at.error("rows and columns are needed, both")
        return
    for dtype, rate in unit.flops_per_cycle_per_core.items():
        # A multiply-adder of f32 can be split into as many narrower ones as fit its 4 bytes.
        most = 2 * unit.rows * unit.columns * max(1, 4 // NUMPY[dtype].itemsize)
        if rate > most:
            place = at.to("flops_per_cycle_per_core").to(dtype)
            array = f"{unit.rows} x {unit.columns}"
            raise place.error(f"{rate:g} is over the {most} of {array} multiply-adders")


def _check_layouts(unit: Unit, at: At) -> None:
    for layout in unit.image_layouts:
        if layout not in STORED:
            raise at.error(f"'{layout}' is none of {', '.join(STORED)}")

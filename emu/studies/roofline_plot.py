"""The picture of a roofline: what each chip allows, and where the groups of a run lie."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import cycle
from pathlib import Path
from typing import Any

from emu.account import Account
from emu.devices.device import Device
from emu.files import check_writable
from emu.ir.errors import BadOption
from emu.ir.replacing import replacing
from emu.run import Compiled
from emu.table import short

FORMATS = ("png", "svg")
LABELLED = 5  # groups of each chip, those that take most time
LABEL = 28  # columns of a label
LABEL_STEP = 0.032  # share of the height of the picture
LARGEST_DOT = 600.0  # square points, of the group that takes most time
SMALLEST_DOT = 12.0
TERA = 1e12
# One look for pictures of every machine: same file, same bytes.
STYLE: Mapping[str, object] = {"svg.hashsalt": "emu", "svg.fonttype": "none", "font.size": 9}
LINES = ("-", "--", "-.", ":")


@dataclass(frozen=True, slots=True)
class Dot:
    """A group: operations a byte of device memory, operations a second, and its picoseconds."""

    name: str
    intensity: float
    flops_s: float
    ps: int


@dataclass(frozen=True, slots=True)
class Roof:
    """What a chip allows: operations a second of its best unit in ``dtype``, and bytes a second.

    They meet at the ridge.
    """

    dtype: str
    flops_s: float
    bytes_s: float

    @property
    def ridge(self) -> float:
        """Operations a byte from which on operations bind."""
        return self.flops_s / self.bytes_s


def roofs(chip: Device) -> tuple[Roof, ...]:
    """A roof for each element type of real numbers or eight bits that the chip has products in."""
    dtypes = dict.fromkeys(
        dtype for unit in chip.sheet.compute.units for dtype in unit.flops_per_cycle_per_core
    )
    wanted = (dtype for dtype in dtypes if dtype[0] in "fb" or dtype == "i8")
    return tuple(
        Roof(
            dtype,
            float(chip.rates.best_product(dtype) * chip.rates.cores) * TERA,
            float(chip.rates.dram) * TERA,
        )
        for dtype in wanted
    )


def dots(compiled: Compiled) -> tuple[Dot, ...]:
    """The groups that compute something and move bytes of device memory, in order of their time.

    The time of a group is that from its start on the device to its end.
    """
    found: list[Dot] = []
    for group in Account(compiled).groups:
        did, ps = group.launched.did, group.launched.end_ps - group.launched.start_ps
        if did.work.flops and did.traffic.total and ps:
            intensity = did.work.flops / did.traffic.total
            rate = did.work.flops / ps * TERA
            found.append(Dot(group.binding.group.name, intensity, rate, ps))
    return tuple(sorted(found, key=lambda dot: -dot.ps))


def must_be_picture(path: Path) -> str:
    """The format that a path ends in; raises BadOption for another, or if there is no matplotlib.

    It is asked before anything is compiled.
    """
    kind = path.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        raise BadOption(f"--plot {path}: a picture ends in .png or .svg")
    check_writable("--plot", path)
    _figures(path)
    return kind


def draw(path: Path, runs: Sequence[Compiled]) -> None:
    """Write the picture of some runs, log-log, a colour for each; raises BadOption.

    Lines are what a chip allows in each element type, dots are groups, their area follows time.
    """
    kind = must_be_picture(path)
    matplotlib = import_module("matplotlib")
    with matplotlib.rc_context({**STYLE}):
        figure = _figures(path).Figure(figsize=(9, 6), layout="constrained")
        _fill(figure.subplots(), runs)
        try:
            with replacing(path) as file:
                metadata = {"Date": None} if kind == "svg" else {"Software": None}
                figure.savefig(file, format=kind, dpi=150, metadata=metadata)
        except OSError as error:
            raise BadOption(f"--plot {path}: cannot be written: {error.strerror}") from error


def _figures(path: Path) -> Any:
    """The figures of matplotlib, which need no screen."""
    try:
        return import_module("matplotlib.figure")
    except ImportError as error:
        raise BadOption(f"--plot {path}: needs matplotlib: pip install 'emu[plot]'") from error


def _fill(axes: Any, runs: Sequence[Compiled]) -> None:
    found = [(compiled, dots(compiled)) for compiled in runs]
    low, high = _reach([d.intensity for _, all_of in found for d in all_of], runs)
    for number, (compiled, all_of) in enumerate(found):
        colour, chip = f"C{number}", compiled.stack.device.make()
        _roofs(axes, chip, colour, (low, high))
        _dots(axes, all_of, colour)
    labelled = [(d, f"C{n}") for n, (_, all_of) in enumerate(found) for d in all_of[:LABELLED]]
    _labels(axes, labelled)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low, high)
    axes.set_xlabel("operations per byte of device memory")
    axes.set_ylabel("operations per second")
    axes.set_title(f"{short(runs[0].model.name, 40)}: a dot is a group, its area is its time")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(loc="lower right", fontsize=7)


def _reach(intensities: Sequence[float], runs: Sequence[Compiled]) -> tuple[float, float]:
    """The intensities to show: those of all groups and ridges, and some room."""
    ridges = [roof.ridge for compiled in runs for roof in roofs(compiled.stack.device.make())]
    shown = (*intensities, *ridges)
    return min(shown) / 3, max(shown) * 3


def _roofs(axes: Any, chip: Device, colour: str, reach: tuple[float, float]) -> None:
    low, high = reach
    for line, (rate, names) in zip(cycle(LINES), _by_rate(roofs(chip)), strict=False):
        ridge = rate / names[0].bytes_s
        heights = (low * names[0].bytes_s, rate, rate)
        said = f"{chip.name} {', '.join(r.dtype for r in names)}: {rate / TERA:,.3g} TFLOPS"
        axes.plot((low, ridge, high), heights, line, color=colour, linewidth=1, label=said)


def _by_rate(all_of: Sequence[Roof]) -> Iterator[tuple[float, list[Roof]]]:
    """Roofs that are the same line, from the highest down."""
    for rate in sorted({roof.flops_s for roof in all_of}, reverse=True):
        yield rate, [roof for roof in all_of if roof.flops_s == rate]


def _dots(axes: Any, all_of: Sequence[Dot], colour: str) -> None:
    if not all_of:
        return
    most = all_of[0].ps
    areas = [max(SMALLEST_DOT, LARGEST_DOT * dot.ps / most) for dot in all_of]
    places = [dot.intensity for dot in all_of], [dot.flops_s for dot in all_of]
    axes.scatter(*places, s=areas, color=colour, alpha=0.45, edgecolors="black", linewidths=0.4)


def _labels(axes: Any, labelled: Sequence[tuple[Dot, str]]) -> None:
    """Names in the corner that is over all roofs, each with a line to its dot."""
    for number, (dot, colour) in enumerate(labelled):
        axes.annotate(
            f"{short(dot.name, LABEL)} {dot.ps / 1e6:,.1f} us",
            (dot.intensity, dot.flops_s),
            xytext=(0.02, 0.96 - LABEL_STEP * number),
            textcoords="axes fraction",
            fontsize=7,
            color=colour,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.4, "relpos": (1, 0.5)},
        )

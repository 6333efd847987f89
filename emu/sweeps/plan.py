"""What a sweep is to price: axes become points, and every point has one key."""

import hashlib
import json
import random
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias, cast

from emu.devices.datasheet import load_datasheet
from emu.digest import digest
from emu.ir.errors import BadOption, UnknownName
from emu.stack import DEVICE

Point: TypeAlias = Mapping[str, str]
Axes: TypeAlias = Mapping[str, tuple[str, ...]]

SLOTS = (
    *("device", "fusion", "decider", "kernels", "dtype", "layout", "fallback", "array_model"),
    *("residency", "graph_replay"),
)
PREFIXES = ("set.", "dim.", "device.")


@dataclass(frozen=True)
class Plan:
    """A model and the points at which it is priced, in order of their keys, each once.

    ``reprice`` prices the program compiled for the unchanged chip again where only facts of the
    datasheet differ; otherwise every point is compiled anew.
    """

    model: str
    points: tuple[Point, ...]
    reprice: bool = False

    @property
    def digest(self) -> str:
        """What the sweep is: model, points, the facts of their devices, and the version of emu.

        Raises UnknownName or DatasheetError for a device that there is not.
        """
        file = Path(self.model)
        seen = [hashlib.sha256(file.read_bytes()).hexdigest()] if file.is_file() else []
        devices = sorted({point.get("device", DEVICE) for point in self.points})
        seen += [digest(load_datasheet(device)) for device in devices]
        told = [self.model, [key_of(p) for p in self.points], self.reprice, seen, version("emu")]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def key_of(point: Point) -> str:
    """The key of a point: its settings as JSON, in alphabetical order."""
    return json.dumps(dict(sorted(point.items())), separators=(",", ":"))


def plan(
    model: str, axes: Axes, listed: Iterable[Point], sample: int | None, seed: int, reprice: bool
) -> Plan:
    """Return the grid of the axes, or ``sample`` random points of it, and the points of a list.

    Raises BadOption where there is nothing to price or a sample is larger than the grid.
    """
    grid = list(_grid(axes)) if axes else []
    if sample is not None and not 0 < sample <= len(grid):
        raise BadOption(f"--random {sample}: the grid has {len(grid)} points")
    chosen = grid if sample is None else random.Random(seed).sample(grid, sample)
    points = {key_of(point): point for point in (*chosen, *listed)}
    if not points:
        raise BadOption("sweep: nothing to price; give KEY=A,B or --file F.toml")
    return Plan(model, tuple(points[key] for key in sorted(points)), reprice)


def _grid(axes: Axes) -> Iterable[Point]:
    names = sorted(axes)
    return (dict(zip(names, found, strict=True)) for found in product(*(axes[n] for n in names)))


def parse_axes(texts: Iterable[str]) -> Axes:
    """Return the axes that texts KEY=A,B,C stand for; raises BadOption or UnknownName."""
    axes: dict[str, tuple[str, ...]] = {}
    for text in texts:
        key, _, values = text.partition("=")
        found = tuple(dict.fromkeys(v.strip() for v in values.split(",") if v.strip()))
        if not found:
            raise BadOption(f"sweep {text}: write KEY=A,B,C")
        if key in axes:
            raise BadOption(f"sweep {text}: '{key}' is given twice")
        axes[_known(key)] = found
    return axes


def read_plan(path: Path) -> tuple[Axes, tuple[Point, ...]]:
    """Return the ``[axes]`` and the ``[[points]]`` of a TOML file.

    Raises BadOption with the file and the key for what cannot be used.
    """
    try:
        told = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadOption(f"--file {path}: cannot be read: {error}") from error
    if strange := sorted(set(told) - {"axes", "points"}):
        raise BadOption(f"--file {path}: '{strange[0]}' is not [axes] or [[points]]")
    try:
        axes = {_known(key): _texts(value) for key, value in told.get("axes", {}).items()}
        points = [{_known(k): _text(v) for k, v in p.items()} for p in told.get("points", [])]
    except (AttributeError, TypeError, UnknownName) as error:
        raise BadOption(f"--file {path}: {error}") from error
    return axes, tuple(points)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise TypeError(f"an axis is a list of values, not {value!r}")
    return tuple(dict.fromkeys(map(_text, cast("list[Any]", value))))


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(f"a value is a name or a number, not {value!r}")
    return str(value)


def _known(key: str) -> str:
    is_part = any(key.startswith(prefix) and key != prefix for prefix in PREFIXES)
    if key not in SLOTS and not is_part:
        raise UnknownName("key of a sweep", key, (*SLOTS, *(f"{p}KEY" for p in PREFIXES)))
    return key

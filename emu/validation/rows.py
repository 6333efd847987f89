"""Rows of published measurements, from CSV files that say by their columns what they are."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emu.ir.errors import BadValues

FOLDER = Path(__file__).parent / "rows"
SETS = ("gemm", "op", "model", "tpu_v1", "cycles")  # the files of the package, in order
# The columns that make a file one of a set; others may be there, ``stack`` among them.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "gemm": ("device", "dtype", "M", "N", "K", "library", "time_us_derived", "source"),
    "op": ("op", "dtype", "shape", "device", "time_us", "method", "source"),
    "model": (
        *("model", "seq_or_res", "batch", "device", "stack"),
        *("throughput_per_s", "latency_avg_ms", "source"),
    ),
    "tpu_v1": (
        *("app", "layers", "weights_M", "batch", "ops_per_weight_byte"),
        *("TOPS_measured_of_92", "source"),
    ),
    "cycles": ("layer", "M", "N", "K", "scalesim_ws", "scalesim_os", "source"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a file of measurements: the ``cells`` by their column."""

    set: str
    file: str
    line: int
    cells: Mapping[str, str] = field(hash=False)

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")

    def number(self, column: str) -> float:
        """The figure in a column, which must be over 0; raises BadValues."""
        text = self[column]
        try:
            figure = float(text)
        except ValueError:
            figure = 0.0
        if not 0 < figure < float("inf"):
            raise self.error(column, f"must be a number over 0, not '{text}'")
        return figure

    def count(self, column: str) -> int:
        """The whole number over 0 in a column; raises BadValues."""
        figure = self.number(column)
        if figure != int(figure):
            raise self.error(column, f"must be a whole number, not '{self[column]}'")
        return int(figure)

    def percent(self, column: str) -> float | None:
        """The figure from 0 to 100 in a column, None if there is none; raises BadValues."""
        if not (text := self[column]):
            return None
        try:
            figure = float(text)
        except ValueError:
            figure = -1.0
        if not 0 <= figure <= 100:
            raise self.error(column, f"must be a number from 0 to 100, not '{text}'")
        return figure

    def error(self, column: str, why: str) -> BadValues:
        """The error that a cell cannot be used."""
        return BadValues(f"{self.file}:{self.line}: {column}: {why}")


def package_rows() -> tuple[Row, ...]:
    """All rows that come with emu, set by set."""
    return tuple(row for name in SETS for row in read_rows(FOLDER / f"{name}.csv"))


def read_rows(path: Path) -> tuple[Row, ...]:
    """The rows of a CSV file; raises BadValues for a file without the columns of any set."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return tuple(_rows(path, csv.DictReader(file)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        said = " ".join(str(error).split())
        raise BadValues(f"{path}: cannot be read as CSV: {said}") from error


def _rows(path: Path, lines: "csv.DictReader[str]") -> Iterator[Row]:
    kind = _set_of(path, lines.fieldnames or ())
    for number, cells in enumerate(lines, start=2):
        if None in cells or None in cells.values():
            raise BadValues(f"{path}:{number}: has not as many cells as the first line has columns")
        yield Row(kind, str(path), number, {key: cell.strip() for key, cell in cells.items()})


def _set_of(path: Path, columns: Sequence[str]) -> str:
    for name, needed in COLUMNS.items():
        if set(needed) <= set(columns):
            return name
    name, missing = min(
        ((n, [c for c in needed if c not in columns]) for n, needed in COLUMNS.items()),
        key=lambda found: len(found[1]) / len(COLUMNS[found[0]]),
    )
    raise BadValues(f"{path}: nearest to rows of '{name}', but without column {missing[0]}")

"""The results of a sweep as one Parquet file, in order of the keys: the same bytes every time."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from emu.ir.errors import BadOption
from emu.ir.replacing import replacing
from emu.ir.trace import CAUSES
from emu.sweeps.plan import Plan, key_of
from emu.sweeps.point import FIGURES, Result

FILE = "results.parquet"
INTEGERS = (*FIGURES, "groups", *(f"{cause}_ps" for cause in CAUSES))


def must_have_parquet() -> None:
    """Raise BadOption, with what to install, if pyarrow is not there."""
    _arrow("pyarrow")


def write_parquet(folder: Path, plan: Plan, done: Mapping[str, Result]) -> Path:
    """Write a row for each point; a setting is a column of text, a refused point has no figures.

    Raises BadOption if the file cannot be written; what stood there stays then.
    """
    path = folder / FILE
    arrow, parquet = _arrow("pyarrow"), _arrow("pyarrow.parquet")
    try:
        with replacing(path) as file:
            parquet.write_table(_table(arrow, plan, done), file)
    except OSError as error:
        raise BadOption(f"--output {path}: cannot be written: {error.strerror}") from error
    return path


def _table(arrow: Any, plan: Plan, done: Mapping[str, Result]) -> Any:
    rows = [(point, done[key_of(point)]) for point in plan.points]
    names = sorted({name for point in plan.points for name in point})
    texts = {name: [point.get(name) for point, _ in rows] for name in names}
    columns: dict[str, tuple[Any, Sequence[object]]] = {
        "key": (arrow.string(), [key_of(point) for point, _ in rows]),
        "model": (arrow.string(), [plan.model] * len(rows)),
        **{name: (arrow.string(), found) for name, found in texts.items()},
        **{name: (arrow.int64(), [r.get(name) for _, r in rows]) for name in INTEGERS},
        "refused": (arrow.string(), [result["refused"] for _, result in rows]),
    }
    return arrow.table({name: arrow.array(v, kind) for name, (kind, v) in columns.items()})


def _arrow(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise BadOption("sweep: writes Parquet with pyarrow: pip install 'emu[sweep]'") from error

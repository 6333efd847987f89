"""The points of a sweep that no other point beats in all figures at once."""

from collections.abc import Mapping

from emu.ir.errors import BadOption, UnknownName
from emu.sweeps.parquet import INTEGERS
from emu.sweeps.point import Result


def must_be_figures(text: str) -> tuple[str, ...]:
    """The figures that a text names with commas; raises UnknownName, or BadOption for only one."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in INTEGERS:
            raise UnknownName("figure of a sweep", name, INTEGERS)
    if len(names) < 2:
        raise BadOption(f"--pareto {text}: name two or more figures, like latency_ps,energy_pj")
    return names


def front(done: Mapping[str, Result], figures: tuple[str, ...]) -> list[str]:
    """The keys of the points that none beats, by the first figure; smaller is better in each."""
    priced = {key: _values(r, figures) for key, r in done.items() if not r["refused"]}
    kept: list[str] = []
    for key in sorted(priced, key=lambda key: (priced[key], key)):
        if not any(_beats(priced[other], priced[key]) for other in kept):
            kept.append(key)
    return kept


def _values(result: Result, figures: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(int(result[figure]) for figure in figures)


def _beats(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))

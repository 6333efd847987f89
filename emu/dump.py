"""Looking over the compiler's shoulder: the IR after each pass, and the time that each took."""

import re
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TextIO, TypeAlias

from emu.ir.errors import BadOption, UnknownName
from emu.ir.graph import Graph
from emu.ir.place import at
from emu.ir.replacing import replacing
from emu.ir.text import print_graph

Tick: TypeAlias = Callable[[], None]


def unwatched() -> None:
    """One step of long work that nobody looks at."""


@contextmanager
def no_bar(title: str, total: int) -> Generator[Tick, None, None]:
    """Work of ``total`` steps that nobody looks at."""
    del title, total
    yield unwatched


@dataclass(frozen=True)
class Watch:
    """What a pipeline reports to: call it after a pass, or ``stage`` for what is not a pass.

    ``after`` holds the passes whose result is printed, None means all; ``folder`` gets one file per
    pass; ``timings`` collects (name, seconds of wall clock) in the order of the reports.
    ``bar`` shows how far long work is, by its title and the steps that it has.
    """

    after: frozenset[str] | None = frozenset()
    folder: Path | None = None
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    timings: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    bar: Callable[[str, int], AbstractContextManager[Tick]] = no_bar

    def __call__(self, pass_name: str, graph: Graph, seconds: float) -> None:
        """Report the graph that a pass returned."""
        self.stage(pass_name, seconds, lambda: print_graph(graph))

    @contextmanager
    def timed(self, name: str) -> Generator[None, None, None]:
        """Report how long the block took, together with the blocks of that name before."""
        at(name)
        start = perf_counter()
        yield
        seconds = perf_counter() - start
        for i, (known, before) in enumerate(self.timings):
            if known == name:
                self.timings[i] = name, before + seconds
                return
        self.timings.append((name, seconds))

    def stage(self, name: str, seconds: float, text: Callable[[], str] | None = None) -> None:
        """Report one step of the pipeline; ``text`` is called only if somebody wants to see it."""
        self.timings.append((name, seconds))
        shown = self.after is None or name in self.after
        if text is None or not (shown or self.folder):
            return
        content = text()
        if shown:
            self.stream.write(f"// -----// IR after {name} //----- //\n{content}\n\n")
        if self.folder:
            _write(self.folder, f"{len(self.timings):02d}-{_file_name(name)}.mlir", f"{content}\n")


def watch(
    known: Iterable[str],
    after: Sequence[str] = (),
    after_all: bool = False,
    folder: Path | None = None,
) -> Watch:
    """Return the watch of the flags, and make the folder.

    ``known`` are the names that ``after`` may hold, else UnknownName; BadOption if no files can be
    written to the folder.
    """
    names = frozenset(known)
    for name in after:
        if name not in names:
            raise UnknownName("pass", name, names)
    if folder is not None:
        _make(folder)
    return Watch(None if after_all else frozenset(after), folder)


def time_table(timings: Sequence[tuple[str, float]]) -> list[str]:
    """Return the lines of a table: each step, its wall clock in ms and its percentage of all."""
    total = sum(seconds for _, seconds in timings)
    rows = [*timings, ("total", total)]
    width = max(len("pass"), *(len(name) for name, _ in rows))
    head = f"{'pass':<{width}}  {'ms':>10}  {'%':>5}"
    return [head, *(_row(name, width, seconds, total) for name, seconds in rows)]


def _row(name: str, width: int, seconds: float, total: float) -> str:
    percent = 100 * seconds / total if total else 0.0
    return f"{name:<{width}}  {1000 * seconds:10.3f}  {percent:5.1f}"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(folder, error) from None


def _write(folder: Path, name: str, content: str) -> None:
    try:
        with replacing(folder / name) as file:
            file.write(content.encode("ascii"))
    except OSError as error:
        raise _refused(folder / name, error) from None


def _refused(path: Path, error: OSError) -> BadOption:
    return BadOption(f"--dump-ir: cannot write '{path}': {error.strerror}")


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "-", name)

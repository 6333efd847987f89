"""A bar that moves while a command works; only on a terminal, and on its error stream."""

import sys
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager

from emu.dump import Tick, no_bar


def progress(title: str, total: int) -> AbstractContextManager[Tick]:
    """Give what is to be called after each of ``total`` steps; it moves a bar if one is seen."""
    return _bar(title, total) if sys.stderr.isatty() else no_bar(title, total)


@contextmanager
def _bar(title: str, total: int) -> Generator[Tick, None, None]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)

"""Tasks that as many processes work off as there are CPUs."""

import atexit
import gc
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def finished(
    work: Callable[[Task], Result], tasks: Sequence[Task], workers: int | None = None
) -> Iterator[tuple[int, Result]]:
    """Yield the position of each task and its result, as they are done.

    One worker is this process. Raises what ``work`` raises, MemoryError if a process was ended.
    """
    workers = min(workers or os.cpu_count() or 1, len(tasks))
    if workers <= 1:
        yield from enumerate(map(work, tasks))
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), _quietly) as pool:
        places = {pool.submit(work, task): place for place, task in enumerate(tasks)}
        try:
            yield from ((places[future], future.result()) for future in as_completed(places))
        except BrokenProcessPool as error:
            raise MemoryError from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _quietly() -> None:
    """Let an interrupt end a process at once, without a traceback, and collect no garbage."""
    gc.disable()  # results are kept until the process ends, and have hardly any cycles
    atexit.register(os._exit, 0)  # nor are they given back one by one then, which takes seconds
    signal.signal(signal.SIGINT, signal.SIG_DFL)

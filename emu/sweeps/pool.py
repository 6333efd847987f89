"""Who prices the points of a sweep: this process, a pool of processes, or a Dask cluster."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from importlib import import_module
from itertools import islice
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any

from emu.ir.errors import BadOption
from emu.sweeps.plan import Point
from emu.sweeps.point import Result, price

Priced = tuple[Point, Result]
PATIENCE_S = 5


def local(model: str, points: Iterable[Point], reprice: bool, workers: int) -> Iterator[Priced]:
    """Price points in this process, or in ``workers`` of them; each comes as soon as it is done.

    Raises MemoryError if a process was ended.
    """
    if workers == 1:
        yield from ((point, price(model, point, reprice)) for point in points)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), _as_worker) as pool:
        try:
            yield from _in_flight(
                lambda point: pool.submit(price, model, point, reprice), points, 2 * workers
            )
        except BrokenProcessPool as error:
            raise MemoryError from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _in_flight(
    submit: Callable[[Point], "Future[Result]"], points: Iterable[Point], most: int
) -> Iterator[Priced]:
    """Keep few points in flight, since these are lost when the sweep is killed."""
    coming = iter(points)
    flying = {submit(point): point for point in islice(coming, most)}
    while flying:
        for future in wait(flying, return_when=FIRST_COMPLETED).done:
            yield flying.pop(future), future.result()
            flying |= {submit(point): point for point in islice(coming, 1)}


def _as_worker() -> None:
    """End at once with an interrupt, and with the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    Thread(target=_outlive_nobody, daemon=True).start()


def _outlive_nobody() -> None:
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


def dask(model: str, points: Iterable[Point], reprice: bool, address: str) -> Iterator[Priced]:
    """Price points on the workers of a Dask cluster, which have emu installed.

    Raises BadOption if there is no Dask, or nobody answers at the address.
    """
    client = _client(address)
    try:
        listed = list(points)
        futures = client.map(price, [model] * len(listed), listed, [reprice] * len(listed))
        by_key = {future.key: point for future, point in zip(futures, listed, strict=True)}
        for future, result in import_module("distributed").as_completed(futures, with_results=True):
            yield by_key[future.key], result
    finally:
        client.close()


def _client(address: str) -> Any:
    try:
        distributed = import_module("distributed")
    except ImportError as error:
        raise BadOption(f"--dask {address}: needs Dask: pip install 'emu[dask]'") from error
    try:
        return distributed.Client(address, timeout=PATIENCE_S)
    except (OSError, ValueError) as error:
        raise BadOption(f"--dask {address}: no cluster answers there") from error

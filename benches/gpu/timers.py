"""Timers of kernels and calls on a real GPU, and the facts found so far."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

DEVICE = torch.cuda.get_device_name(0)
HALF = torch.float16
FACTS: list[tuple[str, float, str]] = []


def fact(what: str, value: float, unit: str) -> None:
    """Keep and print a fact."""
    FACTS.append((what, value, unit))
    print(f"{what}: {value:.6g} {unit}", flush=True)


def kernel_us(*works: Callable[[], Any], least_ms: float = 30) -> float:
    """Microseconds a call, by events around calls that follow each other; replayed as a graph.

    Several ``works`` take turns, so that what one has read is no longer in L2 at its next turn.
    """
    rounds = -(-10 // len(works))
    graph, side = torch.cuda.CUDAGraph(), torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for work in works:
            work()
    torch.cuda.current_stream().wait_stream(side)
    with torch.cuda.graph(graph):
        for work in works * rounds:
            work()
    times = []
    spent = 0.0
    while spent < least_ms or len(times) < 5:
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        graph.replay()
        last.record()
        torch.cuda.synchronize()
        times.append(first.elapsed_time(last))
        spent += times[-1]
    return statistics.median(times) * 1e3 / (rounds * len(works))


def stream_us(work: Callable[[], Any]) -> float:
    """Microseconds a call when many are launched one after another, without a graph."""
    for _ in range(5):
        work()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(200):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / 200 * 1e6


def wall_us(work: Callable[[], Any], count: int = 30) -> float:
    """Microseconds of one eager call with synchronisation, the median of ``count``."""
    for _ in range(5):
        work()
    times = []
    for _ in range(count):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def capture(work: Callable[[], Any]) -> Callable[[], None]:
    """A graph of the device that replays ``work``."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay

"""When each value lies in device memory: who makes it, who reads it last, and who never does."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from emu.ir.schedule import Binding, Schedule


@dataclass(frozen=True)
class Lifetimes:
    """Where values live.

    ``resident`` values (inputs, weights, constants that are outputs) stay for the whole run, in
    this order; ``dies[i]`` are the values that nothing needs on the device after binding i;
    ``on_device`` are all values that ever need device memory.
    """

    resident: tuple[str, ...]
    dies: Mapping[int, tuple[str, ...]]
    on_device: frozenset[str]


def on_host(binding: Binding) -> bool:
    """Whether the host computes this binding."""
    return binding.program is None


def lifetimes(schedule: Schedule) -> Lifetimes:
    """Return where the values of a schedule live.

    The host keeps all that it ever held: inputs and constants, which come from it, what it
    computed and what was copied to it. So it reads a device value from the device only once, a
    constant that only the host reads takes no device memory, and neither does a value that both
    the host computes and only the host reads.
    """
    graph = schedule.graph
    last = _last_reads(schedule)
    made = {v: i for i, b in enumerate(schedule.bindings) for v in b.inside.outputs}
    device_made = {v: i for v, i in made.items() if not on_host(schedule.bindings[i])}
    kept = {v for v in graph.outputs if v in made}
    resident = (
        *graph.inputs,
        *(v for v in last if v in graph.constants),
        *(v for v in graph.outputs if v in graph.constants and v not in last),
    )
    ends = {**device_made, **{v: i for v, i in last.items() if v in made}}
    return Lifetimes(
        tuple(dict.fromkeys(resident)),
        _by_binding((v, i) for v, i in ends.items() if v not in kept),
        frozenset({*ends, *kept, *resident}),
    )


def _last_reads(schedule: Schedule) -> dict[str, int]:
    """Per value the last binding that reads it on the device, in the order of first reading."""
    last: dict[str, int] = {}
    at_host = {*schedule.graph.inputs, *schedule.graph.constants}
    for i, binding in enumerate(schedule.bindings):
        for value in _reads(schedule, binding):
            if not on_host(binding) or value not in at_host:
                last[value] = i
        if on_host(binding):
            at_host.update(binding.inside.inputs, binding.inside.outputs)
    return last


def _reads(schedule: Schedule, binding: Binding) -> Iterable[str]:
    """The inputs of a binding, without the constants that its tile program has no view of."""
    if binding.program is None:
        return binding.inside.inputs
    viewed = {view.value for view in binding.program.views}
    constants = schedule.graph.constants
    inputs = enumerate(binding.inside.inputs)
    return [v for i, v in inputs if i in viewed or v not in constants]


def _by_binding(ends: Iterable[tuple[str, int]]) -> Mapping[int, tuple[str, ...]]:
    dies: dict[int, list[str]] = {}
    for value, index in ends:
        dies.setdefault(index, []).append(value)
    return {index: tuple(values) for index, values in dies.items()}

"""A stack: one choice for each of the six slots, as one frozen value."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Compiler:
    """What the compiler does: graph passes in order, fusion scope and decider, tuning budget."""

    passes: tuple[str, ...]
    scope: str
    decider: str
    trials: int = 0


@dataclass(frozen=True)
class Chip:
    """The device slot: a datasheet, and how its matrix array is priced."""

    name: str
    array_model: str = "native"


@dataclass(frozen=True)
class Stack:
    """The six slots. The front end captures a whole graph; no orchestrator demands anything."""

    compiler: Compiler
    kernels: str
    device: Chip = field(default_factory=lambda: Chip("gpu"))
    front_end: str = "graph-capture"
    driver: str = "emu"
    orchestrator: str = "none"

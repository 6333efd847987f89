"""Graph capture: launches that follow each other are issued by one call, as one graph.

A driver records launches once and replays them as often as it likes (a graph of CUDA or HIP, a
command graph of SYCL, a trace of TT-Metal). What the host computes or copies cannot be recorded,
so a host call ends a graph, and the launches after it make up another.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from emu.devices.driver.check import IN_GRAPH
from emu.ir.program import Command, Launch, Program, Replay

LEAST = 2  # launches of a graph: one alone gains nothing


def captured(program: Program) -> Program:
    """The program with all launches between two host calls replayed as one graph."""
    pieces = groupby(program.commands, lambda command: isinstance(command, IN_GRAPH))
    commands = (c for inside, piece in pieces for c in _piece(inside, tuple(piece)))
    return replace(program, commands=tuple(commands))


def one_by_one(program: Program) -> Program:
    """The same program without graphs."""
    commands = (c for c in program.commands if not isinstance(c, Replay))
    return replace(program, commands=tuple(commands))


def _piece(inside: bool, commands: Sequence[Command]) -> Iterator[Command]:
    launches = [command for command in commands if isinstance(command, Launch)]
    if not inside or len(launches) < LEAST:
        yield from commands
        return
    first = commands.index(launches[0])
    yield from commands[:first]
    yield Replay(launches[0].index, len(launches))
    yield from commands[first:]

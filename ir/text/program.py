"""The device level: the commands of one stream, in the dialect ``dev``."""

from emu.ir.program import (
    Alloc,
    Command,
    Copy,
    Drop,
    Free,
    HostCall,
    Keep,
    Launch,
    Program,
    Replay,
)
from emu.ir.text.syntax import Function, Values, integer, module, operation, quoted, strings


def print_program(program: Program) -> str:
    """Return a program as one function; values are named as in the graph, by strings."""
    facts = {
        "dev.device": quoted(program.device),
        "dev.inputs": strings(program.inputs),
        "dev.outputs": strings(program.outputs),
        "dev.peak_bytes": integer(program.peak_bytes),
    }
    body = [_command(command) for command in program.commands]
    return module(program.model, [Function("main", Values(), Values(), body)], facts)


def _command(command: Command) -> str:
    name, attrs = _parts(command)
    return operation(name, attrs=attrs)


def _parts(command: Command) -> tuple[str, dict[str, str]]:
    match command:
        case Alloc(value, offset, size):
            room = {"offset": integer(offset), "size": integer(size)}
            return "dev.alloc", {"value": quoted(value), **room}
        case Free(value):
            return "dev.free", {"value": quoted(value)}
        case Keep(value, cores, size):
            room = {"cores": integer(cores), "size": integer(size)}
            return "dev.keep", {"value": quoted(value), **room}
        case Drop(value):
            return "dev.drop", {"value": quoted(value)}
        case Copy(value, to, size):
            return "dev.copy", {"value": quoted(value), "to": quoted(to), "size": integer(size)}
        case Launch():
            return "dev.launch", _call(command) | {"program": quoted(command.program.name)}
        case Replay(index, launches):
            return "dev.replay", {"index": integer(index), "launches": integer(launches)}
        case HostCall():
            return "dev.host_call", _call(command)
        case _:
            return "dev.wait", {}


def _call(command: Launch | HostCall) -> dict[str, str]:
    return {
        "index": integer(command.index),
        "kernel": quoted(command.kernel),
        "ins": strings(command.ins),
        "outs": strings(command.outs),
    }

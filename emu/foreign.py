"""Which commands are about a file of a stranger, and are therefore handed to the guard."""

import shlex
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from emu.flags import limits_of

T = TypeVar("T")

SIDES = ("model", "a", "b")  # the arguments of commands that may name a file


@dataclass(frozen=True)
class Call:
    """What emu was called with; ``alone`` is the process that the guard started for a file."""

    arguments: tuple[str, ...]
    alone: bool


CALL: ContextVar[Call] = ContextVar("call")


def is_path(model: str) -> bool:
    """Whether a model is a path and no name of the zoo: it has a separator or ends in .onnx."""
    return model.endswith(".onnx") or "/" in model


def for_files(command: Callable[..., T]) -> Callable[..., T | int]:
    """Let a command run in a process of its own, under limits, if it is about a file."""

    @wraps(command)
    def called(**given: Any) -> T | int:
        limits = limits_of(given.get("limits"), given.get("more"))
        call = CALL.get()
        if call.alone or not any(is_file(given.get(side) or "") for side in SIDES):
            return command(**given)
        from emu.guard import run_guarded

        return run_guarded(call.arguments, limits)

    return called


def is_file(text: str) -> bool:
    """Whether a model, or a side of ``diff``, is a file: its first word is a path or names one."""
    try:
        words = shlex.split(text)
        return bool(words) and (is_path(words[0]) or Path(words[0]).is_file())
    except (ValueError, OSError):  # a quote that does not end, a name that no file can have
        return False

"""The process that ``emu.guard`` starts: one command about a file of a stranger, under limits.

``python -m emu.guarded NOTE SECONDS MEMORY_BYTES ARGUMENTS...``; NOTE is the descriptor of a file.
"""

import gc
import os
import resource
import sys
import traceback
from importlib import import_module
from math import ceil
from mmap import mmap
from pathlib import Path
from struct import pack
from time import monotonic, process_time

from emu.answer import answer
from emu.cli import invoke
from emu.guard import APART, APART_BYTES, MOST_APART_S, PLACE_BYTES
from emu.ir.errors import Crashed, EmuError, OverLimit
from emu.ir.place import Note, noting


def main() -> int:
    """Run the command that the arguments of the process hold, and return its exit code."""
    gc.disable()  # as `emu` itself does
    note, seconds, memory_bytes = map(int, sys.argv[1:4])
    arguments = sys.argv[4:]
    with mmap(note, PLACE_BYTES + APART_BYTES) as place, noting(_noter(place)):
        if _computes(arguments):
            _make_ready(place)
        _bound(seconds, memory_bytes)
        _silence_c_code()
        return answer(lambda: _work(arguments, place, memory_bytes))


def _computes(arguments: list[str]) -> bool:
    """Whether a command computes values, for which it needs machine code."""
    return arguments[0] in ("run", "ladder", "perturb") and "--no-values" not in arguments


def _make_ready(place: mmap) -> None:
    """Load machine code; where a fresh installation has to compile it, that is no work on a file.

    The file has not been opened yet, so nothing in it can take this time.
    """
    place[PLACE_BYTES:] = pack(APART, MOST_APART_S)
    start = monotonic()
    compiled: bool = import_module("emu.kernels.native.ready").make_ready()
    place[PLACE_BYTES:] = pack(APART, monotonic() - start if compiled else 0.0)


def _bound(seconds: int, memory_bytes: int) -> None:
    """Limit this process; what it maps of files does not count, as nothing of it is kept."""
    threads = os.cpu_count() or 1
    used = ceil(process_time())
    for what, most in (
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_CPU, used + seconds * threads),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def _silence_c_code() -> None:
    """Only Python may speak: libraries print warnings of their own, and their last words."""
    sys.stderr = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _noter(place: mmap) -> Note:
    def note(where: str) -> None:
        text = where.encode("utf-8", "replace")[:PLACE_BYTES]
        place[:PLACE_BYTES] = text.ljust(PLACE_BYTES, b"\0")

    return note


def _work(arguments: list[str], place: mmap, memory_bytes: int) -> int:
    """Do the command; whatever goes wrong that nobody foresaw is still one line with the place."""
    try:
        return invoke(arguments, alone=True)
    except (EmuError, OSError):
        raise
    except MemoryError as error:
        why = f"needs over {memory_bytes:,} bytes of memory (--limits memory_bytes=N)"
        raise OverLimit(f"{_text(place)}: {why}") from error
    except Exception as error:
        raise Crashed(f"{_text(place)}: not supported: {_said(error)}") from error


def _text(place: mmap) -> str:
    return place[:PLACE_BYTES].rstrip(b"\0").decode("utf-8", "ignore") or "start"


def _said(error: Exception) -> str:
    """What an unforeseen error is, and the line of emu that it came out of."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "site-packages" not in f.filename] or frames
    line = f"{Path(own[-1].filename).name}:{own[-1].lineno}"
    return f"{type(error).__name__} at {line}: {error}"


if __name__ == "__main__":
    raise SystemExit(main())

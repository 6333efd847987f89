"""What a command answers with: an exit code, and one line on stderr if something went wrong."""

import os
import sys
from collections.abc import Callable

from emu.ir.errors import EmuError

LONGEST_LINE = 295  # printable characters behind "emu: "
INTERRUPTED = 130
USAGE = 2
DOES_NOT_FIT = 3


def answer(work: Callable[[], int]) -> int:
    """Return the exit code of ``work``; what it raises is one line on stderr and a code."""
    try:
        return work()
    except EmuError as error:
        return failed(str(error), error.exit_code)
    except MemoryError:
        return failed(
            "this machine's memory is too small (run --no-values needs little)", DOES_NOT_FIT
        )
    except KeyboardInterrupt:
        return INTERRUPTED
    except (BrokenPipeError, SystemExit):  # typer answers to a broken pipe with an exit
        return _give_up_output(0)
    except OSError as error:  # files raise errors of their own; what is left is standard output
        return _give_up_output(failed(f"cannot print: {error.strerror}", USAGE))


def failed(message: str, code: int) -> int:
    """Say in one line what went wrong, and return the exit code."""
    line = "".join(c if c.isprintable() else "?" for c in " ".join(message.split()))
    if len(line) > LONGEST_LINE:  # names may be long; what is wrong stands at the end
        line = f"{line[: LONGEST_LINE // 2]} ... {line[-LONGEST_LINE // 2 + 5 :]}"
    print(f"emu: {line}", file=sys.stderr)
    return code


def _give_up_output(code: int) -> int:
    """Nobody can read on: let what is still to be flushed go nowhere."""
    if sys.__stdout__ is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())
    return code

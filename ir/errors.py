"""Every error that emu raises on purpose, with the exit code that the command line returns.

EmuError                    1
├── VerifyError             1  a pass broke an invariant of the IR (a bug of the pass)
├── InputError              2  what the user gave cannot be used
│   ├── UnknownName         2  no model, device, scope, library or pass has this name
│   ├── BadOption           2  a flag has an impossible value, or two flags exclude each other
│   ├── ModelError          2  the file is not a model that emu can read
│   ├── UnboundDimension    2  a symbolic dimension has no number
│   ├── BadValues           2  input values have a wrong name, shape or dtype
│   └── DatasheetError      2  a device file lacks a field or has an impossible number
├── ContainerError          2  a device binary is damaged or was made for another device
├── CapacityError           3  the model does not fit the device
└── Unsupported             4  something in the model is outside what the stack can do
    ├── UnsupportedOp       4  an op (named with its node) has no rule
    └── NoKernel            4  no library, generator or host can compute a group
"""

from collections.abc import Iterable
from difflib import get_close_matches


class EmuError(Exception):
    """Root of all errors that emu raises on purpose; the command line prints one line for each."""

    exit_code = 1


class VerifyError(EmuError):
    """A pass broke an invariant of the IR; the message quotes the node."""


class InputError(EmuError):
    """What the user gave cannot be used."""

    exit_code = 2


class UnknownName(InputError):
    """No model, device, scope, library or pass has this name."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Say which ``kind`` of name was not found among ``known`` and which one is near."""
        names = sorted(known)
        plain = {other.lower(): other for other in names}
        close = get_close_matches(name.lower(), plain, n=1)
        hint = f"did you mean '{plain[close[0]]}'?" if close else f"known: {', '.join(names)}"
        super().__init__(f"unknown {kind} '{name}'; {hint}")


class BadOption(InputError):
    """A flag has an impossible value, or two flags exclude each other."""


class ModelError(InputError):
    """The file is not a model that emu can read."""


class UnboundDimension(InputError):
    """A symbolic dimension has no number."""


class BadValues(InputError):
    """Input values have a wrong name, shape or dtype."""


class DatasheetError(InputError):
    """A device file lacks a field or has an impossible number."""


class ContainerError(EmuError):
    """A device binary is damaged or was made for another device."""

    exit_code = 2


class CapacityError(EmuError):
    """The model does not fit the device."""

    exit_code = 3


class Unsupported(EmuError):
    """Something in the model is outside what the stack can do."""

    exit_code = 4


class UnsupportedOp(Unsupported):
    """An op, named with its node, has no rule."""


class NoKernel(Unsupported):
    """No library, generator or host can compute a group."""

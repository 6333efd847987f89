"""Every error that emu raises on purpose, with the exit code that the command line returns.

EmuError                    1
├── VerifyError             1  a pass broke an invariant of the IR (a bug of the pass)
├── InputError              2  what the user gave cannot be used
│   ├── UnknownName         2  no model, device, scope, library or pass has this name
│   ├── BadOption           2  a flag has an impossible value, or two flags exclude each other
│   ├── ModelError          2  the file is not a model that emu can read
│   │   ├── WrongElement    2  an op does not take this element type
│   │   └── NoOracle        2  onnxruntime has no code for an op in this element type
│   ├── UnboundDimension    2  a symbolic dimension has no number
│   ├── BadValues           2  input values have a wrong name, shape or dtype
│   │   └── OtherTypes      2  values lead to other shapes than the program was compiled for
│   ├── DatasheetError      2  a device file lacks a field or has an impossible number
│   ├── CatalogueError      2  a file of a stack, a part or an interface cannot be used
│   ├── RunFileError        2  the file is not a run that emu kept, or not a whole one
│   └── OverLimit           2  a file is, or asks for, more than a limit allows
├── ContainerError          2  a device binary is damaged or was made for another device
├── DriverMisuse            1  a caller broke a rule of the driver's functions (a bug of the caller)
│   ├── ContextClosed       1  the context was not opened, or is closed
│   ├── ForeignHandle       1  a handle is of another context, or of another kind
│   ├── StaleHandle         1  memory was freed before
│   ├── NotLoaded           1  a launch is in no module that was loaded
│   ├── NotRecorded         1  an event was never recorded
│   └── NotCaptured         1  a capture of launches does not begin and end in turn
├── CapacityError           3  the model does not fit the device
├── ContractError           4  two parts of a stack do not fit: have and need, by contract and stage
│   ├── KernelNotRegistered 4  K1 lower    no kernel for the op under the front end's dispatch key
│   ├── NoCommonIR          4  K2 capture  the compiler does not parse what the front end emits
│   ├── DynamicShape        4  K2 capture  a static compiler is given a symbolic dimension
│   ├── GraphBreak          4  K2 capture  the program reads a value in the middle
│   ├── SymbolNotFound      4  K3 lower    a symbol of the compiler is exported by no library
│   ├── LayoutUnrepresentable 4  K4 lower  no layout that both sides of an edge can hold
│   ├── AbiMismatch         4  K5 link     the driver does not export what the library imports
│   ├── NoBinaryForDevice   4  K6 load     no section of the binary is for this chip
│   ├── VersionSkew         4  K6 load     format or ISA are outside of the driver's window
│   ├── PortableTooNew      4  K6 load     a portable section is newer than the driver
│   ├── DeviceNotBound      4  K7 bind     the driver does not know the chip
│   ├── FirmwareAuth        4  K7 bind     the chip does not accept the firmware's signature
│   ├── FirmwareVersion     4  K7 bind     the firmware is of another version
│   ├── ApiUnknown          4  K8 admit    no management function of this name
│   ├── NotSupported        4  K8 admit    the placement table has no such partition
│   └── TelemetryMissing    4  K8 admit    a figure that the policy demands is not measured
└── Unsupported             4  something in the model is outside what the stack can do
    ├── DataDependent       4  only values say which shapes there are, and there are none
    ├── UnsupportedOp       4  an op (named with its node) has no rule
    │   └── NotConstant     4  a rule has to know a value that the model computes or is given
    ├── MissingExtra        4  a node needs a package that is not installed
    ├── NoKernel            4  no library, generator or host can compute a group
    └── Crashed             4  the process that worked on a file did not survive it
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


class WrongElement(ModelError):
    """An op does not take this element type."""


class NoOracle(ModelError):
    """onnxruntime has no code for an op in this element type."""


class UnboundDimension(InputError):
    """A symbolic dimension has no number."""


class BadValues(InputError):
    """Input values have a wrong name, shape or dtype."""


class OtherTypes(BadValues):
    """Values lead to other shapes than those that the program was compiled for."""


class DatasheetError(InputError):
    """A device file lacks a field or has an impossible number."""


class CatalogueError(InputError):
    """A file of a stack, a part or an interface cannot be used; the message names file and key."""


class RunFileError(InputError):
    """The file is not a run that emu kept, or not a whole one."""


class OverLimit(InputError):
    """A file is, or asks for, more than a limit allows; the message names limit and place."""


class ContainerError(EmuError):
    """A device binary is damaged or was made for another device."""

    exit_code = 2


class DriverMisuse(EmuError):
    """A caller broke a rule of the driver's functions; a bug of the caller, not of the user."""


class ContextClosed(DriverMisuse):
    """A context was used before it was opened, or after it was closed."""


class ForeignHandle(DriverMisuse):
    """A handle is of another context, or of another kind than the function takes."""


class StaleHandle(DriverMisuse):
    """Memory was used or freed after it had been freed."""


class NotLoaded(DriverMisuse):
    """A launch was asked for that no loaded module has."""


class NotRecorded(DriverMisuse):
    """An event was waited for that no stream ever recorded."""


class NotCaptured(DriverMisuse):
    """A capture of launches began within another, or ended without having begun."""


class CapacityError(EmuError):
    """The model does not fit the device."""

    exit_code = 3


class ContractError(EmuError):
    """Two parts of a stack do not fit; ``contract`` and ``stage`` say where it showed.

    ``have`` and ``need`` are what one side offers and the other demands, as text.
    """

    exit_code = 4
    contract = ""
    stage = ""

    def __init__(self, what: str, have: object, need: object) -> None:
        """Say what was tried, and the two sides."""
        super().__init__(f"{self.contract} at {self.stage}: {what}: have {have}, need {need}")
        self.what, self.have, self.need = what, str(have), str(need)

    def __reduce__(self) -> tuple[type["ContractError"], tuple[str, str, str]]:
        """As it was made, so that it can come from another process."""
        return type(self), (self.what, self.have, self.need)


class KernelNotRegistered(ContractError):
    """No kernel is registered for an op under the front end's dispatch key."""

    contract, stage = "K1", "lower"


class NoCommonIR(ContractError):
    """The compiler does not parse what the front end emits."""

    contract, stage = "K2", "capture"


class DynamicShape(ContractError):
    """A compiler that wants static shapes is given a symbolic dimension."""

    contract, stage = "K2", "capture"


class GraphBreak(ContractError):
    """The program reads a value in the middle, and the front end cannot go on from there."""

    contract, stage = "K2", "capture"


class SymbolNotFound(ContractError):
    """A symbol that the compiler emitted is exported by no kernel library."""

    contract, stage = "K3", "lower"


class LayoutUnrepresentable(ContractError):
    """No layout can be held by both sides of an edge."""

    contract, stage = "K4", "lower"


class AbiMismatch(ContractError):
    """The driver does not export a function that the kernel library imports."""

    contract, stage = "K5", "link"


class NoBinaryForDevice(ContractError):
    """No section of a binary is for this chip."""

    contract, stage = "K6", "load"


class VersionSkew(ContractError):
    """The format or the ISA of a binary is outside of what the driver takes."""

    contract, stage = "K6", "load"


class PortableTooNew(ContractError):
    """A portable section is newer than the driver."""

    contract, stage = "K6", "load"


class DeviceNotBound(ContractError):
    """The driver does not know the chip that it probed."""

    contract, stage = "K7", "bind"


class FirmwareAuth(ContractError):
    """The boot ROM does not accept the signature of the firmware."""

    contract, stage = "K7", "bind"


class FirmwareVersion(ContractError):
    """The firmware is not of the version that the boot ROM demands."""

    contract, stage = "K7", "bind"


class ApiUnknown(ContractError):
    """The driver's management table has no function of this name."""

    contract, stage = "K8", "admit"


class NotSupported(ContractError):
    """The chip has no placement for the partition that was asked for."""

    contract, stage = "K8", "admit"


class TelemetryMissing(ContractError):
    """A figure that the policy demands is not measured."""

    contract, stage = "K8", "admit"


class Unsupported(EmuError):
    """Something in the model is outside what the stack can do."""

    exit_code = 4


class DataDependent(Unsupported):
    """Only values say which shapes there are, and the import was given none."""


class UnsupportedOp(Unsupported):
    """An op, named with its node, has no rule."""


class NotConstant(UnsupportedOp):
    """A rule has to know a value that the model computes, or is given as an input."""

    def __init__(self, where: str, what: str, value: str) -> None:
        """Say at which node ``what`` is the ``value`` that is not known."""
        super().__init__(f"{where}: {what} ('{value}') is not a constant")
        self.value = value


class MissingExtra(Unsupported):
    """A node needs a package that is not installed; the message names the extra that has it."""


class NoKernel(Unsupported):
    """No library, generator or host can compute a group."""


class Crashed(Unsupported):
    """The process that worked on a file did not survive it; the message names the place."""

"""The flags that commands share, as values; a command takes one and gets all of its flags."""

import inspect
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from emu.ir.errors import BadOption
from emu.models.limits import KEYS, Limits, limits_with

T = TypeVar("T")


SetFlag = Annotated[
    list[str] | None, typer.Option("--set", help="A setting of a zoo model, KEY=N.")
]
DimFlag = Annotated[
    list[str] | None, typer.Option("--dim", help="A symbolic dimension of a file, NAME=N.")
]
LimitsFlag = Annotated[
    list[str] | None,
    typer.Option("--limits", help="What a file may be and ask for, KEY=N: see docs/limits.md."),
]
MOST_DIGITS = 18


@dataclass(frozen=True)
class StackFlags:
    """The flags that replace slots of the neutral stack, or what a slot says."""

    device: Annotated[str, typer.Option("--device", "-d", help="A name of `emu list devices`.")] = (
        "gpu"
    )
    device_file: Annotated[
        Path | None, typer.Option("--device-file", help="A datasheet of your own, .toml.")
    ] = None
    set_device: Annotated[
        str | None,
        typer.Option("--set-device", help="What if a fact of the chip was another: KEY=N[,KEY=N]."),
    ] = None
    fusion: Annotated[str, typer.Option("--fusion", "-f", help="A name of `emu list scopes`.")] = (
        "vertical"
    )
    decider: Annotated[
        str | None,
        typer.Option("--decider", help="A name of `emu list deciders`; the scope has a default."),
    ] = None
    kernels: Annotated[
        str, typer.Option("--kernels", "-k", help="A name of `emu list kernels`.")
    ] = "deep"
    passes: Annotated[
        str | None,
        typer.Option("--passes", help="Graph passes by name, with commas; '' for none at all."),
    ] = None
    dtype: Annotated[
        str, typer.Option("--dtype", help="What it computes in: fp32, fp16, bf16, int8 or fp8.")
    ] = "fp32"
    calibration: Annotated[
        Path | None,
        typer.Option("--calibration", help="Inputs that int8 and fp8 take scales from, .npz."),
    ] = None
    layout: Annotated[
        str, typer.Option("--layout", help="auto, nchw, nhwc, blocked, t8x128 or t32x32.")
    ] = "auto"
    tiling: Annotated[
        str | None,
        typer.Option("--tiling", help="How tiles are chosen: heuristic, exhaustive or tuned."),
    ] = None
    tune_trials: Annotated[
        int, typer.Option("--tune-trials", min=0, help="Tilings to try for a generated kernel.")
    ] = 0
    tuning_db: Annotated[
        Path | None, typer.Option("--tuning-db", help="A database of tilings that were tuned.")
    ] = None
    fallback: Annotated[
        str,
        typer.Option(
            "--fallback",
            help="What no kernel claims is generated, composed of kernels, or goes to host.",
        ),
    ] = "generated"
    residency: Annotated[
        str, typer.Option("--residency", help="on: values stay on chip between launches; off.")
    ] = "off"
    graph_replay: Annotated[
        str,
        typer.Option("--graph-replay", help="on: one call issues launches up to a host call; off."),
    ] = "off"
    over_capacity: Annotated[
        bool,
        typer.Option(
            "--over-capacity", help="Price what does not fit the device memory, and say so."
        ),
    ] = False
    array_model: Annotated[
        str,
        typer.Option(
            "--array-model",
            help="native, scalesim-ws, scalesim-is, scalesim-os or onnxim-ws: what an array costs.",
        ),
    ] = "native"


@dataclass(frozen=True)
class RungFlags(StackFlags):
    """The flags of a stack where some slots can have several choices, with commas, or ``all``."""

    device: Annotated[
        str, typer.Option("--device", "-d", help="Names of `emu list devices`, or all.")
    ] = "gpu"
    fusion: Annotated[
        str, typer.Option("--fusion", "-f", help="Names of `emu list scopes`, or all.")
    ] = "all"
    kernels: Annotated[
        str, typer.Option("--kernels", "-k", help="Names of `emu list kernels`, or all.")
    ] = "all"


@dataclass(frozen=True)
class ModelFlags:
    """The flags that shape a model."""

    more: Annotated[
        list[str] | None,
        typer.Argument(help="More KEY=N after --set, --dim or --limits.", show_default=False),
    ] = None
    set_: SetFlag = None
    dim: DimFlag = None
    limits: LimitsFlag = None


@dataclass(frozen=True)
class LookFlags:
    """The flags that show what happens on the way."""

    time_passes: Annotated[
        bool, typer.Option("--time-passes", help="Say on stderr how long every stage took.")
    ] = False
    print_ir_after: Annotated[
        list[str] | None, typer.Option("--print-ir-after", help="Print the graph after this pass.")
    ] = None
    print_ir_after_all: Annotated[
        bool, typer.Option("--print-ir-after-all", help="Print the graph after every pass.")
    ] = False
    dump_ir: Annotated[
        Path | None, typer.Option("--dump-ir", help="A folder for the graph after every pass.")
    ] = None


@dataclass(frozen=True)
class SizeFlags:
    """What batches or lengths are run on a stack, and the buckets that they are run in."""

    batches: Annotated[
        str | None,
        typer.Option("--batches", help="On a --stack, with its batch left open: N,N,..."),
    ] = None
    lengths: Annotated[
        str | None,
        typer.Option("--lengths", help="On a --stack, with its sequences left open: N,N,..."),
    ] = None
    buckets: Annotated[
        str | None,
        typer.Option("--buckets", help="The batches or lengths to compile for ahead, N,N,..."),
    ] = None

    @property
    def asked(self) -> bool:
        """Whether any is said."""
        return any(said is not None for said in (self.batches, self.lengths, self.buckets))


@dataclass(frozen=True)
class Request:
    """A model on a stack, as flags name them; an empty name is a model that is not named."""

    model: str
    shape: ModelFlags
    stack: StackFlags


def numbers(flag: str, pairs: Iterable[str]) -> Mapping[str, int]:
    """Return KEY=N pairs; raise BadOption for anything else, and for a key given twice."""
    found: dict[str, int] = {}
    for pair in pairs:
        key, equals, number = pair.partition("=")
        if not equals or not key or not number.isascii() or not number.isdigit():
            raise BadOption(f"{flag} {pair}: write KEY=N with a whole number N")
        if len(number) > MOST_DIGITS:
            raise BadOption(f"{flag} {key}: a number has at most {MOST_DIGITS} digits")
        if key in found:
            raise BadOption(f"{flag} {pair}: '{key}' is given twice")
        found[key] = int(number)
    return found


def limits_of(limits: Iterable[str] | None, more: Iterable[str] | None) -> Limits:
    """Return the limits that --limits asks for, which may go on in ``more`` words."""
    given, rest = tuple(limits or ()), tuple(more or ())
    also = [word for word in rest if given and is_limit(word)]
    return limits_with(numbers("--limits", (*given, *also)))


def is_limit(pair: str) -> bool:
    """Whether a pair KEY=N has the key of a limit."""
    return pair.partition("=")[0] in KEYS


def spread(command: Callable[..., T]) -> Callable[..., T]:
    """Let typer see, instead of a parameter that is a dataclass, a flag for each of its fields."""
    parameters = inspect.signature(command, eval_str=True).parameters.values()
    shown = [flag for p in parameters for flag in _flags_of(p)]

    @wraps(command)
    def called(**given: Any) -> T:
        values = {p.name: _value(p, given) for p in parameters}
        return command(**values)

    called.__dict__["__signature__"] = inspect.Signature(shown)
    called.__annotations__ = {flag.name: flag.annotation for flag in shown}
    return called


def _flags_of(parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
    if not is_dataclass(parameter.annotation):
        yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        return
    for field in fields(parameter.annotation):
        yield inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_default(field),
            annotation=field.type,
        )


def _value(parameter: inspect.Parameter, given: dict[str, Any]) -> Any:
    """The value of a parameter out of the flags that typer found."""
    kind = parameter.annotation
    if not is_dataclass(kind):
        return given[parameter.name]
    make: Callable[..., object] = parameter.annotation
    return make(**{field.name: given[field.name] for field in fields(kind)})


def _default(field: Field[Any]) -> Any:
    return inspect.Parameter.empty if field.default is MISSING else field.default


def parse_request(text: str) -> Request:
    """Return the model and stack of a quoted text: "[MODEL] [--device D] [--fusion S] ...".

    Raises BadOption with the text for a flag that does not exist or a value that it cannot have.
    """
    try:
        words = shlex.split(text)
        found = _parser()(words, prog_name="emu", standalone_mode=False)
    except ValueError as error:
        raise BadOption(f"'{text}': {error}") from error
    except typer.TyperException as error:
        raise BadOption(f"'{text}': {error.format_message().rstrip('.')}") from error
    assert isinstance(found, Request)  # typer returns what its only command does
    return found


def _parser() -> typer.Typer:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(add_help_option=False)(spread(_request))
    return app


def _request(
    model: Annotated[str, typer.Argument()] = "", *, shape: ModelFlags, stack: StackFlags
) -> Request:
    return Request(model, shape, stack)

"""The command line. Nothing heavy is imported before a command runs, so that --help is quick."""

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from emu.ir.errors import EmuError

app = typer.Typer(
    name="emu",
    help="Take an ONNX model down a whole AI software stack and account for every picosecond.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
INTERRUPTED = 130
USAGE = 2

Model = Annotated[str, typer.Argument(help="A name of `emu list models`, or a path to .onnx.")]
Extra = Annotated[
    list[str] | None, typer.Argument(help="More KEY=N after --set or --dim.", show_default=False)
]
Device = Annotated[str, typer.Option("--device", "-d", help="A name of `emu list devices`.")]
FusionScope = Annotated[str, typer.Option("--fusion", "-f", help="A name of `emu list scopes`.")]
Kernels = Annotated[str, typer.Option("--kernels", "-k", help="A name of `emu list kernels`.")]
Passes = Annotated[
    str | None,
    typer.Option("--passes", help="Graph passes by name, with commas; '' for none at all."),
]
Array = Annotated[
    str,
    typer.Option(
        "--array-model",
        help="native, scalesim-ws, scalesim-is, scalesim-os or onnxim-ws: what an array costs.",
    ),
]
Set = Annotated[list[str] | None, typer.Option("--set", help="A setting of a zoo model, KEY=N.")]
Dim = Annotated[
    list[str] | None, typer.Option("--dim", help="A symbolic dimension of a file, NAME=N.")
]
After = Annotated[
    list[str] | None, typer.Option("--print-ir-after", help="Print the graph after this pass.")
]
AfterAll = Annotated[
    bool, typer.Option("--print-ir-after-all", help="Print the graph after every pass.")
]
Dump = Annotated[
    Path | None, typer.Option("--dump-ir", help="A folder for the graph after every pass.")
]
TimePasses = Annotated[
    bool, typer.Option("--time-passes", help="Say on stderr how long every stage took.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command(
    epilog="Examples:  emu run resnet50 --device systolic --fusion global  |  "
    "emu run bert_layer --set batch=8 seq=512 --json  |  emu run model.onnx --dim N=4"
)
def run(
    model: Model,
    more: Extra = None,
    device: Device = "gpu",
    fusion: FusionScope = "vertical",
    kernels: Kernels = "deep",
    passes: Passes = None,
    executor: Annotated[
        str, typer.Option(help="fast, or tiles: interpret every tile program literally.")
    ] = "fast",
    array_model: Array = "native",
    set_: Set = None,
    dim: Dim = None,
    inputs: Annotated[Path | None, typer.Option(help="Input values, .npz.")] = None,
    outputs: Annotated[Path | None, typer.Option(help="Write the outputs, .npz.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of random inputs.")] = 0,
    no_values: Annotated[bool, typer.Option("--no-values", help="Price shapes only.")] = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Do not compare with onnxruntime.")
    ] = False,
    json: Json = False,
    time_passes: TimePasses = False,
    print_ir_after: After = None,
    print_ir_after_all: AfterAll = False,
    dump_ir: Dump = None,
) -> None:
    """Run a model: latency, utilisation, traffic, energy, coverage, values, and the ledger."""
    from emu import commands

    flags = commands.Flags(
        model,
        device,
        fusion,
        kernels,
        passes,
        array_model,
        tuple(set_ or ()),
        tuple(dim or ()),
        tuple(more or ()),
        tuple(print_ir_after or ()),
        print_ir_after_all,
        dump_ir,
        time_passes,
    )
    values = commands.ValueFlags(executor, inputs, outputs, seed, not no_values, not no_check)
    raise typer.Exit(commands.run(flags, values, json))


@app.command(
    epilog="Examples:  emu show conv_block --level tile --device systolic  |  "
    "emu show bert_layer --level fused --fusion pattern"
)
def show(
    model: Model,
    more: Extra = None,
    level: Annotated[
        str, typer.Option("--level", "-l", help="graph, fused, kernel, tile or device.")
    ] = "graph",
    device: Device = "gpu",
    fusion: FusionScope = "vertical",
    kernels: Kernels = "deep",
    passes: Passes = None,
    array_model: Array = "native",
    set_: Set = None,
    dim: Dim = None,
    time_passes: TimePasses = False,
    print_ir_after: After = None,
    print_ir_after_all: AfterAll = False,
    dump_ir: Dump = None,
) -> None:
    """Print one level of the flow as MLIR text."""
    from emu import commands

    flags = commands.Flags(
        model,
        device,
        fusion,
        kernels,
        passes,
        array_model,
        tuple(set_ or ()),
        tuple(dim or ()),
        tuple(more or ()),
        tuple(print_ir_after or ()),
        print_ir_after_all,
        dump_ir,
        time_passes,
    )
    commands.show(flags, level)


@app.command("list", epilog="Examples:  emu list models  |  emu list devices --json")
def list_(
    kind: Annotated[str, typer.Argument(help="devices, models, kernels, scopes or passes.")],
    json: Json = False,
) -> None:
    """List what there is to choose from."""
    from emu import listing

    listing.show(kind, json)


@app.command(epilog="Example:  emu export gpt2 --set layers=2 -o gpt2.onnx")
def export(
    model: Model,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    more: Extra = None,
    set_: Set = None,
) -> None:
    """Write a model of the zoo as an ONNX file with its weights."""
    from emu import commands

    commands.export(model, output, (*(set_ or ()), *(more or ())))


@app.command(epilog="Example:  emu doctor")
def doctor() -> None:
    """Say what works in this installation."""
    from emu import doctor as examination

    raise typer.Exit(examination.examine())


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; a user's mistake is one line on stderr."""
    gc.disable()  # a command ends soon, and what it makes has hardly any cycles
    return _guarded(lambda: _invoke(arguments))


def _invoke(arguments: list[str] | None) -> int:
    try:
        result = app(arguments, prog_name="emu", standalone_mode=False)
    except typer.TyperException as error:
        print(f"emu: {_one_line(str(error))}; see emu --help", file=sys.stderr)
        return USAGE
    except typer.Abort:
        return INTERRUPTED
    return result if isinstance(result, int) else 0


def _guarded(work: Callable[[], int]) -> int:
    try:
        return work()
    except EmuError as error:
        print(f"emu: {_one_line(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def _one_line(text: str) -> str:
    return " ".join(text.split())

"""The command line. Nothing heavy is imported before a command runs, so that --help is quick."""

import gc
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, TextIO

import typer

from emu import cli_chips, cli_stacks, cli_sweep
from emu.answer import USAGE, answer, failed
from emu.flags import (
    LimitsFlag,
    LookFlags,
    ModelFlags,
    RungFlags,
    SetFlag,
    SizeFlags,
    StackFlags,
    limits_of,
    spread,
)
from emu.foreign import CALL, Call, for_files

app = typer.Typer(
    name="emu",
    help="Take an ONNX model down a whole AI software stack and account for every picosecond.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
DIFF_FLAGS = frozenset(("--model", "-m", "--limits", "--json", "--help", "-h", "--"))


def _examples(*commands: str) -> str:
    r"""The end of a help text, one command a line; \b keeps the lines as they are."""
    return "\n".join(("\b", "Examples:", *(f"  emu {command}" for command in commands)))


Model = Annotated[str, typer.Argument(help="A name of `emu list models`, or a path to .onnx.")]
Trace = Annotated[
    Path | None, typer.Option("--trace", help="Write its events for Perfetto, .json.")
]
Threads = Annotated[
    int, typer.Option("--threads", help="Compute values on N threads, with the same bits.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command(
    epilog=_examples(
        "run resnet50 --device systolic --fusion global",
        "run bert_layer --set batch=8 seq=512 --no-values --json",
        "run resnet50 --fusion none --passes fold-batch-norm --time-passes",
        "run resnet50 --no-values --free launch,intermediate -o resnet50.emurun",
        "run resnet50 --stack cuda-like --no-values",
        "run resnet50 --stack my-stack.toml --no-values",
        "run mlp --stack cuda-like --batches 1,8,1,16",
        "run mlp --stack rbln-like --batches 1,5,20 --buckets 1,8",
        "run decoder --stack rbln-like --lengths 4,12,30 --buckets 8,32",
        "run resnet50 --no-values --trace resnet50.json",
        "run model.onnx --dim N=4 --inputs in.npz --outputs out.npz",
        "run gpt2 --threads 4 --no-check",
        "run model.onnx --limits seconds=60 memory_bytes=8000000000",
        "run decoder --no-values --over-capacity --set layers=80 hidden=8192 heads=64 kv_heads=8",
    )
)
@for_files
@spread
def run(
    context: typer.Context,
    model: Model,
    shape: ModelFlags,
    stack: StackFlags,
    look: LookFlags,
    sizes: SizeFlags,
    executor: Annotated[
        str, typer.Option(help="fast, or tiles: interpret every tile program literally.")
    ] = "fast",
    inputs: Annotated[Path | None, typer.Option(help="Input values, .npz.")] = None,
    outputs: Annotated[Path | None, typer.Option(help="Write the outputs, .npz.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of random inputs.")] = 0,
    threads: Threads = 1,
    no_values: Annotated[bool, typer.Option("--no-values", help="Price shapes only.")] = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Do not compare with onnxruntime.")
    ] = False,
    free: Annotated[
        str | None,
        typer.Option("--free", help="What if these causes took no time: CAUSE[,CAUSE]."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Keep the run in a file, .emurun.")
    ] = None,
    on: Annotated[
        str | None,
        typer.Option("--stack", help=f"{cli_stacks.STACK} Other flags override it."),
    ] = None,
    trace: Trace = None,
    json: Json = False,
) -> None:
    """Run a model: latency, utilisation, traffic, energy, coverage, values, and the ledger."""
    from emu import commands

    if sizes.asked:
        from emu.lockin import sizes_run

        asked, check = commands.Request(model, shape, stack), not (no_values or no_check)
        sizes_run.run(asked, on, sizes, _given(context), check, json)
        return
    bring = None
    if on is not None:
        from emu.lockin.stacked import on_stack

        bring = on_stack(on, _given(context))
    said = (executor, inputs, outputs, seed, not no_values, not no_check, threads)
    values = commands.ValueFlags(*said)
    after = commands.AfterFlags(free, output, trace)
    commands.run(commands.Request(model, shape, stack), look, values, after, json, bring)


def _given(context: typer.Context) -> frozenset[str]:
    """The parameters that the user gave; the others have their defaults."""
    sources = ((name, context.get_parameter_source(name)) for name in context.params)
    return frozenset(name for name, source in sources if source and source.name == "COMMANDLINE")


@app.command(
    epilog=_examples(
        "ladder resnet50 -d all --no-values",
        "ladder bert_layer --fusion none,vertical --kernels basic,vendor --csv -",
        "ladder resnet50 -d gpu,systolic --threads 2",
    )
)
@for_files
@spread
def ladder(
    model: Model,
    shape: ModelFlags,
    stack: RungFlags,
    threads: Threads = 1,
    no_values: Annotated[bool, typer.Option("--no-values", help="Price shapes only.")] = False,
    csv: Annotated[
        str | None, typer.Option("--csv", help="Write the cells as CSV, to a file or - to print.")
    ] = None,
    json: Json = False,
) -> None:
    """Compare every fusion scope, library depth and device on one model, with equal values."""
    from emu.studies import ladder as climbing

    flags = climbing.LadderFlags(not no_values, csv, json, threads)
    climbing.ladder(climbing.Request(model, shape, stack), flags)


@app.command(
    epilog=_examples(
        "diff 'resnet50 --fusion none' '--fusion vertical'",
        "diff a.emurun b.emurun --json",
        "diff '-k basic' '-k vendor' --model bert_layer",
    )
)
@for_files
def diff(
    a: Annotated[str, typer.Argument(help="A run file, or '[MODEL] [flags of a stack]'.")],
    b: Annotated[str, typer.Argument(help="What it is compared with, said in the same way.")],
    model: Annotated[
        str, typer.Option("--model", "-m", help="The model of a side that names none.")
    ] = "",
    limits: LimitsFlag = None,
    json: Json = False,
) -> None:
    """Split the gap between two runs by cause and node, exactly, and match their groups."""
    from emu.studies import diff as differing

    differing.diff(a, b, model, json, limits)


@app.command(
    epilog=_examples(
        "show conv_block --level tile --device systolic",
        "show bert_layer --level fused --fusion pattern",
        "show conv_block --level device --trace conv_block.json",
    )
)
@for_files
@spread
def show(
    model: Model,
    shape: ModelFlags,
    stack: StackFlags,
    look: LookFlags,
    level: Annotated[
        str, typer.Option("--level", "-l", help="graph, fused, kernel, tile or device.")
    ] = "graph",
    trace: Trace = None,
) -> None:
    """Print one level of the flow as MLIR text."""
    from emu import commands

    commands.show(commands.Request(model, shape, stack), look, level, trace)


@app.command(
    epilog=_examples(
        "tune resnet50 --kernels generated --tune-trials 64 --tuning-db tunings.db",
        "run resnet50 --kernels generated --tuning-db tunings.db",
    )
)
@for_files
@spread
def tune(model: Model, shape: ModelFlags, stack: StackFlags, json: Json = False) -> None:
    """Tune the tiles of every kernel that the compiler generates, and keep what was found."""
    from emu.tuning import command as tuning

    tuning.tune(tuning.Request(model, shape, stack), json)


@app.command(
    epilog=_examples(
        "explain bert_layer layer.gelu.erf --device npu",
        "explain resnet50 --explain-all --fusion global --json",
    )
)
@for_files
@spread
def explain(
    model: Model,
    node: Annotated[str | None, typer.Argument(help="A node of the model, by its name.")] = None,
    *,
    shape: ModelFlags,
    stack: StackFlags,
    explain_all: Annotated[
        bool, typer.Option("--explain-all", help="Every decision about every node.")
    ] = False,
    json: Json = False,
) -> None:
    """Say why a node became what it did: every decision that touched it, in order."""
    from emu.studies import explain as explaining

    explaining.explain(explaining.Request(model, shape, stack), node, explain_all, json)


@app.command(
    epilog=_examples(
        "perturb bert_layer", "perturb bert_layer --node layer.attention.scale -d npu --json"
    )
)
@for_files
@spread
def perturb(
    model: Model,
    shape: ModelFlags,
    stack: StackFlags,
    node: Annotated[
        str | None, typer.Option("--node", help="Only where it touches this node of the model.")
    ] = None,
    threads: Threads = 1,
    no_values: Annotated[bool, typer.Option("--no-values", help="Price shapes only.")] = False,
    json: Json = False,
) -> None:
    """Spell the same mathematics in other ways, and say what every scope makes of each."""
    from emu.studies import perturb_report

    asked = perturb_report.Request(model, shape, stack)
    perturb_report.show(asked, node, not no_values, threads, json)


@app.command(
    epilog=_examples("coverage bert_layer -d npu -k basic", "coverage gpt2 -k reference --json")
)
@for_files
@spread
def coverage(model: Model, shape: ModelFlags, stack: StackFlags, json: Json = False) -> None:
    """Say who computes a model, and which missing kernel would remove most time, step by step."""
    from emu.studies import coverage_report

    coverage_report.show(coverage_report.Request(model, shape, stack), json)


app.command(
    epilog=_examples(
        "swap cuda-like --replace driver=amdgpu-like",
        "swap cuda-like --replace kernels=cublas-like --model bert_layer --values --json",
        "swap cuda-like --replace kernels=cublas-like --model mlp --batches 1,8,1",
    )
)(for_files(cli_stacks.swap))
app.command(
    epilog=_examples(
        "lockin rbln-like --model bert_layer", "lockin cuda-like --dot cuda.dot", "lockin --json"
    )
)(for_files(cli_stacks.lockin))
app.command(epilog=_examples("readiness rbln-like --model bert_layer"))(
    for_files(cli_stacks.readiness)
)
app.command("show-stack", epilog=_examples("show-stack furiosa-like"))(cli_stacks.show_stack)


@app.command("list", epilog=_examples("list models", "list devices --facts"))
def list_(
    kind: Annotated[
        str,
        typer.Argument(
            help="devices, models, kernels, scopes, deciders, spellings, passes, stacks or slots."
        ),
    ],
    facts: Annotated[
        bool, typer.Option("--facts", help="With devices: their clocks, peaks, memory and power.")
    ] = False,
    json: Json = False,
) -> None:
    """List what there is to choose from."""
    from emu import listing

    listing.show(kind, json, facts)


@app.command(epilog=_examples("export gpt2 --set layers=2 seq=64 -o gpt2.onnx"))
@for_files
def export(
    model: Model,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    more: Annotated[
        list[str] | None, typer.Argument(help="More KEY=N after --set.", show_default=False)
    ] = None,
    set_: SetFlag = None,
    limits: LimitsFlag = None,
) -> None:
    """Write a model as an ONNX file with its weights."""
    from emu import commands

    commands.export(model, output, (*(set_ or ()), *(more or ())), limits_of(limits, None))


@app.command(epilog=_examples("doctor"))
def doctor() -> None:
    """Say what works in this installation."""
    from emu import doctor as examination

    raise typer.Exit(examination.examine())


app.command("show-device", epilog=_examples("show-device a100_sxm80"))(cli_chips.show_device)
app.command(epilog=_examples("ops Mod TopK", "ops -d gpu --why", "ops --json"))(cli_chips.ops)
app.command(epilog=_examples("validate", "validate --device a100_sxm80 --json"))(cli_chips.validate)
app.command(
    epilog=_examples(
        "sweep resnet50 device=gpu,npu fusion=none,vertical set.batch=1,8 -o out",
        "sweep resnet50 device.memory.dram.bandwidth_gb_s=1000,2000 --reprice -o what-if",
    )
)(cli_sweep.sweep)
app.command(
    epilog=_examples(
        "roofline resnet50 -d gpu,npu",
        "roofline resnet50 -d a100_sxm80,h100_sxm --dtype fp16 --plot roofline.png",
    )
)(for_files(cli_sweep.roofline))


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; a user's mistake is one line on stderr."""
    gc.disable()  # a command ends soon, and what it makes has hardly any cycles
    given = sys.argv[1:] if arguments is None else arguments
    _print_any_name(sys.stdout)
    return answer(lambda: invoke(given or ["--help"]))


def _print_any_name(stream: TextIO) -> None:
    """Names of a model may be in a script that the terminal has not."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def invoke(arguments: list[str], alone: bool = False) -> int:
    """Run one command, ``alone`` in a process that was started for it; return its exit code."""
    CALL.set(Call(tuple(arguments), alone))
    try:
        result = app(_quoted(arguments), prog_name="emu", standalone_mode=False)
    except typer.TyperException as error:
        return failed(_usage(error), USAGE)
    sys.stdout.flush()  # or a closed pipe would only be noticed when the interpreter ends
    return result if isinstance(result, int) else 0


def _quoted(words: list[str]) -> list[str]:
    """Let flags of a stack be arguments of ``diff``: a space says that they are not its own."""
    if words[0] != "diff":
        return words
    flags = [w.startswith("-") and w.partition("=")[0] not in DIFF_FLAGS for w in words]
    return [f" {w}" if is_flag else w for w, is_flag in zip(words, flags, strict=True)]


def _usage(error: typer.TyperException) -> str:
    near: tuple[str, ...] = tuple(getattr(error, "possibilities", None) or ())
    said = error.message if near else error.format_message()
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"{said.rstrip('.')}{hint} (see emu --help)"

"""The commands about whole stacks: what holds them together, and what a substitution meets."""

from pathlib import Path
from typing import Annotated

import typer

from emu.flags import spread
from emu.ir.errors import BadOption
from emu.lockin.flags import ProgramFlags, TryFlags

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
STACK = "A name of `emu list stacks`, or a file of your own, .toml."
Stack = Annotated[str, typer.Argument(help=STACK)]


@spread
def swap(
    stack: Stack,
    replace: Annotated[
        list[str] | None,
        typer.Option("--replace", help="What stands in a slot now: SLOT=NAME or SLOT=NAME+NAME."),
    ] = None,
    *,
    tried: TryFlags,
    values: Annotated[
        bool, typer.Option("--values", help="Compute the values of both stacks and compare.")
    ] = False,
    batches: Annotated[
        str | None,
        typer.Option("--batches", help="Leave the batch open, and run both stacks at N,N,..."),
    ] = None,
    json: Json = False,
) -> None:
    """Replace parts of a stack, try to run it, and say what stops it or how much slower it is."""
    from emu.lockin import commands

    commands.swap(stack, tuple(replace or ()), tried, commands.After(values, batches), json)


@spread
def lockin(
    stack: Annotated[str | None, typer.Argument(help=STACK)] = None,
    *,
    tried: TryFlags,
    cost: Annotated[
        bool, typer.Option("--cost", help="What leaving for each other chip costs, and why.")
    ] = False,
    dot: Annotated[
        Path | None, typer.Option("--dot", help="Draw what moves together, as Graphviz text.")
    ] = None,
    json: Json = False,
) -> None:
    """Try every alternative of every slot of one stack, or of all, and sum up what holds it."""
    from emu.lockin import commands

    if cost and dot is not None:
        raise BadOption(f"--dot {dot}: does not go with --cost, which draws nothing")
    if cost:
        commands.cost(stack, tried, json)
        return
    commands.lockin(stack, tried, dot, json)


@spread
def readiness(
    stack: Stack,
    against: Annotated[
        str, typer.Option("--against", help="The incumbent stack, a name or a file.")
    ] = "cuda-like",
    *,
    program: ProgramFlags,
    json: Json = False,
) -> None:
    """Say how far a stack is: what it takes in, how fast it is, how it can be operated."""
    from emu.lockin import readiness_report as measuring

    measuring.readiness(stack, against, program, json)


def show_stack(stack: Stack, json: Json = False) -> None:
    """Print the parts of a stack with their interfaces, and each fact as sourced or assumed."""
    from emu.lockin import commands

    commands.show_stack(stack, json)

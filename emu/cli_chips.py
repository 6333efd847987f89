"""The commands about chips, what they run, how far to trust them; cli.py names them."""

from pathlib import Path
from typing import Annotated

import typer


def validate(
    device: Annotated[
        str | None, typer.Option("--device", "-d", help="Only rows of this chip or card.")
    ] = None,
    rows: Annotated[
        Path | None, typer.Option("--rows", help="Other measurements, .csv, instead of emu's.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Hold the cost models to published measurements: every row, its error, and what counts."""
    from emu import validate as validating

    validating.show(device, rows, json)


def show_device(
    name: Annotated[str, typer.Argument(help="A name of `emu list devices`, or a path to .toml.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print all figures of a chip: sources, what is assumed, and where sources disagree."""
    from emu import chips

    chips.show(name, json)


def ops(
    names: Annotated[
        list[str] | None, typer.Argument(help="Ops of ONNX; all with node tests if none is named.")
    ] = None,
    device: Annotated[
        str, typer.Option("--device", "-d", help="One or more of `emu list devices`, with commas.")
    ] = "gpu,systolic,npu",
    why: Annotated[
        bool, typer.Option("--why", help="A line for each test that a device does not run alone.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say who computes each op of ONNX, by running ONNX's own node tests on each device."""
    from emu.studies import node_tests_report as telling

    telling.show(names or (), device, why, json)

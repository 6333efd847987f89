"""The commands that price a model many times; cli.py gives them their names."""

from pathlib import Path
from typing import Annotated

import typer

from emu.flags import ModelFlags, StackFlags, spread


def sweep(
    model: Annotated[str, typer.Argument(help="A name of `emu list models`, or a path to .onnx.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder of the sweep.")],
    axes: Annotated[
        list[str] | None,
        typer.Argument(
            help="KEY=A,B,C: device, fusion, decider, kernels, dtype, layout, fallback, "
            "array_model, set.SETTING, dim.NAME, or device.FACT of its datasheet.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="[axes] and [[points]] in a .toml.")
    ] = None,
    random: Annotated[
        int | None, typer.Option("--random", help="Only so many random points of the grid.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the random points.")] = 0,
    reprice: Annotated[
        bool, typer.Option("--reprice", help="Keep programs where only device.FACT differs.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes; one for each core if not given.")
    ] = None,
    dask: Annotated[
        str | None, typer.Option("--dask", help="Address of a Dask cluster that is there.")
    ] = None,
    pareto: Annotated[
        str | None, typer.Option("--pareto", help="Print what none beats: FIGURE,FIGURE.")
    ] = None,
) -> None:
    """Price a model at many points, into Parquet; a sweep that was killed continues."""
    from emu.sweeps import command as sweeping

    flags = sweeping.SweepFlags(output, file, random, seed, reprice, workers, dask, pareto)
    sweeping.sweep(model, axes or (), flags)


@spread
def roofline(
    model: Annotated[str, typer.Argument(help="A name of `emu list models`, or a path to .onnx.")],
    shape: ModelFlags,
    stack: StackFlags,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw roofs and groups, .png or .svg.")
    ] = None,
) -> None:
    """Compare what operations and bytes allow with what a run takes; --device A,B for several."""
    from emu.studies import roofline as bounding

    bounding.roofline(bounding.Request(model, shape, stack), plot)

"""The roofline of a model on chips: what its products and bytes allow, and what a run takes."""

from dataclasses import replace
from pathlib import Path

from emu.account import Account
from emu.commands import compile_asked
from emu.dump import Watch
from emu.flags import Request
from emu.ir.errors import BadOption
from emu.run import Compiled
from emu.studies.roofline_plot import draw, must_be_picture
from emu.table import table

HEAD = ("device", "flop/byte", "products us", "bytes us", "bound", "run us", "of bound")
PS_PER_US = 1e6


def roofline(asked: Request, plot: Path | None = None) -> None:
    """Print a row for each device of ``asked``, whose names stand between commas; draw a picture.

    Raises BadOption for no device, or a picture that cannot be drawn.
    """
    names = tuple(name.strip() for name in asked.stack.device.split(",") if name.strip())
    if not names:
        raise BadOption(f"--device '{asked.stack.device}': write names with commas")
    if plot is not None:
        must_be_picture(plot)
    stacks = (replace(asked.stack, device=name) for name in names)
    made = [compile_asked(replace(asked, stack=stack), Watch()).compiled for stack in stacks]
    print("\n".join(table(HEAD, [roofline_row(compiled) for compiled in made])))
    if plot is not None:
        draw(plot, made)


def roofline_row(compiled: Compiled) -> tuple[str, ...]:
    """Operations a byte, the two bounds, the larger one, the latency, and bound over latency.

    The bounds are the true operations at the chip's peak, and the bytes of device memory that
    moved at the memory's rate. Williams, Waterman and Patterson, Roofline, 2009.
    """
    computing, moving = bounds_ps(compiled)
    trace = compiled.trace
    moved, flops = trace.did.traffic.total, trace.did.work.flops
    return (
        compiled.stack.device.name,
        f"{flops / moved:.1f}" if moved else "-",
        f"{computing / PS_PER_US:.1f}",
        f"{moving / PS_PER_US:.1f}",
        "products" if computing >= moving else "bytes",
        f"{trace.total_ps / PS_PER_US:.1f}",
        f"{max(computing, moving) / trace.total_ps:.0%}" if trace.total_ps else "-",
    )


def bounds_ps(compiled: Compiled) -> tuple[float, float]:
    """The picoseconds that operations take at the peak, and the bytes at the memory's rate."""
    account = Account(compiled)
    moving = float(account.traffic.total / account.chip.rates.dram)
    return account.utilisation * compiled.trace.total_ps, moving

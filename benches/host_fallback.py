"""How far the speed-up of a chip over the host falls as ops of a model go to the host.

Prints, for a chip, the geometric means over the corpus of ``emu.lockin.fallback`` as a Markdown
table, and how they move with the facts of host and link. ``--cases`` prints every case.
"""

import argparse
from collections.abc import Iterator, Sequence

from emu.devices.datasheet import Datasheet, load_datasheet
from emu.devices.make import device_of
from emu.lockin.fallback import CLASSES, Case, cases, table


def lines(found: Sequence[Case], sheet: Datasheet) -> Iterator[str]:
    """The table: a row for each setting of host and link."""
    named = ["0" if high == 0 else f"{low}-{high}" for low, high in CLASSES]
    counts = [sum(case.group == group for case in found) for group in CLASSES]
    heads = [f"{name} on the host ({n})" for name, n in zip(named, counts, strict=True)]
    yield f"| {sheet.name} | {' | '.join([*heads, 'falls by'])} |"
    yield "|---" * (len(heads) + 2) + "|"
    for row in table(found, sheet):
        means = " | ".join(f"{mean:.1f}x" for mean in row.means)
        falls = ", ".join(f"{fall:.1f}x" for fall in row.falls)
        yield f"| {row.what} | {means} | {falls} |"


def options() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="tt_n150", help="a chip that emu knows")
    parser.add_argument("--dtype", default="bf16", help="element type on the chip")
    parser.add_argument("--each", type=int, default=4, help="sets of ops per model and class")
    parser.add_argument("--cases", action="store_true", help="print every case too")
    return parser.parse_args()


def main() -> None:
    """Compile the corpus, and print the table."""
    asked = options()
    sheet = load_datasheet(asked.device)
    found = tuple(cases(asked.device, asked.dtype, asked.each))
    print("\n".join(lines(found, sheet)))
    chip = device_of(sheet)
    for case in found if asked.cases else ():
        lost = " ".join(case.removed) or "(nothing)"
        print(f"{case.model}: {lost}: {case.on_host}, {case.speed_up(chip):.1f}x")


if __name__ == "__main__":
    main()

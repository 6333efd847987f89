"""The values of every free or slower cell of the matrix, compared with the stack as it was.

Prints a line per stack and one for each cell that differs, and exits with 1 if one does. The tests
do the same on a sample of cells.
"""

import argparse
from collections.abc import Iterator, Sequence

from emu.lockin.catalogue import load_catalogue
from emu.lockin.compare import Compared, compared
from emu.lockin.outcome import Bench, Outcome
from emu.lockin.parts import SLOTS, Bundle, title
from emu.lockin.source import Source
from emu.lockin.trial import Laboratory
from emu.models.model import Model
from emu.models.reader import to_graph
from emu.models.zoo import build


def running(bench: Bench) -> Iterator[Outcome]:
    """The outcome of each alternative of one slot with which the stack is free or slower."""
    for slot in SLOTS:
        for bundle in bench.laboratory.catalogue.options(slot):
            if bundle != bench.base[slot] and (found := _run(bench, {slot: bundle})) is not None:
                yield found


def _run(bench: Bench, replaced: dict[str, Bundle]) -> Outcome | None:
    """The outcome if it runs, found without a search for what would lift one that does not."""
    if bench.laboratory.refusal({**bench.base, **replaced}) is not None:
        return None
    found = bench.swap(replaced)
    return found if found.kind in ("free", "slower") else None


def checked(model: Model, bench: Bench) -> list[tuple[Outcome, Compared]]:
    """Each cell that is free or slower, and how its values compare."""
    return [(cell, compared(model, bench, cell)) for cell in running(bench)]


def _named(cell: Outcome) -> str:
    return " ".join(f"{slot}={title(bundle)}" for slot, bundle in cell.replaced.items())


def report(stack: str, found: Sequence[tuple[Outcome, Compared]]) -> bool:
    """Print what came of a stack; whether all values are equal."""
    wrong = [(cell, check) for cell, check in found if check.said != "checked"]
    print(f"{stack}: {len(found) - len(wrong)} of {len(found)} cells have equal values", flush=True)
    for cell, check in wrong:
        print(f"  {_named(cell)}: {check}")
    return not wrong


def main() -> int:
    """Compare the cells of all stacks on the models that were asked for; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["mlp", "bert_layer", "resnet50"])
    catalogue, equal = load_catalogue(), True
    for name in parser.parse_args().models:
        model = build(name, {})
        laboratory = Laboratory(catalogue, Source(to_graph(model, {})))
        print(f"{name}:")
        for stack, base in catalogue.stacks.items():
            bench = Bench(laboratory, base)
            equal = report(stack, checked(model, bench)) and equal
    return 0 if equal else 1


if __name__ == "__main__":
    raise SystemExit(main())

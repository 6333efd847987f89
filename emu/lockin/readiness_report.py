"""What `emu readiness` prints, as text and as JSON (emu.readiness/1)."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from textwrap import wrap

from emu.ir.errors import BadOption
from emu.lockin.asked import opened_in
from emu.lockin.flags import ProgramFlags
from emu.lockin.outcome import Bench
from emu.lockin.readiness import Stage, stages
from emu.lockin.stacked import catalogue_with, known_stack
from emu.table import COLUMNS


def readiness(stack: str, against: str, flags: ProgramFlags, as_json: bool) -> None:
    """Measure a stack against another, print three stages; raises BadOption or UnknownName."""
    catalogue, (stack, incumbent) = catalogue_with((stack, against))
    if stack == incumbent:
        raise BadOption(f"--against {against}: a stack is not measured against itself")
    _, laboratory = opened_in(catalogue, flags)
    benches = [Bench(laboratory, known_stack(catalogue, name)) for name in (stack, incumbent)]
    found = stages(*benches)
    if as_json:
        said = {"schema": "emu.readiness/1", "stack": stack}
        print(json.dumps({**said, "stages": [asdict(stage) for stage in found]}))
        return
    print("\n".join(stages_text(stack, incumbent, flags.model, found)))


def stages_text(stack: str, against: str, model: str, found: Sequence[Stage]) -> Iterator[str]:
    """The stages with their scores, what was seen, and what is missing."""
    yield f"{stack} against {against} on {model}"
    for stage in found:
        yield ""
        yield f"{stage.name}: {stage.score:.0%}"
        for said in stage.evidence:
            yield from _indented("  ", said)
        for said in stage.missing:
            yield from _indented("  missing: ", said)


def _indented(start: str, text: str) -> list[str]:
    return wrap(start + text, COLUMNS, subsequent_indent="    ")

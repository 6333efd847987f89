"""The flags that the commands about whole stacks share."""

from dataclasses import dataclass
from typing import Annotated

import typer

from emu.flags import DimFlag, ModelFlags, SetFlag


@dataclass(frozen=True)
class ProgramFlags:
    """The flags that say which program stacks are to run."""

    model: Annotated[
        str, typer.Option("--model", "-m", help="A name of `emu list models`, or a path.")
    ] = "resnet50"
    set_: SetFlag = None
    dim: DimFlag = None
    symbolic_batch: Annotated[
        bool, typer.Option("--symbolic-batch", help="The program leaves its batch open.")
    ] = False
    host_read: Annotated[
        bool, typer.Option("--host-read", help="The program reads a value in its middle.")
    ] = False

    @property
    def shape(self) -> ModelFlags:
        """The flags that shape the model."""
        return ModelFlags(None, self.set_, self.dim)


@dataclass(frozen=True)
class TryFlags(ProgramFlags):
    """The flags that say on what a substitution is tried, and what counts as too slow."""

    floor: Annotated[
        float, typer.Option("--floor", min=1, help="How many times slower is too slow.")
    ] = 10.0
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", help="A slot that stays as it is; the device if not given."),
    ] = None

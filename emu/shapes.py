"""A model with symbolic dimensions, compiled once for each shape that it meets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Unpack

from emu.ir.types import Array
from emu.models.dims import dims_of, input_types
from emu.models.limits import LIMITS, Limits
from emu.models.model import Model
from emu.pipeline import Executable, compile, open_model
from emu.run import Run
from emu.stack import Choices


class Shapes:
    """The executables of one model on one stack, by the numbers of its symbolic dimensions."""

    def __init__(
        self, model: str | Path | Model, *, limits: Limits = LIMITS, **choices: Unpack[Choices]
    ) -> None:
        """Open the model; nothing is compiled yet."""
        self.model = open_model(model, {}, limits)
        self.choices = choices
        self.compiled: dict[tuple[tuple[str, int], ...], Executable] = {}

    def executable(self, dims: Mapping[str, int]) -> Executable:
        """What is compiled for these dimensions, the first time that they are asked for.

        Raises UnboundDimension, UnknownName or BadOption for dimensions that do not fit the model.
        """
        key = tuple(sorted(dims.items()))
        if key not in self.compiled:
            self.compiled[key] = compile(self.model, dims=dims, **self.choices)
        return self.compiled[key]

    def run(self, inputs: Mapping[str, Array]) -> Run:
        """Compute the values of inputs of any shape that the model allows, without a check.

        Raises BadValues for inputs that do not fit it.
        """
        dims = dims_of(input_types(self.model), inputs)
        return self.executable(dims).run(inputs, check=False)

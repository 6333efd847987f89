"""A model with symbolic dimensions, compiled once for each shape that it meets."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Unpack

from emu.ir.errors import DataDependent, NotConstant, OtherTypes
from emu.ir.types import Array
from emu.models.dims import dims_of, input_types
from emu.models.known_inputs import with_known
from emu.models.limits import LIMITS, Limits
from emu.models.model import Model
from emu.models.tensors import inline
from emu.pipeline import Executable, compile, open_model
from emu.run import Run
from emu.stack import Choices


class Shapes:
    """The executables of one model on one stack, by the numbers of its symbolic dimensions.

    Shapes, axes and conditions may be inputs too: they lie with the host, which reads them before
    it compiles, so there are executables for each of their values.
    """

    def __init__(
        self, model: str | Path | Model, *, limits: Limits = LIMITS, **choices: Unpack[Choices]
    ) -> None:
        """Open the model; nothing is compiled yet."""
        self.model = open_model(model, {}, limits)
        self.choices = choices
        self.compiled: dict[tuple[tuple[str, int], ...], Executable] = {}
        self.recorded: dict[tuple[tuple[str, int], ...], list[Executable]] = {}
        self.deciding: set[str] = set()  # inputs that the program follows from
        self.decided: dict[tuple[tuple[str, str], ...], Shapes] = {}

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

        Where only values say which shapes there are, there is one executable for all inputs that
        lead to the same ones. Raises BadValues for inputs that do not fit the model.
        """
        known = {name: array for name, array in inputs.items() if name in self.deciding}
        rest = {name: array for name, array in inputs.items() if name not in known}
        try:
            return self._for(known)._run(rest)
        except NotConstant as error:
            if error.value not in rest:
                raise
            self.deciding.add(error.value)
        return self.run(inputs)

    def _for(self, known: Mapping[str, Array]) -> "Shapes":
        """The same for the model in which some inputs are constants."""
        if not known:
            return self
        key = tuple((name, inline(array).key) for name, array in known.items())
        if key not in self.decided:
            self.decided[key] = Shapes(with_known(self.model, known), **self.choices)
        return self.decided[key]

    def _run(self, inputs: Mapping[str, Array]) -> Run:
        """Run with inputs that the program does not follow from."""
        dims = dims_of(input_types(self.model, inputs), inputs)
        if tuple(sorted(dims.items())) in self.recorded or 0 in dims.values():
            return self._run_recorded(dims, inputs)
        try:
            executable = self.executable(dims)
        except DataDependent:
            return self._run_recorded(dims, inputs)
        return executable.run(inputs, check=False)

    def _run_recorded(self, dims: Mapping[str, int], inputs: Mapping[str, Array]) -> Run:
        """Run what was compiled for the shapes that these inputs lead to; compile it if none is."""
        known = self.recorded.setdefault(tuple(sorted(dims.items())), [])
        for executable in known:
            with suppress(OtherTypes):
                return executable.run(inputs, check=False)
        known.append(compile(self.model, dims=dims, samples=inputs, **self.choices))
        return known[-1].run(inputs, check=False)

"""ONNX's own tests of a backend, each with what came of it; a raise or a skip is not a pass."""

import tomllib
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar
from unittest import SkipTest, TestCase

from onnx import GraphProto, ModelProto, NodeProto
from onnx.backend.test.runner import Runner
from onnx.backend.test.runner.item import TestItem as Item

from emu.backend import Backend, NotSupported, Npu, Prepared, Systolic

BACKENDS: dict[str, type[Backend]] = {"gpu": Backend, "systolic": Systolic, "npu": Npu}
RANDOM = (
    *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
    *("Bernoulli", "Multinomial"),
)
LONGEST_REASON = 300  # characters
# Tests that do not pass, each with its reason and a link to where it is explained.
FAILURES: Mapping[str, Mapping[str, str]] = tomllib.loads(
    (Path(__file__).parent / "data" / "onnx_failures.toml").read_text("utf-8")
)


@dataclass(frozen=True)
class Outcome:
    """One test; ``kind`` is passed, refused (emu says why), wrong, skipped or crashed."""

    name: str
    kind: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.kind:<8} {self.name}: {self.reason}"


@cache
def items(device: str) -> dict[str, Item]:
    """Every test of the runner for a device, by name, in the order of names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cases are computed with numpy when they are listed
        runner = _Runner(_saying(BACKENDS[device]), __name__)
    found: dict[str, dict[str, Item]] = attrgetter("_test_items")(runner)
    named = {n: item for group in found.values() for n, item in group.items() if n[-4:] == "_cpu"}
    return {name.removesuffix("_cpu"): named[name] for name in sorted(named)}


def outcomes(device: str, first: int = 0, step: int = 1) -> Iterator[Outcome]:
    """Run the tests ``first``, ``first + step``, ... on a device."""
    found = items(device)
    return (outcome(name, found[name]) for name in list(found)[first::step])


def surprises(found: Iterable[Outcome]) -> list[str]:
    """What is not as FAILURES says: a test that does not pass, or one there that does."""
    return [str(o) for o in found if (o.kind == "passed") == (o.name in FAILURES)]


def outcome(name: str, item: Item) -> Outcome:
    """Run one test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ONNX's comparison divides by zero
        return Outcome(name, *_tried(item))


class _Runner(Runner):
    """ONNX's runner, which compares random numbers by type and shape."""

    @classmethod
    def assert_similar_outputs(
        cls, ref_outputs: Any, outputs: Any, rtol: float, atol: float, model_dir: str | None = None
    ) -> None:
        if not _Saying.is_random:
            super().assert_similar_outputs(ref_outputs, outputs, rtol, atol, model_dir)
            return
        kinds = [[(a.dtype, a.shape) for a in arrays] for arrays in (outputs, ref_outputs)]
        assert kinds[0] == kinds[1], f"made {kinds[0]}, not {kinds[1]}"


class Refused(Exception):
    """What the runner would hide if it were a NotSupported."""


def _tried(item: Item) -> tuple[str, str]:
    try:
        item.func(TestCase())
    except Refused as error:
        return "refused", _line(error)
    except SkipTest as error:
        return "skipped", _line(error)
    except AssertionError as error:
        return "wrong", _line(error)
    except Exception as error:  # whatever else escapes is what this looks for
        return "crashed", f"{type(error).__name__}: {_line(error)}"
    return "passed", ""


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:LONGEST_REASON]


class _Saying(Prepared):
    is_random: ClassVar[bool] = False  # whether the model that ran last has a random op

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        try:
            return super().run(inputs, **kwargs)
        except NotSupported as error:
            raise Refused(str(error)) from error


def _nodes(graph: GraphProto) -> Iterator[NodeProto]:
    """Every node of a graph and of its subgraphs."""
    for node in graph.node:
        yield node
        for attr in node.attribute:
            yield from _nodes(attr.g)


def _saying(backend: type[Backend]) -> type[Backend]:
    """The backend with refusals that reach the one who counts."""

    class Saying(backend):
        @classmethod
        def prepare(cls, model: ModelProto, device: str = "CPU", **kwargs: Any) -> Prepared:
            _Saying.is_random = any(node.op_type in RANDOM for node in _nodes(model.graph))
            try:
                return _Saying(model, cls.device)
            except NotSupported as error:
                raise Refused(str(error)) from error

    return Saying

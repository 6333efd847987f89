"""Who computes each op of ONNX on a device: seen in the programs that ran ONNX's own node tests.

ONNX's tests of single nodes are run one by one, their values compared, and the program of each is
looked at. An op is what its weakest test is, so that one element type that goes to the host, or
one attribute that is refused, shows.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from onnx import TensorProto, numpy_helper
from onnx.backend.test.case.test_case import TestCase
from onnx.backend.test.loader import load_model_tests
from onnx.backend.test.runner import Runner

from emu.backend import NotSupported, Prepared
from emu.ir.errors import UnknownName
from emu.ir.schedule import COVERAGE
from emu.run import Compiled

FOLDED = "folded"  # nothing is left to launch: all is known when the model is compiled
WRONG = "wrong"
CLASSES = (FOLDED, *COVERAGE, WRONG)  # each weaker than those before it
ON_DEVICE = ("native", "generated", "composed")
RANDOM = ("Bernoulli",)  # of their values only types and shapes are said
LONGEST_REASON = 200  # characters


@dataclass(frozen=True)
class Verdict:
    """Who computed one node test, and why if that is not the device."""

    test: str
    kind: str
    why: str = ""


@dataclass(frozen=True)
class OpClass:
    """What the node tests of one op say about one device."""

    op: str
    verdicts: tuple[Verdict, ...]

    @property
    def kind(self) -> str:
        """The class of the weakest test."""
        return max((v.kind for v in self.verdicts), key=CLASSES.index)

    @property
    def on_device(self) -> int:
        """How many tests launch, move bytes, and need no host."""
        return sum(v.kind in ON_DEVICE for v in self.verdicts)

    @property
    def is_on_device(self) -> bool:
        """Whether some tests run on the device, and no test needs the host or is refused."""
        return self.kind in ON_DEVICE


def node_tests() -> Mapping[str, tuple[TestCase, ...]]:
    """ONNX's node tests by op, in the order of names; the same nodes spelled out do not count."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cases are computed with numpy when they are listed
        cases = load_model_tests(kind="node")
    found: dict[str, list[TestCase]] = {}
    for case in sorted(cases, key=lambda case: case.name):
        assert case.model is not None
        if "_expanded" not in case.name:
            found.setdefault(case.model.graph.node[0].op_type, []).append(case)
    return {op: tuple(found[op]) for op in sorted(found)}


def chosen(tests: Mapping[str, tuple[TestCase, ...]], ops: Sequence[str]) -> Iterable[str]:
    """Return the ops that were asked for, or all; raise UnknownName for one without node tests."""
    for op in ops:
        if op not in tests:
            raise UnknownName("op with node tests", op, tuple(tests))
    return ops or tests


def op_class(op: str, cases: Sequence[TestCase], device: str) -> OpClass:
    """Run node tests of one op on a device."""
    return OpClass(op, tuple(verdict(case, device) for case in cases))


def verdict(case: TestCase, device: str) -> Verdict:
    """Run one node test, compare its values, and say who computed it."""
    try:
        return Verdict(case.name, *_ran(case, device))
    except NotSupported as error:
        return Verdict(case.name, "refused", _line(error))
    except AssertionError as error:
        return Verdict(case.name, WRONG, _line(error))


def _ran(case: TestCase, device: str) -> tuple[str, str]:
    """The class and the reason of the last of the runs of a test."""
    assert case.model is not None
    prepared = Prepared(case.model, device)
    for inputs, wanted in case.data_sets or ():
        outputs = prepared.run([_value(v) for v in inputs])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ONNX's comparison divides by zero
            _compare(case, [_value(v) for v in wanted], outputs)
    assert prepared.ran is not None
    return computed_by(prepared.ran.compiled)


def _compare(case: TestCase, wanted: Sequence[Any], outputs: Sequence[Any]) -> None:
    assert case.model is not None
    if case.model.graph.node[0].op_type in RANDOM:
        assert [(a.dtype, a.shape) for a in outputs] == [(a.dtype, a.shape) for a in wanted]
        return
    _compare_each(case, wanted, outputs)


def _compare_each(case: TestCase, wanted: Sequence[Any], outputs: Sequence[Any]) -> None:
    """Compare outputs, or the tensors that a sequence lists: ONNX's own way fails on numbers."""
    assert len(wanted) == len(outputs), f"{len(outputs)} values instead of {len(wanted)}"
    for each, found in zip(wanted, outputs, strict=True):
        if isinstance(each, list):
            _compare_each(case, cast(list[Any], each), found)
        else:
            Runner.assert_similar_outputs([each], [found], case.rtol, case.atol)


def computed_by(compiled: Compiled) -> tuple[str, str]:
    """The class of the weakest launch of a program, and why it has none better."""
    weak = [b for b in compiled.schedule.bindings if b.coverage not in ON_DEVICE]
    if weak:
        found = max(weak, key=lambda b: CLASSES.index(b.coverage))
        return found.coverage, _line(found.why)
    if not compiled.trace.did.traffic.total:
        return FOLDED, "all is known when the model is compiled"
    return max((b.coverage for b in compiled.schedule.bindings), key=CLASSES.index), ""


def counts(classes: Iterable[OpClass]) -> Mapping[str, int]:
    """How many ops are of each class."""
    found: dict[str, int] = dict.fromkeys(CLASSES, 0)
    for each in classes:
        found[each.kind] += 1
    return found


def _value(value: Any) -> Any:
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else value


def _line(error: object) -> str:
    return " ".join(str(error).split())[:LONGEST_REASON]

"""Which values are those of the reference: near ones, and the same infinities and NaN."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from emu import compile
from emu.executing.values import checked, compare
from emu.ir.types import Array
from emu.run import Check

INF, NAN = float("inf"), float("nan")


def compared(
    monkeypatch: pytest.MonkeyPatch, ours: Sequence[float], theirs: Sequence[float]
) -> Check:
    """The check of one output against a reference that says ``theirs``."""

    def reference(*_: object) -> dict[str, Array]:
        return {"y": np.array(theirs, np.float32)}

    monkeypatch.setattr("emu.executing.values.onnxruntime_outputs", reference)
    return checked(compile("diamond").compiled, {}, {"y": np.array(ours, np.float32)})


def test_the_relative_error_is_of_the_largest_output(monkeypatch: pytest.MonkeyPatch) -> None:
    check = compared(monkeypatch, [1.0, -8.0], [1.5, -8.0])
    assert (check.max_abs_error, check.max_rel_error, check.ok) == (0.5, 0.0625, False)


def test_numbers_that_are_a_step_apart_are_counted_and_said() -> None:
    ours, theirs = (np.array([steps, 0.0, 1.0, -8.0]) for steps in (1.0, 2.0))
    check = compare({"y": ours}, {"y": theirs}, tolerance=0.3)
    assert (check.ok, check.apart, check.numbers) == (True, 1, 4)
    assert str(check).endswith("relative 1.2e-01; 1 of 4 numbers are apart, beyond 1e-04")
    assert "apart" not in str(compare({"y": ours}, {"y": ours}, tolerance=0.3))


@pytest.mark.parametrize(
    "both", [[], [0.0, 0.0], [INF, 1.0], [-INF, 0.0], [NAN, 2.0], [NAN], [INF, -INF, NAN]]
)
def test_equal_values_have_no_error_whatever_they_are(
    monkeypatch: pytest.MonkeyPatch, both: list[float]
) -> None:
    check = compared(monkeypatch, both, both)
    assert (check.max_abs_error, check.max_rel_error, check.ok) == (0.0, 0.0, True)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ([NAN], [1.0]),
        ([1.0], [NAN]),
        ([INF], [-INF]),
        ([1.0], [INF]),
        ([NAN], [INF]),
        ([1.0], [1.0, 1.0]),
    ],
)
def test_what_is_a_number_on_one_side_only_is_infinitely_wrong(
    monkeypatch: pytest.MonkeyPatch, ours: list[float], theirs: list[float]
) -> None:
    check = compared(monkeypatch, ours, theirs)
    assert (check.max_abs_error, check.max_rel_error, check.ok) == (INF, INF, False)


def test_an_infinity_does_not_hide_the_error_of_its_neighbour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert compared(monkeypatch, [INF, 1.0], [INF, 2.0]).max_rel_error == 0.5


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (np.zeros((3, 1)), np.zeros(3), "y has shape [3, 1], not [3]"),
        (np.zeros(()), np.zeros(1), "y has shape [], not [1]"),
        (np.array(["a"], object), np.array(["a", "b"], object), "y has shape [1], not [2]"),
        (
            [np.zeros(2), np.zeros(2)],
            [np.zeros(2), np.zeros((1, 2))],
            "y[1] has shape [2], not [1, 2]",
        ),
        ([np.zeros(2)], [], "y has 1 parts, not 0"),
    ],
)
def test_values_of_another_shape_say_both_shapes(ours: Any, theirs: Any, said: str) -> None:
    check = compare({"x": np.ones(1), "y": ours}, {"x": np.zeros(1), "y": theirs})
    assert (check.max_rel_error, check.ok) == (INF, False)
    assert str(check) == f"onnxruntime within 1e-04: {said}"


def test_values_of_one_shape_say_their_errors() -> None:
    check = compare({"y": np.full(2, 2.5)}, {"y": np.full(2, 2.0)})
    assert str(check) == "onnxruntime within 1e-04: error 5.0e-01, relative 2.5e-01"

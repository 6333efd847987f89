"""Digests do not depend on the process, the order of a set, or anything but the contents."""

import subprocess
import sys
from dataclasses import replace

import pytest

from emu.digest import digest
from emu.ir.body import Body, BodyNode
from emu.ir.types import TensorType

BODY = Body(
    (BodyNode("Add", (0, 1), (2,), (("alpha", 0.5),)),),
    (TensorType("f32", (4, 8)),) * 3,
    2,
    frozenset((0, 1)),
    (2,),
)
AGAIN = "from tests.emu.test_digest import BODY, digest; print(digest(BODY))"


def test_a_body_has_the_same_digest_in_every_process() -> None:
    answers = {
        subprocess.run(
            [sys.executable, "-c", AGAIN],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout.strip()
        for seed in ("0", "1")
    }

    assert answers == {digest(BODY)}


@pytest.mark.parametrize(
    "other",
    [
        replace(BODY, inputs=1),
        replace(BODY, weights=frozenset((0,))),
        replace(BODY, types=(TensorType("f32", (8, 4)),) * 3),
        replace(BODY, nodes=(BodyNode("Sub", (0, 1), (2,), (("alpha", 0.5),)),)),
        replace(BODY, nodes=(BodyNode("Add", (0, 1), (2,), (("alpha", 0.25),)),)),
    ],
)
def test_whatever_differs_gives_another_digest(other: Body) -> None:
    assert digest(other) != digest(BODY)


def test_the_order_of_a_mapping_or_a_set_does_not_count_and_classes_do() -> None:
    assert digest({"a": 1, "b": 2.5}) == digest({"b": 2.5, "a": 1})
    assert digest(frozenset("abc")) == digest(frozenset("cba"))
    assert digest((1, "1", True, None)) != digest((1, 1, True, None))


def test_what_is_not_made_of_frozen_values_has_no_digest() -> None:
    with pytest.raises(TypeError, match="a object has no digest"):
        digest((1, object()))

"""Frozen values go into JSON and come back the same; what has another type is refused by place."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.studies.records import LARGEST, from_json, to_json


@dataclass(frozen=True)
class Leaf:
    name: str
    data: bytes
    is_set: bool | None = None


@dataclass(frozen=True)
class Tree:
    leaves: tuple[Leaf, ...]
    counts: Mapping[str, int]
    numbers: Mapping[str, int | float] = field(default_factory=dict[str, int | float])
    apart: Leaf | None = None


WHOLE = st.integers(-LARGEST, LARGEST)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.builds(Leaf, st.text(), st.binary(), st.sampled_from((None, True, False)))
TREES = st.builds(
    Tree,
    st.lists(LEAVES, max_size=3).map(tuple),
    st.dictionaries(st.text(), WHOLE, max_size=3),
    st.dictionaries(st.text(), WHOLE | FINITE, max_size=3),
    st.none() | LEAVES,
)
PLAIN: dict[str, Any] = {"leaves": [{"name": "a", "data": ""}], "counts": {"b": 1}}


@settings(max_examples=60, deadline=None)
@given(tree=TREES)
def test_a_value_comes_back_through_text_as_it_was(tree: Tree) -> None:
    assert from_json(Tree, json.loads(json.dumps(to_json(tree)))) == tree


def test_what_has_a_default_may_be_left_out() -> None:
    assert from_json(Tree, PLAIN) == Tree((Leaf("a", b""),), {"b": 1})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"counts": {"b": 1.5}}, "t.counts.b is not of type int"),
        ({"counts": {"b": True}}, "t.counts.b is not of type int"),
        ({"counts": {"b": 2**63}}, "t.counts.b is too large"),
        ({"counts": []}, "t.counts is not of type dict"),
        ({"leaves": {}}, "t.leaves is not of type list"),
        ({"leaves": [7]}, r"t.leaves\[0\] is not of type dict"),
        ({"leaves": [{"name": "a"}]}, r"t.leaves\[0\].data is missing"),
        ({"leaves": [{"name": "a", "data": "!"}]}, "base64|padding"),
        ({"leaves": [{"name": "a", "data": "", "is_set": 1}]}, "is_set is not of type"),
        ({"numbers": {"c": float("inf")}}, "t.numbers.c is too large"),
        ({"apart": {"name": 7, "data": ""}}, "t.apart.name is not of type str"),
        ({"apart": [7]}, "t.apart is not of type NoneType"),
        ({"more": 1}, "t.more is not known"),
    ],
)
def test_what_is_of_another_type_is_refused_by_its_place(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        from_json(Tree, {**PLAIN, **change}, "t")

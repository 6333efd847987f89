"""Small models of random ops, so that any two stacks can be compared on them."""

from collections.abc import Sequence

from hypothesis import strategies as st

from emu.models.model import Model
from emu.models.zoo.draft import Draft, fan_in

ROWS, COLUMNS = 6, 10
UNARY = ("Relu", "Sigmoid", "Tanh", "Erf")
BINARY = ("Add", "Mul")
OPS = (*UNARY, *BINARY, "MatMul", "Transpose", "Softmax")


def chain(ops: Sequence[str]) -> Model:
    """The ops one after the other; those of two operands also read the value before the last."""
    draft = Draft(f"chain_{'_'.join(ops)}")
    before = last = draft.input("x", (ROWS, COLUMNS))
    for number, op in enumerate(ops):
        before, last = last, _node(draft, op, f"n{number}", before, last)
    draft.node("Relu", "y", last)
    return draft.finish({"y": (ROWS, COLUMNS)})


def _node(draft: Draft, op: str, name: str, before: str, last: str) -> str:
    if op in BINARY:
        return draft.node(op, name, before, last)
    if op == "MatMul":
        weight = draft.weight(f"{name}.w", (COLUMNS, COLUMNS), fan_in(COLUMNS))
        return draft.node(op, name, last, weight)
    if op == "Transpose":
        turned = draft.node(op, f"{name}.turn", last, perm=(1, 0))
        return draft.node(op, name, turned, perm=(1, 0))
    return draft.node(op, name, last)


def chains(most: int = 6) -> st.SearchStrategy[Model]:
    """Models of up to ``most`` ops."""
    return st.lists(st.sampled_from(OPS), min_size=1, max_size=most).map(chain)

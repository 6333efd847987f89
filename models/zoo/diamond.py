"""The teaching graph of post-dominance: one value, two branches, one join."""

from emu.models.model import Model
from emu.models.zoo.draft import Draft
from emu.models.zoo.transformer import linear


def diamond(*, batch: int = 64, features: int = 256) -> Model:
    """A matmul whose result goes through Sigmoid and through Tanh, which join in a Mul."""
    draft = Draft("diamond")
    x = draft.input("x", (batch, features))
    top = linear(draft, "top", x, (features, features))
    left = draft.node("Sigmoid", "left", top)
    right = draft.node("Tanh", "right", top)
    draft.node("Mul", "y", left, right)
    return draft.finish({"y": (batch, features)})

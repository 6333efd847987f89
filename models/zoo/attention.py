"""The core of attention alone: the graph on which online softmax shows."""

from emu.models.model import Model
from emu.models.zoo.draft import Draft
from emu.models.zoo.transformer import attention_core


def attention(*, batch: int = 1, heads: int = 12, seq: int = 128, size: int = 64) -> Model:
    """softmax(Q K^T / sqrt(size)) V on inputs q, k, v [batch, heads, seq, size]: 5 nodes."""
    draft = Draft("attention")
    shape = (batch, heads, seq, size)
    q, k, v = (draft.input(name, shape) for name in ("q", "k", "v"))
    turned = draft.node("Transpose", "k.turn", k, perm=(0, 1, 3, 2))
    attention_core(draft, "attention", (q, turned, v), size, output="context")
    return draft.finish({"context": shape})

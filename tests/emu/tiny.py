"""Models so small that every tile program can be interpreted quickly."""

from emu.models.model import Model
from emu.models.zoo.attention import attention
from emu.models.zoo.conv_block import conv_block
from emu.models.zoo.draft import Draft, Fill
from emu.models.zoo.mobilenet_v2 import mobilenet_v2
from emu.models.zoo.transformer import (
    attention_core,
    erf_gelu,
    linear,
    spelled_norm,
    tanh_gelu,
)
from emu.models.zoo.unet import unet

SEQ, HIDDEN, WORDS = 12, 40, 50


def tiny_transformer() -> Model:
    """Rows of a table, attention, spelled-out norms, both spellings of GELU: all ops of bert."""
    draft = Draft("tiny_transformer")
    table = draft.weight("table", (WORDS, HIDDEN), Fill(0.0, 1.0))
    x = draft.node("Gather", "embed", table, draft.input("ids", (1, SEQ), "i64"))
    packed = linear(draft, "qkv", x, (HIDDEN, 3 * HIDDEN))
    sizes = draft.ints("sizes", HIDDEN, HIDDEN, HIDDEN)
    q, k, v = draft.split("Split", "split", ("q", "k", "v"), packed, sizes, axis=-1)
    turned = draft.node("Transpose", "turn", k, perm=(0, 2, 1))
    context = attention_core(draft, "attention", (q, turned, v), HIDDEN)
    x = spelled_norm(draft, "norm1", draft.node("Add", "add1", x, context), HIDDEN)
    y = erf_gelu(draft, "erf", linear(draft, "grow", x, (HIDDEN, 2 * HIDDEN)))
    y = tanh_gelu(draft, "tanh", linear(draft, "shrink", y, (2 * HIDDEN, HIDDEN)))
    spelled_norm(draft, "norm2", draft.node("Add", "add2", x, y), HIDDEN, output="out")
    return draft.finish({"out": (1, SEQ, HIDDEN)})


def projections() -> Model:
    """Q, K and V of one input, turned in different ways, and two activations of equal shape."""
    draft = Draft("projections")
    x = draft.input("x", (1, SEQ, HIDDEN))
    shape = draft.ints("shape", 1, SEQ, 2, HIDDEN // 2)
    outputs: dict[str, tuple[int, ...]] = {}
    for name, perm in (("q", (0, 2, 1, 3)), ("k", (0, 2, 3, 1)), ("v", (0, 2, 1, 3))):
        heads = draft.node(
            "Reshape", f"{name}.cut", linear(draft, name, x, (HIDDEN, HIDDEN)), shape
        )
        turned = draft.node("Transpose", f"{name}.turn", heads, perm=perm)
        outputs[turned] = tuple((1, SEQ, 2, HIDDEN // 2)[d] for d in perm)
    for name in ("a", "b"):
        outputs[draft.node("Relu", name, draft.input(f"{name}.in", (SEQ, WORDS)))] = (SEQ, WORDS)
    return draft.finish(outputs)


def activated_inputs() -> Model:
    """A product of what two elementwise ops made, which only the widest kernels take in."""
    draft = Draft("activated_inputs")
    x = draft.node("Relu", "cut", draft.node("Neg", "turn", draft.input("x", (SEQ, HIDDEN))))
    return draft.finish({linear(draft, "product", x, (HIDDEN, WORDS)): (SEQ, WORDS)})


TINY = {
    "attention": attention(heads=8, seq=128, size=16),
    "transformer": tiny_transformer(),
    "projections": projections(),
    "activated_inputs": activated_inputs(),
    "conv_block": conv_block(image=9, channels=32),
    "unet": unet(image=16, width=4),
    "mobilenet_v2": mobilenet_v2(image=32, classes=10),
}

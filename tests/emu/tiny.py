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


TINY = {
    "attention": attention(heads=8, seq=128, size=16),
    "transformer": tiny_transformer(),
    "conv_block": conv_block(image=9, channels=32),
    "unet": unet(image=16, width=4),
    "mobilenet_v2": mobilenet_v2(image=32, classes=10),
}

"""ViT-B/16: Dosovitskiy et al. 2020."""

import numpy as np

from emu.ir.errors import BadOption
from emu.models.model import Model
from emu.models.zoo.draft import Draft, Fill, fan_in
from emu.models.zoo.transformer import attention_core, erf_gelu, heads, join_heads, linear, norm

HIDDEN, HEADS, PATCH = 768, 12, 16
SIZE = HIDDEN // HEADS


def vit_b16(*, batch: int = 1, image: int = 224, layers: int = 12, classes: int = 1000) -> Model:
    """ViT-B/16: patches by a convolution, a class token, pre-norm encoder layers."""
    if image % PATCH:
        raise BadOption(f"setting image={image} of vit_b16 must be a multiple of {PATCH}")
    draft = Draft("vit_b16")
    patches = (image // PATCH) ** 2
    x = _embedded(draft, batch, image, patches)
    gain = 1 / (2 * layers)
    for layer in range(layers):
        x = _attention(draft, f"layer{layer}", x, (batch, patches + 1), gain)
        x = _mlp(draft, f"layer{layer}", x, gain)
    x = norm(draft, "norm", x, HIDDEN)
    first = draft.node("Gather", "first", x, draft.constant("zero", np.array(0)), axis=1)
    weight = draft.weight("head.weight", (classes, HIDDEN), fan_in(HIDDEN))
    bias = draft.weight("head.bias", (classes,), Fill(0.0, 0.05))
    draft.node("Gemm", "logits", first, weight, bias, transB=1)
    return draft.finish({"logits": (batch, classes)})


def _embedded(draft: Draft, batch: int, image: int, patches: int) -> str:
    x = draft.input("image", (batch, 3, image, image))
    weight = draft.weight("patch.weight", (HIDDEN, 3, PATCH, PATCH), fan_in(3 * PATCH**2))
    bias = draft.weight("patch.bias", (HIDDEN,), Fill(0.0, 0.05))
    window = {"kernel_shape": (PATCH, PATCH), "strides": (PATCH, PATCH)}
    x = draft.node("Conv", "patch", x, weight, bias, **window)
    x = draft.node("Reshape", "patch.rows", x, draft.ints("rows.shape", batch, HIDDEN, patches))
    x = draft.node("Transpose", "patch.turn", x, perm=(0, 2, 1))
    token = draft.weight("token", (1, 1, HIDDEN), Fill(0.0, 1.0))
    shape = draft.ints("token.shape", batch, 1, HIDDEN)
    x = draft.node("Concat", "concat", draft.node("Expand", "expand", token, shape), x, axis=1)
    places = draft.weight("places", (1, patches + 1, HIDDEN), Fill(0.0, 0.5))
    return draft.node("Add", "embed", x, places)


def _attention(draft: Draft, name: str, x: str, batch_seq: tuple[int, int], gain: float) -> str:
    normal = norm(draft, f"{name}.norm1", x, HIDDEN)
    perms = {"q": (0, 2, 1, 3), "k": (0, 2, 3, 1), "v": (0, 2, 1, 3)}
    parts = [(f"{name}.{p}", linear(draft, f"{name}.{p}", normal, (HIDDEN, HIDDEN))) for p in perms]
    cut = (*batch_seq, HEADS, SIZE)
    q, k, v = (
        heads(draft, part, value, cut, perm)
        for (part, value), perm in zip(parts, perms.values(), strict=True)
    )
    context = attention_core(draft, f"{name}.attention", (q, k, v), SIZE)
    context = join_heads(draft, f"{name}.context", context, (*batch_seq, HIDDEN))
    out = linear(draft, f"{name}.out", context, (HIDDEN, HIDDEN), gain)
    return draft.node("Add", f"{name}.add1", x, out)


def _mlp(draft: Draft, name: str, x: str, gain: float) -> str:
    normal = norm(draft, f"{name}.norm2", x, HIDDEN)
    y = linear(draft, f"{name}.grow", normal, (HIDDEN, 4 * HIDDEN))
    y = linear(
        draft,
        f"{name}.shrink",
        erf_gelu(draft, f"{name}.gelu", y),
        (4 * HIDDEN, HIDDEN),
        2 * gain,
    )
    return draft.node("Add", f"{name}.add2", x, y)

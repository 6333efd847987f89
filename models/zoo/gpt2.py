"""GPT-2 small: Radford et al. 2019; norms before the blocks, packed Q K V, tied head."""

import numpy as np

from emu.ir.errors import BadOption
from emu.models.model import Model
from emu.models.zoo.draft import Draft, Fill
from emu.models.zoo.transformer import (
    attention_core,
    heads,
    join_heads,
    linear,
    norm,
    tanh_gelu,
)

HIDDEN, HEADS = 768, 12
SIZE = HIDDEN // HEADS
VOCABULARY, POSITIONS = 50257, 1024
MASKED = -1e9


def gpt2(*, batch: int = 1, seq: int = 128, layers: int = 12) -> Model:
    """GPT-2 small, one pass over a whole prompt of token ids [batch, seq], logits for each."""
    if seq > POSITIONS:
        raise BadOption(f"setting seq={seq} of gpt2 must be at most {POSITIONS}")
    draft = Draft("gpt2")
    x = _embedded(draft, batch, seq)
    draft.constant("causal", np.tril(np.ones((1, 1, seq, seq), np.bool_)))
    draft.number("masked", MASKED)
    # Each block adds to the sum twice; this gain keeps the sum of order one (as the paper does).
    gain = 1 / (2 * layers)
    for layer in range(layers):
        x = _attention(draft, f"layer{layer}", x, (batch, seq), gain)
        x = _mlp(draft, f"layer{layer}", x, gain)
    x = norm(draft, "norm", x, HIDDEN)
    flat = draft.node("Reshape", "flat", x, draft.ints("flat.shape", -1, HIDDEN))
    scores = draft.node("Gemm", "head", flat, "wte", transB=1)
    draft.node("Reshape", "logits", scores, draft.ints("logits.shape", batch, seq, VOCABULARY))
    return draft.finish({"logits": (batch, seq, VOCABULARY)})


def _embedded(draft: Draft, batch: int, seq: int) -> str:
    tokens = draft.input("input_ids", (batch, seq), "i64")
    # The same table is the head, where 768 products of normalised values are summed.
    words = draft.weight("wte", (VOCABULARY, HIDDEN), Fill(0.0, HIDDEN**-0.5))
    places = draft.weight("wpe", (POSITIONS, HIDDEN), Fill(0.0, HIDDEN**-0.5))
    word = draft.node("Gather", "embed.word", words, tokens)
    place = draft.node("Gather", "embed.place", places, draft.ints("positions", *range(seq)))
    return draft.node("Add", "embed.add", word, place)


def _attention(draft: Draft, name: str, x: str, batch_seq: tuple[int, int], gain: float) -> str:
    normal = norm(draft, f"{name}.norm1", x, HIDDEN)
    packed = linear(draft, f"{name}.qkv", normal, (HIDDEN, 3 * HIDDEN))
    parts = (f"{name}.q", f"{name}.k", f"{name}.v")
    sizes = draft.ints(f"{name}.split.sizes", HIDDEN, HIDDEN, HIDDEN)
    q, k, v = draft.split("Split", f"{name}.split", parts, packed, sizes, axis=-1)
    cut = (*batch_seq, HEADS, SIZE)
    q, v = heads(draft, q, q, cut), heads(draft, v, v, cut)
    k = heads(draft, k, k, cut, (0, 2, 3, 1))
    context = attention_core(draft, f"{name}.attention", (q, k, v), SIZE, mask="causal")
    context = join_heads(draft, f"{name}.context", context, (*batch_seq, HIDDEN))
    out = linear(draft, f"{name}.out", context, (HIDDEN, HIDDEN), gain)
    return draft.node("Add", f"{name}.add1", x, out)


def _mlp(draft: Draft, name: str, x: str, gain: float) -> str:
    normal = norm(draft, f"{name}.norm2", x, HIDDEN)
    y = linear(draft, f"{name}.grow", normal, (HIDDEN, 4 * HIDDEN))
    y = tanh_gelu(draft, f"{name}.gelu", y)
    y = linear(draft, f"{name}.shrink", y, (4 * HIDDEN, HIDDEN), 2 * gain)
    return draft.node("Add", f"{name}.add2", x, y)

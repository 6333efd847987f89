"""BERT: Devlin et al. 2018, with every norm and GELU spelled out in primitive ops."""

from typing import NamedTuple

import numpy as np

from emu.ir.errors import BadOption
from emu.models.model import Model
from emu.models.zoo.draft import Draft, Fill, fan_in
from emu.models.zoo.transformer import (
    attention_core,
    erf_gelu,
    heads,
    join_heads,
    linear,
    spelled_norm,
)


class Width(NamedTuple):
    """Hidden size, heads and inner size of a layer."""

    hidden: int
    heads: int
    inner: int


BASE = Width(768, 12, 3072)
LARGE = Width(1024, 16, 4096)
VOCABULARY, POSITIONS, KINDS = 30522, 512, 2


def bert_layer(*, batch: int = 1, seq: int = 128) -> Model:
    """One encoder layer of BERT-base in 49 primitive nodes; x is [batch, seq, 768]."""
    draft = Draft("bert_layer")
    x = draft.input("x", (batch, seq, BASE.hidden))
    _encoder(draft, "layer", x, (batch, seq), BASE, output="y")
    return draft.finish({"y": (batch, seq, BASE.hidden)})


def bert_base(*, batch: int = 1, seq: int = 128, layers: int = 12) -> Model:
    """BERT-base with embeddings and pooler; inputs are token and segment ids [batch, seq]."""
    return _bert("bert_base", BASE, batch, seq, layers)


def bert_large(*, batch: int = 1, seq: int = 384, layers: int = 24) -> Model:
    """BERT-large with embeddings and pooler; inputs are token and segment ids [batch, seq]."""
    return _bert("bert_large", LARGE, batch, seq, layers)


def _bert(name: str, width: Width, batch: int, seq: int, layers: int) -> Model:
    if seq > POSITIONS:
        raise BadOption(f"setting seq={seq} of {name} must be at most {POSITIONS}")
    draft, hidden = Draft(name), width.hidden
    x = _embedded(draft, batch, seq, hidden)
    for layer in range(layers):
        output = "hidden" if layer == layers - 1 else ""
        x = _encoder(draft, f"layer{layer}", x, (batch, seq), width, output)
    first = draft.node("Gather", "first", x, draft.constant("zero", np.array(0)), axis=1)
    weight = draft.weight("pooler.weight", (hidden, hidden), fan_in(hidden))
    bias = draft.weight("pooler.bias", (hidden,), Fill(0.0, 0.05))
    draft.node("Tanh", "pooled", draft.node("Gemm", "pooler", first, weight, bias, transB=1))
    return draft.finish({"hidden": (batch, seq, hidden), "pooled": (batch, hidden)})


def _embedded(draft: Draft, batch: int, seq: int, hidden: int) -> str:
    words = draft.weight("words", (VOCABULARY, hidden), Fill(0.0, 1.0))
    kinds = draft.weight("kinds", (KINDS, hidden), Fill(0.0, 0.1))
    places = draft.weight("places", (POSITIONS, hidden), Fill(0.0, 0.5))
    tokens = draft.input("input_ids", (batch, seq), "i64")
    segments = draft.input("token_type_ids", (batch, seq), "i64")
    x = draft.node("Gather", "embed.words", words, tokens, axis=0)
    kind = draft.node("Gather", "embed.kinds", kinds, segments, axis=0)
    place = draft.node("Gather", "embed.places", places, draft.ints("positions", *range(seq)))
    x = draft.node("Add", "embed.add1", x, kind)
    x = draft.node("Add", "embed.add2", x, place)
    return spelled_norm(draft, "embed.norm", x, hidden)


def _encoder(
    draft: Draft,
    name: str,
    x: str,
    batch_seq: tuple[int, int],
    width: Width,
    output: str = "",
) -> str:
    hidden, inner = width.hidden, width.inner
    size = hidden // width.heads
    cut = (*batch_seq, width.heads, size)
    perms = {"q": (0, 2, 1, 3), "k": (0, 2, 3, 1), "v": (0, 2, 1, 3)}
    q, k, v = (
        heads(draft, f"{name}.{part}", _square(draft, f"{name}.{part}", x, hidden), cut, perm)
        for part, perm in perms.items()
    )
    context = attention_core(draft, f"{name}.attention", (q, k, v), size)
    context = join_heads(draft, f"{name}.context", context, (*batch_seq, hidden))
    x = draft.node("Add", f"{name}.add1", _square(draft, f"{name}.out", context, hidden), x)
    x = spelled_norm(draft, f"{name}.norm1", x, hidden)
    y = erf_gelu(draft, f"{name}.gelu", linear(draft, f"{name}.grow", x, (hidden, inner)))
    y = linear(draft, f"{name}.shrink", y, (inner, hidden), gain=2.0)
    x = draft.node("Add", f"{name}.add2", y, x)
    return spelled_norm(draft, f"{name}.norm2", x, hidden, output)


def _square(draft: Draft, name: str, x: str, hidden: int) -> str:
    return linear(draft, name, x, (hidden, hidden))

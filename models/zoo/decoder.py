"""A decoder with a cache, as Llama 2 and 3 are built: Touvron et al. 2023, Grattafiori et al. 2024.

Root-mean-square norms, rotary places (Su et al. 2021), grouped queries (Ainslie et al. 2023) and a
gated MLP (Shazeer 2020) of 3.5 times the hidden width, no biases.
"""

from dataclasses import dataclass

import numpy as np

from emu.ir.errors import BadOption
from emu.ir.types import Array
from emu.models.model import Model
from emu.models.zoo.draft import Draft, Fill, fan_in
from emu.models.zoo.transformer import attention_core, heads, join_heads

ROTARY = 500_000.0  # the base of the angles, of Llama 3
EPSILON = 1e-5
MASKED = -1e9


@dataclass(frozen=True)
class Plan:
    """The sizes of a decoder; ``kv_heads`` keys and values serve ``heads`` queries."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    vocab: int
    seq: int
    batch: int
    past: int

    @property
    def size(self) -> int:
        """Elements of one head."""
        return self.hidden // self.heads

    @property
    def wide(self) -> int:
        """The width inside of the gated MLP."""
        return self.hidden * 7 // 2

    @property
    def total(self) -> int:
        """Places that are seen: those of the cache, and the new ones."""
        return self.past + self.seq


def decoder(
    *,
    layers: int = 2,
    hidden: int = 256,
    heads: int = 8,
    kv_heads: int = 2,
    vocab: int = 2048,
    seq: int = 4,
    batch: int = 1,
    past: int = 60,
) -> Model:
    """A Llama-like decoder: seq new tokens per sequence behind a cache of past ones."""
    sizes = Plan(layers, hidden, heads, kv_heads, vocab, seq, batch, past)
    if hidden % (2 * heads) or heads % kv_heads:
        raise BadOption(
            f"settings hidden={hidden} heads={heads} kv_heads={kv_heads} of decoder: hidden must be"
            f" a multiple of 2 * heads, and heads of kv_heads"
        )
    draft = Draft("decoder")
    tokens = draft.input("input_ids", (batch, seq), "i64")
    words = draft.weight("embed", (vocab, hidden), Fill(0.0, 1.0))
    x = draft.node("Gather", "embed.word", words, tokens)
    _constants(draft, sizes)
    outputs = {"logits": (batch, seq, vocab)}
    for layer in range(layers):
        x = _mlp(draft, f"layer{layer}", _attention(draft, f"layer{layer}", x, sizes), sizes)
        cache = (batch, kv_heads, sizes.total, sizes.size)
        outputs |= {f"layer{layer}.present.{name}": cache for name in "kv"}
    _product(draft, "logits", _norm(draft, "norm", x, hidden), (hidden, vocab))
    return draft.finish(outputs)


def _constants(draft: Draft, sizes: Plan) -> None:
    places = np.arange(sizes.past, sizes.total)[:, None]
    rates = ROTARY ** (-np.arange(0, sizes.size, 2) / sizes.size)
    angles = np.concatenate([places * rates] * 2, axis=1)
    draft.constant("cos", np.cos(angles).astype(np.float32))
    draft.constant("sin", np.sin(angles).astype(np.float32))
    draft.number("two", 2.0)
    draft.number("epsilon", EPSILON)
    draft.number("masked", MASKED)
    if sizes.seq > 1:  # a single token sees all that is there
        draft.constant("causal", _seen(sizes))


def _seen(sizes: Plan) -> Array:
    """[1, 1, heads per cache * seq, total]: what each query sees."""
    group = sizes.heads // sizes.kv_heads
    seen = np.tril(np.ones((sizes.seq, sizes.total), np.bool_), sizes.past)
    return np.tile(seen, (group, 1))[None, None]


def _product(draft: Draft, name: str, x: str, shape: tuple[int, int], gain: float = 1.0) -> str:
    weight = draft.weight(f"{name}.weight", shape, fan_in(shape[0], gain))
    return draft.node("MatMul", name, x, weight)


def _norm(draft: Draft, name: str, x: str, hidden: int) -> str:
    """x / sqrt(mean(x^2) + epsilon) * scale, over the last dimension."""
    squares = draft.node("Pow", f"{name}.pow", x, "two")
    mean = draft.node("ReduceMean", f"{name}.mean", squares, axes=(-1,))
    root = draft.node("Sqrt", f"{name}.sqrt", draft.node("Add", f"{name}.shift", mean, "epsilon"))
    scale = draft.weight(f"{name}.scale", (hidden,), Fill(1.0, 0.1))
    return draft.node("Mul", name, draft.node("Div", f"{name}.div", x, root), scale)


def _turned(draft: Draft, name: str, x: str, size: int) -> str:
    """Each pair (a, b) of elements half a head apart, turned by the angle of its place."""
    halves = draft.ints(f"{name}.halves", size // 2, size // 2)
    parts = (f"{name}.a", f"{name}.b")
    a, b = draft.split("Split", f"{name}.split", parts, x, halves, axis=-1)
    crossed = draft.node("Concat", f"{name}.cross", draft.node("Neg", f"{name}.neg", b), a, axis=-1)
    straight = draft.node("Mul", f"{name}.cos", x, "cos")
    return draft.node(
        "Add", f"{name}.turned", straight, draft.node("Mul", f"{name}.sin", crossed, "sin")
    )


def _attention(draft: Draft, name: str, x: str, sizes: Plan) -> str:
    batch, seq, size = sizes.batch, sizes.seq, sizes.size
    few = (batch, seq, sizes.kv_heads, size)
    normal = _norm(draft, f"{name}.norm1", x, sizes.hidden)
    width = sizes.kv_heads * size
    q = _product(draft, f"{name}.q", normal, (sizes.hidden, sizes.hidden))
    k = _product(draft, f"{name}.k", normal, (sizes.hidden, width))
    v = _product(draft, f"{name}.v", normal, (sizes.hidden, width))
    q = _turned(draft, q, heads(draft, q, q, (batch, seq, sizes.heads, size)), size)
    k = _turned(draft, k, heads(draft, k, k, few), size)
    k = _cached(draft, name, "k", k, sizes)
    v = _cached(draft, name, "v", heads(draft, v, v, few), sizes)
    # Queries that share a cache stand below each other, so that the cache is read as it lies.
    rows = sizes.heads // sizes.kv_heads * seq
    grouped = draft.ints(f"{name}.rows", batch, sizes.kv_heads, rows, size)
    q = draft.node("Reshape", f"{name}.q.grouped", q, grouped)
    k = draft.node("Transpose", f"{name}.k.columns", k, perm=(0, 1, 3, 2))
    mask = "causal" if seq > 1 else ""
    context = attention_core(draft, f"{name}.attention", (q, k, v), size, mask=mask)
    apart = draft.ints(f"{name}.apart", batch, sizes.heads, seq, size)
    context = draft.node("Reshape", f"{name}.context.apart", context, apart)
    context = join_heads(draft, f"{name}.context", context, (batch, seq, sizes.hidden))
    gain = 1 / (2 * sizes.layers)  # keeps the sum over all layers of order one
    out = _product(draft, f"{name}.out", context, (sizes.hidden, sizes.hidden), gain)
    return draft.node("Add", f"{name}.add1", x, out)


def _cached(draft: Draft, name: str, which: str, new: str, sizes: Plan) -> str:
    """The cache with the new tokens behind it, an output of the model."""
    shape = (sizes.batch, sizes.kv_heads, sizes.past, sizes.size)
    past = draft.input(f"{name}.past.{which}", shape)
    return draft.node("Concat", f"{name}.present.{which}", past, new, axis=2)


def _mlp(draft: Draft, name: str, x: str, sizes: Plan) -> str:
    normal = _norm(draft, f"{name}.norm2", x, sizes.hidden)
    shape = (sizes.hidden, sizes.wide)
    gate = _product(draft, f"{name}.gate", normal, shape)
    swish = draft.node("Mul", f"{name}.swish", gate, draft.node("Sigmoid", f"{name}.sigmoid", gate))
    up = _product(draft, f"{name}.up", normal, shape)
    gated = draft.node("Mul", f"{name}.gated", swish, up)
    down = _product(draft, f"{name}.down", gated, (sizes.wide, sizes.hidden), 1 / sizes.layers)
    return draft.node("Add", f"{name}.add2", x, down)

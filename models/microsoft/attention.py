"""Attention as onnxruntime fuses it, by ONNX's Attention; onnxruntime, ContribOperators.md.

Queries, keys and values are brought to [batch, heads, seq, size]; what a mask hides gets a large
negative number added, as there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from emu.ir.errors import ModelError
from emu.models.microsoft.body import Body, Declaration
from emu.models.tensors import ELEM_TYPES

HIDDEN = -10000.0  # mask_filter_value, if the call says none
UNSUPPORTED = ("do_rotary", "past_present_share_buffer")


@dataclass(frozen=True)
class Sizes:
    """Of one attention; ``total`` places are the past ones and the new ones."""

    batch: int
    heads: int
    seq: int
    total: int


def head_count(write: Body, name: str = "num_heads") -> int:
    """The number of heads that the call says; raises ModelError where there is none."""
    count = write.site.integer(name, 0)
    if count < 1:
        raise ModelError(f"{write.site.where}: {name} is {count}")
    return count


def by_heads(write: Body, x: str, dims: tuple[int, ...], heads: int) -> str:
    """``x`` of ``dims`` [batch, seq, heads * size] as [batch, heads, seq, size]."""
    batch, seq, width = dims
    if width % heads:
        raise ModelError(f"{write.site.where}: {heads} heads do not divide {width}")
    cut = write.reshape(x, batch, seq, heads, width // heads)
    return write("Transpose", cut, perm=(0, 2, 1, 3))


def attend(
    write: Body,
    qkv: tuple[str, ...],
    mask: str,
    past: tuple[str, str],
    causal: int,
    softcap: float = 0.0,
) -> tuple[str, str, str]:
    """Attention by heads, as [batch, seq, heads * size]; and the keys and values with the past."""
    scale = write.site.number("scale", 0.0)
    attrs = {"scale": scale} if scale else {}
    inputs = (*qkv, mask, *past)
    y, keys, values = write.several(
        3, "Attention", *inputs, is_causal=causal, softcap=softcap, **attrs
    )
    joined = write("Transpose", y, perm=(0, 2, 1, 3))
    return write("Reshape", joined, write.ints(0, 0, -1)), keys, values


def masked(write: Body, index: int, bias: int | None, sizes: Sizes, like: int = 0) -> str:
    """What is added to the scores: of the mask that is input ``index``, and input ``bias``.

    It has the element type of input ``like``.
    """
    hidden = write.site.number("mask_filter_value", HIDDEN)
    added = "" if bias is None else write.input(bias)
    if not write.site.has(index):
        return added
    seen = _seen(write, index, sizes)
    mask = write("Where", seen, write.number(0.0, like), write.number(hidden, like))
    return write("Add", mask, added) if added else mask


def _seen(write: Body, index: int, sizes: Sizes) -> str:
    """The truths of a mask, or of the ends (and then the starts) of what each sequence has."""
    site, mask, batch = write.site, write.need(index), sizes.batch
    dims = site.type(index).dims
    if dims in ((batch, sizes.total), (batch, sizes.seq, sizes.total)):
        rows = dims[1] if len(dims) == 3 else 1
        by_rows = write.reshape(mask, batch, 1, rows, sizes.total)
        return write("Greater", by_rows, write.given(np.array(0, np.int32)))
    if dims not in ((batch,), (2 * batch,)):
        raise site.refuse(f"a mask of {site.type(index)} is not supported")
    places = write.given(np.arange(sizes.total, dtype=np.int32).reshape(1, 1, 1, -1))
    ends = write("Slice", mask, write.ints(0), write.ints(batch))
    seen = write("Less", places, write.reshape(ends, batch, 1, 1, 1))
    if dims == (batch,):
        return seen
    starts = write("Slice", mask, write.ints(batch), write.ints(2 * batch))
    begun = write("GreaterOrEqual", places, write.reshape(starts, batch, 1, 1, 1))
    return write("And", seen, begun)


def attention(write: Body) -> tuple[str, ...]:
    """x [batch, seq, width] times the weights of queries, keys and values side by side; attention.

    The second output is [2, batch, heads, total, size], as the past is; there is none where values
    are of another size than keys.
    """
    product = write.plus(write("MatMul", *write.inputs[:2]), 2)
    return _of_itself(write, product, mask=3, past=4, bias=5)


def quantised_attention(write: Body) -> tuple[str, ...]:
    """As ``attention``, of x and weights in eight bits, with scales and zero points; sums are i32.

    All behind that product is of real numbers.
    """
    zeros = (write.input(6), write.input(7))
    sums = write("MatMulInteger", write.need(0), write.need(1), *zeros)
    scale = write("Mul", write.need(3), write.need(4))
    real = write("Mul", write("Cast", sums, to=ELEM_TYPES[write.site.type(3).dtype]), scale)
    return _of_itself(write, write.plus(real, 2), mask=5, past=8, bias=None)


def _of_itself(
    write: Body, product: str, mask: int, past: int, bias: int | None
) -> tuple[str, ...]:
    """Attention of queries, keys and values that stand side by side in ``product``."""
    site, heads = write.site, head_count(write)
    for name in UNSUPPORTED:
        if site.integer(name, 0):
            raise site.refuse(f"{name} is not supported")
    batch, seq, _ = write.dims(0, 3)
    width = write.dims(1, 2)[1]
    widths = site.list("qkv_hidden_sizes", (width // 3,) * 3)
    parts = write.several(3, "Split", product, write.ints(*widths), axis=2)
    qkv = tuple(
        by_heads(write, x, (batch, seq, w), heads) for x, w in zip(parts, widths, strict=True)
    )
    before = write.dims(past, 5)[3] if site.has(past) else 0
    cache = _halves(write, write.need(past)) if site.has(past) else ("", "")
    like = 0 if bias is not None else 3
    added = masked(write, mask, bias, Sizes(batch, heads, seq, before + seq), like)
    y, *present = attend(write, qkv, added, cache, site.integer("unidirectional", 0))
    if len({*widths}) > 1:
        return (y,)
    kept = (write("Unsqueeze", value, write.ints(0)) for value in present)
    return y, write("Concat", *kept, axis=0)


def _halves(write: Body, past: str) -> tuple[str, str]:
    """The keys and the values that stand behind each other in [2, ...]."""
    keys, values = write.several(2, "Split", past, axis=0, num_outputs=2)
    return write("Squeeze", keys, write.ints(0)), write("Squeeze", values, write.ints(0))


def multi_head_attention(write: Body) -> tuple[str, ...]:
    """Attention of queries, keys and values that are made already."""
    site, heads = write.site, head_count(write)
    qkv, seq, new = _three(write, heads)
    before = write.dims(6, 4)[2] if site.has(6) else 0
    mask = masked(write, 4, 5, Sizes(site.type(0).dims[0], heads, seq, before + new))
    past = (write.input(6), write.input(7))
    return attend(write, qkv, mask, past, site.integer("unidirectional", 0))


def _three(write: Body, heads: int) -> tuple[tuple[str, ...], int, int]:
    """Queries, keys and values by heads, and how many queries and new keys there are.

    Keys and values that have four dimensions are by heads already.
    """
    site = write.site
    types = [site.type(i) for i in range(3) if site.has(i)]
    ranks, dims = [len(type.shape) for type in types], [type.dims for type in types]
    if ranks == [3, 4, 4] and not site.has(3):
        query = by_heads(write, write.need(0), dims[0], heads)
        return (query, *write.inputs[1:3]), dims[0][1], dims[1][2]
    if ranks != [3, 3, 3]:
        bias = " with a bias" if site.has(3) else ""
        kinds = ", ".join(map(str, types))
        raise site.refuse(f"queries, keys and values of {kinds}{bias} are not supported")
    parts = _with_bias(write, [d[2] for d in dims])
    qkv = tuple(by_heads(write, x, d, heads) for x, d in zip(parts, dims, strict=True))
    return qkv, dims[0][1], dims[1][1]


def _with_bias(write: Body, widths: list[int]) -> tuple[str, ...]:
    if not write.site.has(3):
        return write.inputs[:3]
    biases = write.several(3, "Split", write.need(3), write.ints(*widths), axis=0)
    return tuple(write("Add", x, b) for x, b in zip(write.inputs[:3], biases, strict=True))


def rotary_embedding(write: Body) -> str:
    """Pairs of numbers turned by the angles of their places; one place is that of the first."""
    site = write.site
    if site.integer("is_packed_batching", 0) or site.number("scale", 1.0) != 1.0:
        raise site.refuse("is_packed_batching and scale are not supported")
    dims, turned = write.dims(0, 3, 4), site.integer("rotary_embedding_dim", 0)
    heads = site.integer("num_heads", 0)
    if len(dims) == 3 and not heads:
        heads = dims[2] // (2 * write.dims(2, 2)[1])
    seq = dims[1] if len(dims) == 3 else dims[2]
    return write(
        "RotaryEmbedding",
        *(write.need(0), *write.inputs[2:4], _places(write, dims[0], seq)),
        interleaved=site.integer("interleaved", 0),
        num_heads=heads,
        rotary_embedding_dim=turned,
    )


def _places(write: Body, batch: int, seq: int) -> str:
    if write.site.type(1).shape != (1,):
        return write.need(1)
    after = write("Add", write.need(1), write.given(np.arange(seq, dtype=np.int64)))
    return write("Expand", after, write.ints(batch, seq))


FUNCTIONS: Mapping[str, Declaration] = MappingProxyType(
    {
        "Attention": attention,
        "QAttention": quantised_attention,
        "MultiHeadAttention": multi_head_attention,
        "RotaryEmbedding": rotary_embedding,
    }
)

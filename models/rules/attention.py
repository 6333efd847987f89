"""Attention as its products and its softmax: ONNX, operator Attention, opset 23 on."""

from collections.abc import Mapping
from math import inf
from types import MappingProxyType

import numpy as np

from emu.ir.errors import ModelError
from emu.models.rules.expanding import Sketch
from emu.models.rules.site import Calls, Rule, Site

REFUSED = ("qk_matmul_output_mode", "softmax_precision")
WINDOWS = ("left_window_size", "right_window_size")  # -1 is no window
MASK, PAST_KEY, PAST_VALUE, LENGTHS = 3, 4, 5, 6


def attention(site: Site) -> Calls:
    """softmax(Q K^T * scale + mask) V; queries that share a key head stand below each other.

    Q, K, V are [batch, heads, seq, size], or [batch, seq, heads * size] with numbers of heads. The
    outputs after the first are the caches with the new keys and values.
    """
    _check(site)
    write = Sketch(site)
    q, k, v = (_heads(write, i) for i in range(3))
    if site.has(PAST_KEY):
        k, v = (_cached(write, new, site.inputs[i]) for new, i in ((k, PAST_KEY), (v, PAST_VALUE)))
    for value, output in zip((k, v), site.outputs[1:3], strict=False):
        write.bind(value, output)
    sizes = _sizes(site)
    scores = _scores(write, q, k, sizes)
    weights = write("Softmax", scores, axis=-1)
    if _may_see_nothing(site):
        alive = write("Greater", write("ReduceMax", scores, axes=(-1,)), write.number(-inf))
        weights = write("Where", alive, weights, write.number(0.0))
    batch, heads, kv_heads, seq, total, _, size = sizes
    grouped = write("Reshape", weights, shape=(batch, kv_heads, heads // kv_heads * seq, total))
    y = write("Reshape", write("MatMul", grouped, v), shape=(batch, heads, seq, size))
    if site.rank == 3:
        turned = write("Transpose", y, perm=(0, 2, 1, 3))
        y = write("Reshape", turned, shape=(batch, seq, heads * size))
    write.bind(y, site.outputs[0])
    return tuple(write.written)


def _check(site: Site) -> None:
    for name in REFUSED:
        if site.attrs.get(name):
            raise site.refuse(f"{name} is not supported")
    if any(site.integer(name, -1) != -1 for name in WINDOWS):
        raise site.refuse("windows of places are not supported")
    if site.has(LENGTHS):
        raise site.refuse("lengths of sequences are not supported")
    if any(o in site.used for o in site.outputs[3:]):
        raise site.refuse("the scores as an output are not supported")
    if site.has(PAST_KEY) != site.has(PAST_VALUE):
        raise ModelError(f"{site.where}: has one cache, not two")
    ranks = {len(site.type(i).shape) for i in range(3)}
    if ranks not in ({3}, {4}):
        raise ModelError(f"{site.where}: queries, keys and values have ranks {sorted(ranks)}")


def _head_count(site: Site, index: int) -> int:
    if site.rank == 4:
        return site.type(index).dims[1]
    name = "kv_num_heads" if index else "q_num_heads"
    count = site.integer(name, 0)
    if count < 1 or site.type(index).dims[2] % count:
        raise ModelError(f"{site.where}: {name}={count} does not divide {site.type(index)}")
    return count


def _shape(site: Site, index: int) -> tuple[int, int, int, int]:
    """Batch, heads, sequence and size of one of the three inputs."""
    dims, heads = site.type(index).dims, _head_count(site, index)
    if site.rank == 4:
        return dims[0], heads, dims[2], dims[3]
    return dims[0], heads, dims[1], dims[2] // heads


def _sizes(site: Site) -> tuple[int, int, int, int, int, int, int]:
    """Batch, heads of queries and of keys, new and all places, past ones, size of a value."""
    (batch, heads, seq, _), (_, kv_heads, new, _) = _shape(site, 0), _shape(site, 1)
    if heads % kv_heads:
        raise ModelError(f"{site.where}: {heads} heads do not share {kv_heads} of keys evenly")
    past = site.type(PAST_KEY).dims[2] if site.has(PAST_KEY) else 0
    return batch, heads, kv_heads, seq, past + new, past, _shape(site, 2)[3]


def _heads(write: Sketch, index: int) -> str:
    site, value = write.site, write.site.inputs[index]
    if site.rank == 4:
        return value
    batch, heads, seq, size = _shape(site, index)
    cut = write("Reshape", value, shape=(batch, seq, heads, size))
    return write("Transpose", cut, perm=(0, 2, 1, 3))


def _cached(write: Sketch, new: str, past: str) -> str:
    return write("Concat", past, new, axis=2)


def _scores(write: Sketch, q: str, k: str, sizes: tuple[int, ...]) -> str:
    """[batch, heads, seq, total], scaled, capped and masked."""
    site, (batch, heads, kv_heads, seq, total, past, _) = write.site, sizes
    size = _shape(site, 0)[3]
    grouped = write("Reshape", q, shape=(batch, kv_heads, heads // kv_heads * seq, size))
    product = write("MatMul", grouped, write("Transpose", k, perm=(0, 1, 3, 2)))
    scale = write.number(site.number("scale", size**-0.5))
    scores = write("Mul", write("Reshape", product, shape=(batch, heads, seq, total)), scale)
    if cap := site.number("softcap", 0.0):
        most = write.number(cap)
        scores = write("Mul", write("Tanh", write("Div", scores, most)), most)
    if site.has(MASK):
        scores = _masked(write, scores, site.inputs[MASK])
    if site.integer("is_causal", 0):
        seen = write.given(np.tril(np.ones((seq, total), np.bool_), past))
        scores = write("Where", seen, scores, write.number(-inf))
    return scores


def _may_see_nothing(site: Site) -> bool:
    """Whether a mask of truths may hide all keys from a query, whose weights are 0 then.

    The softmax of nothing but minus infinity is not a number.
    """
    if not site.has(MASK) or site.type(MASK).dtype != "i1":
        return False
    known = site.constants.get(site.inputs[MASK])
    if known is None or known.inline is None or site.integer("is_causal", 0):
        return True
    return not bool(known.inline.any(axis=-1).all())


def _masked(write: Sketch, scores: str, mask: str) -> str:
    """What a mask of truths hides is minus infinity; one of numbers is added."""
    if write.site.type(MASK).dtype == "i1":
        return write("Where", mask, scores, write.number(-inf))
    return write("Add", scores, mask)


RULES: Mapping[str, Rule] = MappingProxyType({"Attention": attention})

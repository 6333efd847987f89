"""Attention whose queries share keys, over a cache that may have room; ContribOperators.md.

A cache is [batch, heads, places, size]. What a sequence has before this call stands at its front;
``seqlens_k`` says how much, with the new places, less one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from types import MappingProxyType

import numpy as np

from emu.ir.errors import ModelError
from emu.ir.types import NUMPY
from emu.models.microsoft.attention import attend, by_heads, head_count
from emu.models.microsoft.body import Body, Declaration

# Absent, or with the values that turn them off.
OFF = ("smooth_softmax", "qk_output", "sliding_window_cache", "kv_cache_bit_width")
PAST_KEY, LENGTHS, TOTAL, PLACES, BIAS, LAST = 3, 5, 6, 9, 10, 10


@dataclass(frozen=True)
class Grouped:
    """Sizes of one call: ``total`` places are filled of the ``room`` that the new cache has."""

    batch: int
    seq: int
    past: int
    total: int

    @property
    def room(self) -> int:
        """Places of the cache that the call makes."""
        return max(self.past, self.total)

    @property
    def first(self) -> bool:
        """Whether the new places are all that there are."""
        return self.total == self.seq


def group_query_attention(write: Body) -> tuple[str, ...]:
    """Attention of new queries to a cache and new keys, turned by their places if asked."""
    _check(write)
    site, heads, shared = write.site, head_count(write), head_count(write, "kv_num_heads")
    batch, seq, _ = write.dims(0, 3)
    past = write.dims(PAST_KEY, 4)[2] if site.has(PAST_KEY) else 0
    sizes = Grouped(batch, seq, past, int(site.scalar(TOTAL, "total_sequence_length")))
    start = _start(write, sizes)
    query, key, value = _three(write, heads, shared)
    if site.integer("do_rotary", 0):
        query, key = (_turned(write, x, start, sizes) for x in (query, key))
    caches = [_cache(write, new, i, start, sizes) for i, new in enumerate((key, value), PAST_KEY)]
    filled = [_filled(write, cache, sizes) for cache in caches]
    mask = _mask(write, start, sizes)
    softcap = site.number("softcap", 0.0)
    y, _, _ = attend(write, (query, *filled), mask, ("", ""), causal=0, softcap=softcap)
    return (y, *caches)


def _check(write: Body) -> None:
    site = write.site
    if bad := next((n for n in OFF if site.integer(n, 0)), None):
        raise site.refuse(f"attribute '{bad}' is not supported")
    if site.has(PAST_KEY) and len(site.outputs) < 3:
        raise site.refuse("a cache that is read and not made anew is not supported")
    if any(site.text(f"{side}_quant_type", "NONE") != "NONE" for side in "kv"):
        raise site.refuse("a quantised cache is not supported")
    if extra := next(
        (site.inputs[i] for i in range(LAST + 1, len(site.inputs)) if site.has(i)), ""
    ):
        raise site.refuse(f"input '{extra}' is not supported")


def _start(write: Body, sizes: Grouped) -> str:
    """How many places each sequence has before, [batch, 1] of i64."""
    if sizes.first:
        return write.given(np.zeros((sizes.batch, 1), np.int64))
    lengths = write.reshape(write("Cast", write.need(LENGTHS), to=7), sizes.batch, 1)
    return write("Sub", lengths, write.given(np.array(sizes.seq - 1, np.int64)))


def _three(write: Body, heads: int, shared: int) -> tuple[str, ...]:
    """Queries, keys and values by heads; one input may have them side by side."""
    site, counts = write.site, (heads, shared, shared)
    dims = write.dims(0, 3)
    if site.has(1):
        kinds = [write.dims(i, 3) for i in range(3)]
        return tuple(by_heads(write, *a) for a in zip(write.inputs[:3], kinds, counts, strict=True))
    size = dims[2] // sum(counts)
    widths = [count * size for count in counts]
    parts = write.several(3, "Split", write.need(0), write.ints(*widths), axis=2)
    return tuple(
        by_heads(write, part, (*dims[:2], width), count)
        for part, width, count in zip(parts, widths, counts, strict=True)
    )


def _turned(write: Body, x: str, start: str, sizes: Grouped) -> str:
    """``x`` by the angles of its places, in the tables that are inputs 7 and 8."""
    site = write.site
    if site.has(PLACES):
        places = write.need(PLACES)
    else:
        places = write("Add", start, write.given(np.arange(sizes.seq)[None]))
    return write(
        "RotaryEmbedding",
        *(x, *write.inputs[7:9], places),
        interleaved=site.integer("rotary_interleaved", 0),
        rotary_embedding_dim=2 * write.dims(7, 2)[1],
    )


def _cache(write: Body, new: str, index: int, start: str, sizes: Grouped) -> str:
    """The cache that is input ``index`` with the new places written behind what it has."""
    if sizes.first:
        return _padded(write, new, sizes.room - sizes.seq)
    if not write.site.has(index):
        raise ModelError(f"{write.site.where}: input {index} is missing")
    old = _padded(write, write.need(index), sizes.room - sizes.past)
    places = write.reshape(start, sizes.batch)
    return write("TensorScatter", old, new, places, axis=2)


def _padded(write: Body, x: str, more: int) -> str:
    return write("Pad", x, write.ints(*(0,) * 6, more, 0)) if more else x


def _filled(write: Body, cache: str, sizes: Grouped) -> str:
    if sizes.room == sizes.total:
        return cache
    return write("Slice", cache, write.ints(0), write.ints(sizes.total), write.ints(2))


def _mask(write: Body, start: str, sizes: Grouped) -> str:
    """What is added to the scores: minus infinity where a query does not see a key."""
    site, window = write.site, write.site.integer("local_window_size", -1)
    own = write("Add", start, write.given(np.arange(sizes.seq)[None]))
    own = write.reshape(own, sizes.batch, 1, sizes.seq, 1)
    if not site.integer("causal", 1):
        last = write("Add", start, write.given(np.array(sizes.seq - 1, np.int64)))
        own = write.reshape(last, sizes.batch, 1, 1, 1)
    places = write.given(np.arange(sizes.total).reshape(1, 1, 1, -1))
    seen = write("LessOrEqual", places, own)
    if window >= 0:
        since = write("Sub", own, write.given(np.array(window, np.int64)))
        seen = write("And", seen, write("Greater", places, since))
    dtype = NUMPY[site.type(0).dtype]
    mask = write("Where", seen, *(write.given(np.array(v, dtype)) for v in (0.0, -inf)))
    return write.plus(mask, BIAS)


FUNCTIONS: Mapping[str, Declaration] = MappingProxyType(
    {"GroupQueryAttention": group_query_attention}
)

"""Normalisations with what is added before them; onnxruntime, ContribOperators.md."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from emu.models.microsoft.body import Body, Declaration

SMALL = 1e-12  # the epsilon of those that add before they normalise, if the call says none


def simplified_layer_normalization(write: Body) -> str:
    """x by the root of the mean of its squares, times a scale: ONNX's RMSNormalization."""
    site = write.site
    attrs = {"axis": site.integer("axis", -1), "epsilon": site.number("epsilon", 1e-5)}
    if site.integer("stash_type", 1) != 1:
        raise site.refuse("only stash_type 1 is supported")
    return write("RMSNormalization", *write.inputs[:2], **attrs)


def skip_layer_normalization(write: Body) -> tuple[str, ...]:
    """(x + skip + bias) normalised; the fourth output is the sum."""
    epsilon = write.site.number("epsilon", SMALL)
    total = _total(write, bias=4)
    return (
        write("LayerNormalization", total, *write.inputs[2:4], axis=-1, epsilon=epsilon),
        *("", "", total),
    )


def skip_simplified_layer_normalization(write: Body) -> tuple[str, ...]:
    """(x + skip + bias) by the root of the mean of its squares; the fourth output is the sum."""
    epsilon = write.site.number("epsilon", SMALL)
    total = _total(write, bias=3)
    y = write("RMSNormalization", total, write.need(2), axis=-1, epsilon=epsilon)
    return (y, "", "", total)


def _total(write: Body, bias: int) -> str:
    return write.plus(write("Add", *write.inputs[:2]), bias)


def embed_layer_normalization(write: Body) -> tuple[str, ...]:
    """The embeddings of words, places and segments added and normalised.

    Outputs are that, the lengths that a mask has, and the sum. Inputs are [batch, seq].
    """
    site, ids = write.site, write.need(0)
    epsilon = site.number("epsilon", SMALL)
    if site.integer("mask_index_type", 0):
        raise site.refuse("mask_index_type is not supported")
    batch, seq = write.dims(0, 2)
    words = write("Gather", write.need(2), ids)
    if site.has(8):
        places = write("Gather", write.need(3), write.need(8))
    else:
        places = write("Slice", write.need(3), *(write.ints(n) for n in (0, seq, 0)))
    total = write("Add", words, places)
    if site.has(1) and site.has(4):
        total = write("Add", total, write("Gather", write.need(4), write.need(1)))
    y = write("LayerNormalization", total, *write.inputs[5:7], axis=-1, epsilon=epsilon)
    if site.has(7):
        seen = write("Equal", write.need(7), write.given(np.array(1, np.int32)))
        lengths = write("ReduceSum", write("Cast", seen, to=6), write.ints(1), keepdims=0)
    else:
        lengths = write.given(np.zeros(batch, np.int32))
    return (y, lengths, total)


FUNCTIONS: Mapping[str, Declaration] = MappingProxyType(
    {
        "SkipLayerNormalization": skip_layer_normalization,
        "SkipSimplifiedLayerNormalization": skip_simplified_layer_normalization,
        "EmbedLayerNormalization": embed_layer_normalization,
    }
)
# Written without a domain, though ONNX has no such op.
UNLISTED: Mapping[str, Declaration] = MappingProxyType(
    {"SimplifiedLayerNormalization": simplified_layer_normalization}
)

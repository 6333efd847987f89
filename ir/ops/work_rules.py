"""Work rules: the true operations of a node, from shapes only.

Every rule adds up: the work of tiles that cut an output into parts is the work of the whole. A
multiply-add is 2 operations. Per element: softmax exp + 7, layer norm 8, GELU exp + 10, as
LLMCompass (Zhang et al. 2024) counts vector work; exp, log, tanh, erf and pow are one
transcendental each, whose price the datasheet gives.
"""

from collections.abc import Sequence
from math import prod

from emu.ir.graph import Attrs
from emu.ir.ops.attributes import integer, integers, optional, take
from emu.ir.ops.table import Types, Work, WorkRule
from emu.ir.types import TensorType

Outputs = Sequence[TensorType]


def per_element(flops: int, transcendentals: int = 0, divisions: int = 0) -> WorkRule:
    """Return the rule: so many operations for each element of the output."""

    def rule(types: Types, outs: Outputs, attrs: Attrs) -> Work:
        return Work(flops, transcendentals, divisions) * outs[0].elements

    return rule


def per_input_element(flops: int) -> WorkRule:
    """Return the rule: so many operations for each element that is reduced."""

    def rule(types: Types, outs: Outputs, attrs: Attrs) -> Work:
        (x,) = take(types[:1], 1)
        return Work(flops * x.elements)

    return rule


def movement(types: Types, outs: Outputs, attrs: Attrs) -> Work:
    """Moving elements computes nothing."""
    return Work()


def matmul(types: Types, outs: Outputs, attrs: Attrs) -> Work:
    """2*B*M*N*K for [B,M,K] @ [B,K,N]."""
    a, _ = take(types, 2)
    return Work(2 * outs[0].elements * a.dims[-1])


def gemm(types: Types, outs: Outputs, attrs: Attrs) -> Work:
    """2*M*N*K, and M*N more where a bias is added."""
    a, _ = take(types, 2, 3)
    depth = a.dims[0 if integer(attrs, "transA", 0) else 1]
    return Work((2 * depth + _bias(types)) * outs[0].elements)


def conv(types: Types, outs: Outputs, attrs: Attrs) -> Work:
    """2*(C/group)*kh*kw for each output element, and 1 more where a bias is added."""
    _, w = take(types, 2, 3)
    return Work((2 * prod(w.dims[1:]) + _bias(types)) * outs[0].elements)


def conv_transpose(types: Types, outs: Outputs, attrs: Attrs) -> Work:
    """2*(C/group)*taps for each output element, and 1 more where a bias is added.

    An output element meets ceil(k/stride) taps in each dimension at most; that is exact inside
    where the stride divides the kernel.
    """
    _, w = take(types, 2, 3)
    kernel = w.dims[2:]
    strides = integers(attrs, "strides") or (1,) * len(kernel)
    taps = prod(-(-k // s) for k, s in zip(kernel, strides, strict=True))
    depth = w.dims[0] // integer(attrs, "group", 1)
    return Work((2 * depth * taps + _bias(types)) * outs[0].elements)


def pool(types: Types, outs: Outputs, attrs: Attrs) -> Work:
    """One operation for each element of each window."""
    return Work(prod(integers(attrs, "kernel_shape")) * outs[0].elements)


def resize(types: Types, outs: Outputs, attrs: Attrs) -> Work:
    """Nearest computes nothing; linear is one multiply-add for each of the 2^d corners."""
    if attrs.get("mode", "nearest") == "nearest":
        return Work()
    scales = attrs.get("scales")
    spread = sum(s != 1 for s in scales) if isinstance(scales, tuple) else 0
    return Work(2 * 2**spread * outs[0].elements) if spread else Work()


def _bias(types: Types) -> int:
    return 1 if optional(types, 2) is not None else 0

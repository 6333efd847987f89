"""A convolution + BatchNormalization is one convolution: both are linear per output channel.

With f = scale / sqrt(var + epsilon):
((w*x + b) - mean)*f + bias = (w*f)*x + ((b - mean)*f + bias). So it is for ConvTranspose, whose
weights have the output channels second.
"""

from dataclasses import replace

import numpy as np

from emu.ir.graph import Constant, Graph, Node
from emu.ir.ops.attributes import integer, number
from emu.ir.passes.rewriting import derived_key, fresh, joined, rebuilt
from emu.ir.types import Array, TensorType

EPSILON = 1e-5
CONVOLUTIONS = ("Conv", "ConvTranspose")


def fold_batch_norm(graph: Graph) -> Graph:
    """Return ``graph`` with batch norms folded into the convolution that only they read.

    The new weight and bias are constants that compute themselves when they are loaded.
    """
    made: dict[str, Constant] = {}
    nodes: dict[str, Node] = {}
    for node in graph.nodes:
        conv = _conv_before(graph, node)
        if conv is None:
            nodes[node.id] = node
            continue
        weight, bias = (fresh(graph, f"{node.output}.{what}") for what in ("weight", "bias"))
        made[weight], made[bias] = _folded(graph, conv, node)
        nodes[conv.id] = replace(
            conv,
            inputs=(conv.inputs[0], weight, bias),
            outputs=node.outputs,
            source=joined(conv.source, node.source),
        )
    return rebuilt(graph, nodes.values(), made)


def _conv_before(graph: Graph, node: Node) -> Node | None:
    if node.op != "BatchNormalization":
        return None
    conv = graph.producer.get(node.inputs[0])
    if conv is None or conv.op not in CONVOLUTIONS or conv.output in graph.outputs:
        return None
    numbers = [v for v in (*conv.inputs[1:], *node.inputs[1:]) if v]
    known = all(v in graph.constants for v in numbers)
    return conv if known and len(graph.readers[conv.output]) == 1 else None


def _folded(graph: Graph, conv: Node, norm: Node) -> tuple[Constant, Constant]:
    weight = graph.constants[conv.inputs[1]]
    bias = graph.constants.get(conv.inputs[2]) if len(conv.inputs) > 2 else None
    scale, shift, mean, var = (graph.constants[v] for v in norm.inputs[1:])
    epsilon = number(norm.attrs, "epsilon", EPSILON)

    def factor() -> Array:
        return scale.load() / np.sqrt(var.load() + var.load().dtype.type(epsilon))

    def new_weight() -> Array:
        return _scaled(conv, weight.load(), factor())

    def new_bias() -> Array:
        centred = -mean.load() if bias is None else bias.load() - mean.load()
        return centred * factor() + shift.load()

    layout = (conv.op, integer(conv.attrs, "group", 1))
    norms = (scale.key, shift.key, mean.key, var.key, epsilon)
    parts = (*layout, weight.key, bias.key if bias else "", *norms)
    vector = TensorType(weight.type.dtype, scale.type.shape)
    return (
        Constant(weight.type, derived_key("weight with batch norm", parts), new_weight),
        Constant(vector, derived_key("bias with batch norm", parts), new_bias),
    )


def _scaled(conv: Node, weight: Array, factor: Array) -> Array:
    """``w[M,C/g,...]`` of a Conv, ``w[C,M/g,...]`` of a ConvTranspose, times ``factor[M]``."""
    space = tuple(1 for _ in weight.shape[2:])
    if conv.op == "Conv":
        return weight * factor.reshape(-1, 1, *space)
    groups = integer(conv.attrs, "group", 1)
    by_group = weight.reshape(groups, -1, *weight.shape[1:])
    return (by_group * factor.reshape(groups, 1, -1, *space)).reshape(weight.shape)

"""What a row of an op measured, as a model of that op alone; shapes are those of the rows."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import TypeAlias

from emu.ir.graph import Graph, Node
from emu.ir.passes.infer_types import infer_types
from emu.ir.passes.lower_precision import lower_precision
from emu.ir.precision import DTYPES
from emu.models.model import Model
from emu.models.reader import to_graph
from emu.models.zoo import build
from emu.models.zoo.draft import Draft, fan_in
from emu.models.zoo.transformer import norm, tanh_gelu

Shape: TypeAlias = tuple[int, ...]
Workload: TypeAlias = tuple[str, Shape]
HEAD = 128  # elements of a head of Llama-2 (Touvron et al. 2023)
VOCABULARY = 32000


def matmul(shape: Shape) -> Model:
    """x[M,K] @ w[K,N] of a ``shape`` (M, N, K)."""
    m, n, k = shape
    draft = Draft("matmul")
    weight = draft.weight("w", (k, n), fan_in(k))
    draft.node("MatMul", "y", draft.input("x", (m, k)), weight)
    return draft.finish({"y": (m, n)})


def batched_matmul(shape: Shape) -> Model:
    """x[B,M,K] @ z[B,K,N] of a ``shape`` (B, M, N, K)."""
    b, m, n, k = shape
    draft = Draft("batched_matmul")
    draft.node("MatMul", "y", draft.input("x", (b, m, k)), draft.input("z", (b, k, n)))
    return draft.finish({"y": (b, m, n)})


def softmax(shape: Shape) -> Model:
    """Softmax over the columns of x[M,N] in three passes: maximum, sum of powers, and result.

    A kernel that keeps no row computes every power a second time for the result, as that of the
    framework does (PyTorch, SoftMax.cu).
    """
    draft = Draft("softmax")
    x = draft.input("x", shape)
    most = draft.node("ReduceMax", "most", x, axes=(-1,))
    powers = draft.node("Exp", "powers", draft.node("Sub", "below", x, most))
    total = draft.node("ReduceSum", "total", powers, draft.ints("axes", -1))
    again = draft.node("Exp", "again", draft.node("Sub", "below_again", x, most))
    draft.node("Div", "y", again, total)
    return draft.finish({"y": shape})


def layernorm(shape: Shape) -> Model:
    """Layer normalisation over the columns of x[M,N], with scale and bias."""
    draft = Draft("layernorm")
    return draft.finish({norm(draft, "y", draft.input("x", shape), shape[-1]): shape})


def rmsnorm(shape: Shape) -> Model:
    """x / sqrt(mean(x^2)) * scale over the columns of x[M,N] (Zhang and Sennrich 2019)."""
    draft = Draft("rmsnorm")
    x = draft.input("x", shape)
    mean = draft.node("ReduceMean", "mean", draft.node("Mul", "square", x, x), axes=(-1,))
    root = draft.node("Sqrt", "root", draft.node("Add", "shift", mean, draft.number("eps", 1e-5)))
    scale = draft.weight("scale", (shape[-1],), fan_in(1))
    draft.node("Mul", "y", draft.node("Div", "normal", x, root), scale)
    return draft.finish({"y": shape})


def gelu(shape: Shape) -> Model:
    """GELU by tanh, element by element."""
    draft = Draft("gelu")
    return draft.finish({tanh_gelu(draft, "y", draft.input("x", shape)): shape})


def add(shape: Shape) -> Model:
    """The sum of two inputs of one shape."""
    draft = Draft("add")
    draft.node("Add", "y", draft.input("a", shape), draft.input("b", shape))
    return draft.finish({"y": shape})


def relu(shape: Shape) -> Model:
    """Each element of one input, 0 if it is below."""
    draft = Draft("relu")
    return draft.finish({draft.node("Relu", "y", draft.input("x", shape)): shape})


def conv(shape: Shape) -> Model:
    """A square convolution of a ``shape`` (B, C, O, H, K, S): K x K at stride S of H x H images."""
    batch, channels, features, size, kernel, stride = shape
    draft = Draft("conv")
    weight = draft.weight("w", (features, channels, kernel, kernel), fan_in(channels * kernel**2))
    side, padding = (kernel, kernel), (kernel // 2,) * 4
    attrs = {"kernel_shape": side, "strides": (stride, stride), "pads": padding}
    draft.node("Conv", "y", draft.input("x", (batch, channels, size, size)), weight, **attrs)
    made = (size + 2 * (kernel // 2) - kernel) // stride + 1
    return draft.finish({"y": (batch, features, made, made)})


def attention(shape: Shape) -> Model:
    """Attention without a mask of a ``shape`` (B, H, S, D): H heads of D over S positions."""
    batch, heads, length, size = shape
    draft = Draft("attention")
    query, value = (draft.input(name, (batch, heads, length, size)) for name in ("q", "v"))
    key = draft.input("k", (batch, heads, size, length))  # as its product reads it
    scores = draft.node("MatMul", "scores", query, key)
    scaled = draft.node("Mul", "scaled", scores, draft.number("scale", size**-0.5))
    draft.node("MatMul", "y", draft.node("Softmax", "shares", scaled, axis=-1), value)
    return draft.finish({"y": (batch, heads, length, size)})


def silu_mul(shape: Shape) -> Model:
    """gate * sigmoid(gate) * up of two inputs [M,N] (Shazeer 2020, SwiGLU)."""
    draft = Draft("silu_mul")
    gate, up = draft.input("gate", shape), draft.input("up", shape)
    silu = draft.node("Mul", "silu", gate, draft.node("Sigmoid", "sigmoid", gate))
    draft.node("Mul", "y", silu, up)
    return draft.finish({"y": shape})


def rope(shape: Shape) -> Model:
    """Rotary positions of queries and keys [M,N] each, from tables of one row a token.

    The partner of an element lies in the same head, so that it is on chip with it: it adds a
    product, and no bytes.
    """
    m, n = shape
    draft = Draft("rope")
    x = draft.input("x", (m, 2 * n // HEAD, HEAD))
    cosine, sine = (draft.input(name, (m, 1, HEAD)) for name in ("cosine", "sine"))
    turned = draft.node("Mul", "turned", x, sine)
    draft.node("Add", "y", draft.node("Mul", "kept", x, cosine), turned)
    return draft.finish({"y": (m, 2 * n // HEAD, HEAD)})


def embedding(shape: Shape) -> Model:
    """Rows of a table [V,N] for M ids."""
    m, n = shape
    draft = Draft("embedding")
    ids = draft.input("ids", (m,), "i64")
    table = draft.weight("table", (VOCABULARY, n), fan_in(1))
    draft.node("Gather", "y", table, ids, axis=0)
    return draft.finish({"y": shape})


def fc_chain(shape: Shape) -> Model:
    """Equal fully connected layers with Relu of a ``shape`` (layers, width, batch)."""
    layers, width, batch = shape
    draft = Draft("fc_chain")
    x = draft.input("x", (batch, width))
    for layer in range(layers):
        weight = draft.weight(f"weight{layer}", (width, width), fan_in(width))
        x = draft.node("Relu", f"relu{layer}", draft.node("MatMul", f"fc{layer}", x, weight))
    return draft.finish({x: (batch, width)})


def conv_chain(shape: Shape) -> Model:
    """Equal 3 x 3 convolutions with Relu of a ``shape`` (layers, channels, batch, side)."""
    layers, channels, batch, side = shape
    draft = Draft("conv_chain")
    x = draft.input("x", (batch, channels, side, side))
    kernel = {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1)}
    for layer in range(layers):
        filters = (channels, channels, 3, 3)
        weight = draft.weight(f"weight{layer}", filters, fan_in(9 * channels))
        y = draft.node("Conv", f"conv{layer}", x, weight, **kernel)
        x = draft.node("Relu", f"relu{layer}", y)
    return draft.finish({x: (batch, channels, side, side)})


def lstm_chain(shape: Shape) -> Model:
    """One step of stacked LSTM cells of a ``shape`` (cells, width, batch).

    A cell reads the output of the cell below and its own of the step before, in one product for
    each gate (Gers, Schmidhuber and Cummins 2000, with forget gates).
    """
    cells, width, batch = shape
    draft = Draft("lstm_chain")
    below = draft.input("x", (batch, width))
    outputs: dict[str, tuple[int, ...]] = {}
    for cell in range(cells):
        own, state = (draft.input(f"{name}{cell}", (batch, width)) for name in ("own", "state"))
        read = draft.node("Concat", f"read{cell}", below, own, axis=1)
        gates = [_gate(draft, f"{gate}{cell}", read, width) for gate in ("in", "forget", "out")]
        new = draft.node("Tanh", f"new{cell}", _weighed(draft, f"new{cell}", read, width))
        taken = draft.node("Mul", f"taken{cell}", gates[0], new)
        kept = draft.node("Mul", f"kept{cell}", gates[1], state)
        next_state = draft.node("Add", f"next_state{cell}", kept, taken)
        shown = draft.node("Tanh", f"shown{cell}", next_state)
        below = draft.node("Mul", f"next{cell}", gates[2], shown)
        outputs |= {next_state: (batch, width), below: (batch, width)}
    return draft.finish(outputs)


def _gate(draft: Draft, name: str, x: str, width: int) -> str:
    return draft.node("Sigmoid", name, _weighed(draft, name, x, width))


def _weighed(draft: Draft, name: str, x: str, width: int) -> str:
    """A product of x[N, 2 width] with weights of a gate."""
    weight = draft.weight(f"{name}.weight", (2 * width, width), fan_in(2 * width))
    return draft.node("MatMul", f"{name}.fc", x, weight)


OPS: Mapping[str, Callable[[Shape], Model]] = MappingProxyType(
    {
        "matmul": matmul,
        "batched_matmul": batched_matmul,
        "softmax": softmax,
        "layernorm": layernorm,
        "rmsnorm": rmsnorm,
        "gelu": gelu,
        "add": add,
        "relu": relu,
        "conv": conv,
        "attention": attention,
        "silu_mul": silu_mul,
        "rope": rope,
        "embedding": embedding,
    }
)
CHAINS: Mapping[str, Callable[[Shape], Model]] = MappingProxyType(
    {"fc_chain": fc_chain, "conv_chain": conv_chain, "lstm_chain": lstm_chain}
)
# Models of the zoo, with the settings that their numbers stand for.
MODELS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"resnet50": ("batch",), "bert_base": ("batch", "seq"), "bert_large": ("batch", "seq")}
)


@lru_cache(maxsize=512)
def model_of(workload: Workload) -> Model:
    """The model of a workload: an op or a chain of a shape, or one of the zoo with its settings."""
    name, shape = workload
    if made := {**OPS, **CHAINS}.get(name):
        return made(shape)
    return build(name, dict(zip(MODELS[name], shape, strict=True)))


def op_graph(workload: Workload, dtype: str) -> Graph:
    """The graph of one op whose inputs and outputs lie in memory in ``dtype`` as all the rest.

    Images lie as NHWC, as products of 16 bits on a matrix unit read and make them.
    """
    graph = _in_dtype(to_graph(model_of(workload), {}), dtype)
    if workload[0] != "conv":
        return graph
    return replace(graph, types={v: replace(t, layout="nhwc") for v, t in graph.types.items()})


def _in_dtype(graph: Graph, dtype: str) -> Graph:
    """A graph with its inputs and outputs in the element type of its products."""
    factors = DTYPES[dtype].factors
    if factors == "f32":
        return graph
    lowered = lower_precision(graph, factors)
    inside = {n.inputs[0]: n.output for n in lowered.nodes if n.inputs[0] in graph.inputs}
    names = {v: inside[v] for v in graph.inputs if _is_cast(lowered, inside.get(v, ""))}
    outside = {v: lowered.producer[v].inputs[0] for v in graph.outputs if _is_cast(lowered, v)}
    casts = {*names.values(), *outside}
    return infer_types(
        replace(
            lowered,
            inputs=tuple(names.get(v, v) for v in lowered.inputs),
            outputs=tuple(outside.get(v, v) for v in lowered.outputs),
            nodes=tuple(n for n in lowered.nodes if n.output not in casts),
        )
    )


def narrow_borders(graph: Graph) -> Graph:
    """The graph with its inputs and outputs in the eight bits that its products read and make.

    An input is what its QuantizeLinear made, or is widened for what reads it first; an output gets
    a QuantizeLinear. What is made here has the scale of the first that the graph has.
    """
    quantizers = [node for node in graph.nodes if node.op == "QuantizeLinear"]
    first = quantizers[0]
    made = {n.inputs[0]: n.output for n in quantizers if n.inputs[0] in graph.inputs}
    wide = tuple(value for value in graph.inputs if value not in made)
    outs = tuple(
        replace(
            first,
            id=f"{value}.i8.made",
            inputs=(value, first.inputs[1]),
            outputs=(f"{value}.i8",),
            source=graph.producer[value].source,
        )
        for value in graph.outputs
    )
    kept = tuple(node for node in graph.nodes if node.output not in made.values())
    types = {f"{value}.i8": replace(graph.types[value], dtype="i8") for value in wide}
    return infer_types(
        replace(
            graph,
            inputs=tuple(made.get(value, f"{value}.i8") for value in graph.inputs),
            outputs=tuple(node.output for node in outs),
            nodes=(*(_widened(value, first) for value in wide), *kept, *outs),
            types={**graph.types, **types},
        )
    )


def _widened(value: str, like: Node) -> Node:
    """What makes an input of its eight bits, with the scale of a QuantizeLinear."""
    return replace(
        like,
        id=f"{value}.widened",
        op="DequantizeLinear",
        inputs=(f"{value}.i8", like.inputs[1]),
        outputs=(value,),
        attrs={name: number for name, number in like.attrs.items() if name != "to"},
    )


def _is_cast(graph: Graph, value: str) -> bool:
    return value in graph.producer and graph.producer[value].op == "Cast"

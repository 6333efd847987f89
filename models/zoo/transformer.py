"""Pieces that transformers share."""

from emu.models.zoo.draft import Draft, Fill, fan_in


def linear(
    draft: Draft, name: str, x: str, sizes: tuple[int, int], gain: float = 1.0, output: str = ""
) -> str:
    """x [..., sizes[0]] @ weight + bias, as MatMul and Add."""
    weight = draft.weight(f"{name}.weight", sizes, fan_in(sizes[0], gain))
    bias = draft.weight(f"{name}.bias", (sizes[1],), Fill(0.0, 0.05))
    product = draft.node("MatMul", f"{name}.matmul", x, weight)
    return draft.node("Add", output or f"{name}.add", product, bias)


def norm(draft: Draft, name: str, x: str, hidden: int) -> str:
    """LayerNormalization over the last dimension as one node."""
    scale = draft.weight(f"{name}.scale", (hidden,), Fill(1.0, 0.1))
    bias = draft.weight(f"{name}.bias", (hidden,), Fill(0.0, 0.05))
    return draft.node("LayerNormalization", name, x, scale, bias, axis=-1, epsilon=1e-5)


def spelled_norm(draft: Draft, name: str, x: str, hidden: int, output: str = "") -> str:
    """The same in nine primitive nodes, as exporters before opset 17 write it."""
    mean = draft.node("ReduceMean", f"{name}.mean", x, axes=(-1,))
    centred = draft.node("Sub", f"{name}.sub", x, mean)
    squares = draft.node("Pow", f"{name}.pow", centred, draft.number(f"{name}.two", 2.0))
    variance = draft.node("ReduceMean", f"{name}.variance", squares, axes=(-1,))
    epsilon = draft.number(f"{name}.epsilon", 1e-12)
    shifted = draft.node("Add", f"{name}.shift", variance, epsilon)
    deviation = draft.node("Sqrt", f"{name}.sqrt", shifted)
    normal = draft.node("Div", f"{name}.div", centred, deviation)
    scale = draft.weight(f"{name}.scale", (hidden,), Fill(1.0, 0.1))
    scaled = draft.node("Mul", f"{name}.mul", normal, scale)
    bias = draft.weight(f"{name}.bias", (hidden,), Fill(0.0, 0.05))
    return draft.node("Add", output or f"{name}.add", scaled, bias)


def erf_gelu(draft: Draft, name: str, x: str) -> str:
    """x * (1 + erf(x / sqrt(2))) * 0.5 in five nodes."""
    scaled = draft.node("Div", f"{name}.div", x, draft.number(f"{name}.sqrt2", 2**0.5))
    erf = draft.node("Erf", f"{name}.erf", scaled)
    shifted = draft.node("Add", f"{name}.add", erf, draft.number(f"{name}.one", 1.0))
    product = draft.node("Mul", f"{name}.mul", x, shifted)
    return draft.node("Mul", f"{name}.halve", product, draft.number(f"{name}.half", 0.5))


def tanh_gelu(draft: Draft, name: str, x: str) -> str:
    """0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) in eight nodes: Hendrycks and Gimpel 2016."""
    cube = draft.node("Pow", f"{name}.pow", x, draft.number(f"{name}.three", 3.0))
    small = draft.node("Mul", f"{name}.small", cube, draft.number(f"{name}.cubic", 0.044715))
    inner = draft.node("Add", f"{name}.inner", x, small)
    scale = draft.number(f"{name}.scale", 0.7978845608028654)
    tanh = draft.node("Tanh", f"{name}.tanh", draft.node("Mul", f"{name}.scaled", inner, scale))
    shifted = draft.node("Add", f"{name}.add", tanh, draft.number(f"{name}.one", 1.0))
    half = draft.node("Mul", f"{name}.halve", x, draft.number(f"{name}.half", 0.5))
    return draft.node("Mul", f"{name}.mul", half, shifted)


def heads(
    draft: Draft, name: str, x: str, shape: tuple[int, ...], perm: tuple[int, ...] = (0, 2, 1, 3)
) -> str:
    """[batch, seq, hidden] cut to ``shape`` [batch, seq, heads, size], then turned by ``perm``."""
    cut = draft.node("Reshape", f"{name}.cut", x, draft.ints(f"{name}.shape", *shape))
    return draft.node("Transpose", f"{name}.turn", cut, perm=perm)


def join_heads(draft: Draft, name: str, x: str, shape: tuple[int, int, int]) -> str:
    """[batch, heads, seq, size] back to ``shape`` [batch, seq, hidden]."""
    turned = draft.node("Transpose", f"{name}.turn", x, perm=(0, 2, 1, 3))
    return draft.node("Reshape", f"{name}.join", turned, draft.ints(f"{name}.shape", *shape))


def attention_core(
    draft: Draft, name: str, qkv: tuple[str, str, str], size: int, mask: str = "", output: str = ""
) -> str:
    """softmax(Q K^T / sqrt(size)) V for Q, V [..., seq, size] and K already turned.

    Where ``mask`` is false, the score is replaced by the constant ``masked``.
    """
    q, k, v = qkv
    scores = draft.node("MatMul", f"{name}.scores", q, k)
    root = draft.number(f"{name}.root", size**0.5)
    scores = draft.node("Div", f"{name}.scale", scores, root)
    if mask:
        scores = draft.node("Where", f"{name}.where", mask, scores, "masked")
    weights = draft.node("Softmax", f"{name}.softmax", scores, axis=-1)
    return draft.node("MatMul", output or f"{name}.context", weights, v)

"""Predicates over groups: what a kernel takes, and the reason why it does not take the rest."""

from emu.ir.body import Body
from emu.ir.ops import OPS, Fusion
from emu.ir.tiling import has_tile_rule
from emu.kernels.attention import matches_attention
from emu.kernels.menus import anchors
from emu.kernels.siblings import matches_siblings

MOVES = frozenset(
    ("Concat", "Split", "Gather", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Relayout")
)


def single(body: Body) -> str | None:
    """One node."""
    return None if len(body.nodes) == 1 else f"takes one op, not {len(body.nodes)}"


def movement(body: Body) -> str | None:
    """One node that only moves elements."""
    if why := single(body):
        return why
    op = body.nodes[0].op
    return None if op in MOVES or op == "Resize" else f"{op} computes"


def plain(body: Body) -> str | None:
    """One node that computes, of any kind that can be cut into tiles."""
    if why := single(body):
        return why
    op = body.nodes[0].op
    return f"{op} only moves elements" if op in MOVES else _opaque(body)


def plain_product(body: Body) -> str | None:
    """One matrix product or convolution."""
    return single(body) or (None if anchors(body) else "there is no product")


def plain_pointwise(body: Body) -> str | None:
    """One op without a product."""
    return plain(body) or ("there is a product" if anchors(body) else None)


def product_with_epilogue(body: Body) -> str | None:
    """A product first, then only what is injective or simpler."""
    found = anchors(body)
    if found != [0]:
        return "needs one product, first" if len(found) != 1 else "the product is not first"
    rest = [n.op for n in body.nodes[1:] if OPS[n.op].fusion > Fusion.INJECTIVE]
    return f"{rest[0]} cannot be an epilogue" if rest else None


def normalisation(body: Body) -> str | None:
    """A spelled-out normalisation: two means over rows, and the elementwise ops around them."""
    if anchors(body):
        return "there is a product"
    means = [n for n in body.nodes if n.op == "ReduceMean"]
    return None if len(means) == 2 else "is not a normalisation of rows"


def gelu(body: Body) -> str | None:
    """An activation spelled out with erf or tanh."""
    ops = {n.op for n in body.nodes}
    if not ops & {"Erf", "Tanh"} or any(OPS[o].fusion > Fusion.BROADCAST for o in ops):
        return "is not an activation"
    return None


def attention(body: Body) -> str | None:
    """Scaled dot-product attention."""
    return matches_attention(body)


def siblings(body: Body) -> str | None:
    """Independent groups of equal shape."""
    return matches_siblings(body)


def chain(body: Body) -> str | None:
    """Several products or pools, each reading what the one before made on chip."""
    heavy = [n for n in body.nodes if OPS[n.op].fusion >= Fusion.REDUCTION]
    if len(heavy) < 2 or not anchors(body):
        return "needs two products, or a product and a pool"
    if why := _opaque(body):
        return why
    softmax = [n.op for n in body.nodes if n.op in ("Softmax", "LogSoftmax")]
    return "a softmax between products needs the attention kernel" if softmax else None


def anything_without_product(body: Body) -> str | None:
    """Any group that loops can be generated for."""
    return "there is a product" if anchors(body) else _opaque(body)


def anything_with_product(body: Body) -> str | None:
    """Any group around one product."""
    if len(anchors(body)) != 1:
        return "needs one product"
    return _opaque(body)


def _opaque(body: Body) -> str | None:
    for node in body.nodes:
        if not has_tile_rule(node.op):
            return f"{node.op} is opaque"
    return None

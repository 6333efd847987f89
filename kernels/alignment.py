"""How wide lanes can load the factors of a product: as wide as their rows stay aligned."""

from math import gcd

from emu.ir.body import ABSENT, Body
from emu.kernels.menus import anchors

ROWS = frozenset(("MatMul", "MatMulInteger", "Gemm"))  # a conv's channels are rows of its layout


def aligned_width(body: Body, width_bytes: int) -> int:
    """The width of loads, ``width_bytes`` or less, that divides all rows of factors of products.

    A lane loads 16, 8, 4, ... bytes from addresses that are multiples of as many, so a leading
    dimension that is no such multiple takes narrower loads (CUTLASS has kernels for an alignment
    of 8, 4, 2 elements and 1). What is computed inside lies on chip and does not count.
    """
    for number in anchors(body):
        node = body.nodes[number]
        for value in node.ins[:2] if node.op in ROWS else ():
            if value != ABSENT and value < body.inputs and body.types[value].dims:
                factor = body.types[value]
                width_bytes = gcd(width_bytes, factor.dims[-1] * factor.itemsize)
    return width_bytes

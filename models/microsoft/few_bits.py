"""Weights of a few bits by blocks, packed into bytes; onnxruntime, ContribOperators.md."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from emu.ir.errors import ModelError
from emu.models.microsoft.body import Body, Declaration
from emu.models.tensors import ELEM_TYPES

BITS = (2, 4, 8)


def matmul_n_bits(write: Body) -> str:
    """x [..., K] by weights [N, blocks, bytes], the lowest bits of a byte first, plus a bias.

    A weight q is (q - zero point) * scale, with one of both for each block.
    """
    site = write.site
    rows, depth, size = (_positive(write, n) for n in ("N", "K", "block_size"))
    bits = site.integer("bits", 4)
    site.integer("accuracy_level", 0)  # how exact at least; f32 is as exact as any
    if bits not in BITS or site.has(4) or site.integer("weight_prepacked", 0):
        raise site.refuse("only 2, 4 or 8 bits without g_idx are supported, not prepacked ones")
    blocks = -(-depth // size)
    whole = _unpacked(write, write.need(1), bits, (rows, blocks, size))
    scale = write.reshape(write.need(2), rows, blocks, 1)
    dtype = site.type(0).dtype
    if not site.has(3):
        zero = write.number(2 ** (bits - 1))
    elif site.type(3).dtype == dtype:
        zero = write.reshape(write.need(3), rows, blocks, 1)
    else:
        held = site.type(3).elements // rows * (8 // bits)
        points = _unpacked(write, write.need(3), bits, (rows, held, 1))
        zero = write("Slice", points, write.ints(0), write.ints(blocks), write.ints(1))
    real = write("Mul", write("Sub", whole, zero), scale)
    flat = write.reshape(real, rows, blocks * size)
    if blocks * size != depth:
        flat = write("Slice", flat, write.ints(0), write.ints(depth), write.ints(1))
    y = write("MatMul", write.need(0), write("Transpose", flat, perm=(1, 0)))
    return write.plus(y, 5)


def _positive(write: Body, name: str) -> int:
    if (number := write.site.integer(name, 0)) < 1:
        raise ModelError(f"{write.site.where}: {name} is {number}")
    return number


def _unpacked(write: Body, packed: str, bits: int, dims: tuple[int, int, int]) -> str:
    """Bytes as ``dims`` numbers of ``bits`` each, in the element type of the first input."""
    to = ELEM_TYPES[write.site.type(0).dtype]
    if bits == 8:
        return write("Cast", write.reshape(packed, *dims), to=to)
    shifts = write.given(np.arange(0, 8, bits, dtype=np.uint8))
    moved = write("BitShift", write.reshape(packed, -1, 1), shifts, direction="RIGHT")
    low = write("BitwiseAnd", moved, write.given(np.array((1 << bits) - 1, np.uint8)))
    return write("Cast", write.reshape(low, *dims), to=to)


FUNCTIONS: Mapping[str, Declaration] = MappingProxyType({"MatMulNBits": matmul_n_bits})

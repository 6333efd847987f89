"""Small groups and their tile programs, for the tests of the cost models."""

from emu.ir.body import Body, BodyNode
from emu.ir.tile import TileProgram
from emu.ir.types import TensorType
from emu.kernels.build import build
from emu.kernels.tiling import Tiling


def tensor(*shape: int) -> TensorType:
    return TensorType("f32", shape)


def conv_body(channels: int = 64, size: int = 56) -> Body:
    """conv 3x3 + bias + residual + relu."""
    image = tensor(1, channels, size, size)
    weight = tensor(channels, channels, 3, 3)
    conv = BodyNode("Conv", (0, 1, 2), (4,), (("pads", (1, 1, 1, 1)), ("strides", (1, 1))))
    nodes = (conv, BodyNode("Add", (4, 3), (5,)), BodyNode("Relu", (5,), (6,)))
    types = (image, weight, tensor(channels), image, image, image, image)
    return Body(nodes, types, 4, frozenset((1, 2)), (6,))


def matmul_body(m: int = 256, n: int = 256, k: int = 256) -> Body:
    """One product [m, k] @ [k, n]."""
    types = (tensor(m, k), tensor(k, n), tensor(m, n))
    return Body((BodyNode("MatMul", (0, 1), (2,)),), types, 2, frozenset((1,)), (2,))


def add_body(rows: int = 1024, columns: int = 256) -> Body:
    """One elementwise sum."""
    image = tensor(rows, columns)
    return Body((BodyNode("Add", (0, 1), (2,)),), (image,) * 3, 2, frozenset(), (2,))


def relu_body(rows: int = 1024, columns: int = 256) -> Body:
    """One op of one operand, element by element."""
    image = tensor(rows, columns)
    return Body((BodyNode("Relu", (0,), (1,)),), (image,) * 2, 1, frozenset(), (1,))


def softmax_body(rows: int = 512, columns: int = 128) -> Body:
    """One softmax over rows."""
    image = tensor(rows, columns)
    node = BodyNode("Softmax", (0,), (1,), (("axis", -1),))
    return Body((node,), (image,) * 2, 1, frozenset(), (1,))


BODIES = {"conv": conv_body, "matmul": matmul_body, "add": add_body, "softmax": softmax_body}


def program_of(body: Body, tiling: Tiling) -> TileProgram:
    return build(body, tiling, "test")


def integer_body(m: int = 200, n: int = 2048, k: int = 2048) -> Body:
    """One product of bytes, [m, k] @ [k, n], with sums of 32 bits."""
    types = (TensorType("i8", (m, k)), TensorType("i8", (k, n)), TensorType("i32", (m, n)))
    attrs = (("w_zero_point", 0), ("x_zero_point", 0))
    node = BodyNode("MatMulInteger", (0, 1), (2,), attrs)
    return Body((node,), types, 2, frozenset((1,)), (2,))

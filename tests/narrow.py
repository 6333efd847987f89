"""Groups whose products are of narrow numbers, one function each, and the element types they have.

Their sums are kept in more bits than their factors and results have.
"""

from collections.abc import Callable

from emu.ir.body import Body
from tests.tiles import Sketch

BODIES: dict[str, Callable[[], Body]] = {}


def body(make: Callable[[], Body]) -> Callable[[], Body]:
    BODIES[make.__name__] = make
    return make


@body
def f16_conv_bias_relu() -> Body:
    s = Sketch()
    x, w = s.input(2, 6, 7, 9, dtype="f16"), s.weight(8, 6, 3, 3, dtype="f16")
    b = s.weight(8, dtype="f16")
    s.op("Relu", s.op("Conv", x, w, b, pads=(1, 0, 1, 1), strides=(2, 1)))
    return s.body()


@body
def bf16_matmul_and_scale() -> Body:
    s = Sketch()
    x, w = s.input(2, 5, 24, dtype="bf16"), s.weight(24, 7, dtype="bf16")
    s.op("Mul", s.op("MatMul", x, w), s.weight(1, dtype="bf16"))
    return s.body()


@body
def f16_gemm_with_a_factor() -> Body:
    s = Sketch()
    a, b = s.input(9, 16, dtype="f16"), s.weight(6, 16, dtype="f16")
    s.op("Gemm", a, b, s.weight(6, dtype="f16"), transB=1, beta=0.5)
    return s.body()


@body
def i8_conv_with_a_border_of_its_zero_point() -> Body:
    s = Sketch()
    x, w = s.input(1, 4, 8, 6, dtype="i8"), s.weight(6, 4, 3, 3, dtype="i8")
    sums = s.op("ConvInteger", x, w, pads=(1, 1, 1, 1), x_zero_point=-2, w_zero_point=1)
    real = s.op("BiasAdd", s.op("DequantizeLinear", sums, s.weight(6), axis=1), s.weight(6))
    s.op("QuantizeLinear", s.op("Relu", real), s.weight(), to="ui8", zero_point=3)
    return s.body()


@body
def i8_depthwise_conv() -> Body:
    s = Sketch()
    x, w = s.input(1, 6, 8, 7, dtype="ui8"), s.weight(6, 1, 3, 3, dtype="i8")
    sums = s.op("ConvInteger", x, w, group=6, pads=(1, 1, 1, 1), strides=(2, 2), x_zero_point=1)
    s.op("DequantizeLinear", sums, s.weight(), to="f16")
    return s.body()


@body
def i8_matmul_with_a_residual() -> Body:
    s = Sketch()
    x, w = s.input(3, 4, 20, dtype="i8"), s.weight(20, 8, dtype="i8")
    real = s.op("DequantizeLinear", s.op("MatMulInteger", x, w), s.weight(8), axis=2)
    s.op("DequantizeAdd", real, s.input(3, 4, 8, dtype="i8"), s.weight(), zero_point=1)
    return s.body()


@body
def f8_matmul_that_leaves_its_sums() -> Body:
    s = Sketch()
    x, w = s.input(5, 18, dtype="f8E4M3FN"), s.weight(18, 8, dtype="f8E4M3FN")
    sums = s.op("MatMul", x, w, out_dtype="f32")
    s.op("DequantizeLinear", sums, s.weight(), to="bf16")
    return s.body()


@body
def i8_pool() -> Body:
    s = Sketch()
    s.op(
        "MaxPool",
        s.input(1, 3, 8, 9, dtype="i8"),
        kernel_shape=(3, 2),
        pads=(1, 1, 1, 0),
        strides=(2, 1),
    )
    return s.body()


def attention(dtype: str) -> Body:
    """Scores, scaled and turned into weights, times values."""
    s = Sketch()
    q, k, v = (s.input(2, *shape, dtype=dtype) for shape in ((12, 8), (8, 20), (20, 6)))
    scores = s.op("Div", s.op("MatMul", q, k), s.weight(1, dtype=dtype))
    s.op("MatMul", s.op("Softmax", scores, axis=-1), v)
    return s.body()

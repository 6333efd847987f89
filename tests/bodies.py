"""Groups as fusion makes them, one function each, small enough to be executed tile by tile."""

from collections.abc import Callable

from emu.ir.body import Body
from tests.tiles import Sketch

BODIES: dict[str, Callable[[], Body]] = {}


def body(make: Callable[[], Body]) -> Callable[[], Body]:
    BODIES[make.__name__] = make
    return make


@body
def elementwise_with_broadcasting() -> Body:
    s = Sketch()
    x, y, row, one = s.input(3, 5, 8), s.input(3, 1, 8), s.weight(8), s.weight(1)
    s.op("Div", s.op("Mul", s.op("Add", x, y), row), one)
    return s.body()


@body
def bias_residual_relu() -> Body:
    s = Sketch()
    x, r, b = s.input(2, 6, 5, 7), s.input(2, 6, 5, 7), s.weight(6)
    s.op("Relu", s.op("Add", r, s.op("BiasAdd", x, b)))
    return s.body()


@body
def where_of_a_comparison() -> Body:
    s = Sketch()
    x, y = s.input(4, 6), s.input(6)
    s.op("Where", s.op("Greater", x, y), x, s.op("Neg", y))
    return s.body()


@body
def matmul() -> Body:
    s = Sketch()
    s.op("MatMul", s.input(13, 24), s.weight(24, 10))
    return s.body()


@body
def batched_matmul() -> Body:
    s = Sketch()
    s.op("MatMul", s.input(2, 3, 7, 8), s.input(2, 3, 8, 5))
    return s.body()


@body
def matmul_with_broadcast_batch() -> Body:
    s = Sketch()
    product = s.op("MatMul", s.input(2, 1, 7, 8), s.input(3, 8, 6))
    s.op("Gelu", s.op("Add", product, s.weight(6)))
    return s.body()


@body
def gemm() -> Body:
    s = Sketch()
    s.op("Relu", s.op("Gemm", s.input(9, 16), s.weight(16, 11), s.weight(11)))
    return s.body()


@body
def gemm_transposed() -> Body:
    s = Sketch()
    attrs = {"transA": 1, "transB": 1, "alpha": 0.5, "beta": 2.0}
    s.op("Gemm", s.input(16, 9), s.weight(11, 16), s.weight(9, 1), **attrs)
    return s.body()


@body
def gemm_without_bias() -> Body:
    s = Sketch()
    s.op("Gemm", s.input(9, 16), s.weight(11, 16), "", transB=1)
    return s.body()


@body
def conv_with_everything() -> Body:
    s = Sketch()
    x, w, b = s.input(2, 6, 11, 9), s.weight(8, 6, 3, 2), s.weight(8)
    s.op("Conv", x, w, b, strides=(2, 1), pads=(1, 2, 2, 0), dilations=(2, 3))
    return s.body()


@body
def conv_1x1_stride_2() -> Body:
    s = Sketch()
    s.op("Conv", s.input(1, 4, 9, 10), s.weight(5, 4, 1, 1), strides=(2, 2))
    return s.body()


@body
def conv_1x1_stride_2_after_relu() -> Body:
    s = Sketch()
    y = s.op("Conv", s.input(1, 4, 9, 10), s.weight(5, 4, 1, 1), strides=(2, 2))
    s.op("Conv", s.op("Relu", y), s.weight(3, 5, 1, 1), strides=(2, 2))
    return s.body()


@body
def conv_with_gaps() -> Body:
    s = Sketch()
    s.op("Conv", s.input(1, 3, 14, 14), s.weight(4, 3, 2, 2), strides=(3, 3), pads=(1, 1, 1, 1))
    return s.body()


@body
def depthwise_conv() -> Body:
    s = Sketch()
    y = s.op("Conv", s.input(1, 6, 8, 8), s.weight(6, 1, 3, 3), s.weight(6), pads=(1,) * 4, group=6)
    s.op("Clip", y, min=0.0, max=6.0)
    return s.body()


@body
def grouped_conv() -> Body:
    s = Sketch()
    s.op("Conv", s.input(2, 6, 6, 6), s.weight(8, 3, 3, 3), s.weight(8), group=2)
    return s.body()


@body
def conv_batch_norm_relu() -> Body:
    s = Sketch()
    y = s.op("Conv", s.input(1, 4, 10, 10), s.weight(6, 4, 3, 3), strides=(2, 2), pads=(1,) * 4)
    s.op("Relu", s.op("BatchNormalization", y, *(s.weight(6) for _ in range(4)), epsilon=1e-3))
    return s.body()


@body
def bottleneck() -> Body:
    s = Sketch()
    x = s.input(1, 8, 12, 10)
    a = s.op("Relu", s.op("Conv", x, s.weight(4, 8, 1, 1), s.weight(4)))
    b = s.op("Relu", s.op("Conv", a, s.weight(4, 4, 3, 3), s.weight(4), pads=(1,) * 4))
    c = s.op("Conv", b, s.weight(8, 4, 1, 1), s.weight(8))
    s.op("Relu", s.op("Add", c, x))
    return s.body()


@body
def bottleneck_with_stride() -> Body:
    s = Sketch()
    x = s.input(1, 6, 12, 9)
    a = s.op("Relu", s.op("Conv", x, s.weight(4, 6, 1, 1)))
    b = s.op("Relu", s.op("Conv", a, s.weight(4, 4, 3, 3), strides=(2, 2), pads=(1,) * 4))
    c = s.op("Conv", b, s.weight(8, 4, 1, 1))
    s.op("Relu", s.op("Add", c, s.op("Conv", x, s.weight(8, 6, 1, 1), strides=(2, 2))))
    return s.body()


@body
def convs_with_halos_of_halos() -> Body:
    s = Sketch()
    x = s.input(1, 2, 13, 11)
    for _ in range(3):
        x = s.op("Relu", s.op("Conv", x, s.weight(2, 2, 3, 3), pads=(1,) * 4))
    return s.body()


@body
def conv_max_pool() -> Body:
    s = Sketch()
    attrs = {"strides": (2, 2), "pads": (3, 3, 3, 3)}
    y = s.op("Neg", s.op("Conv", s.input(1, 3, 17, 17), s.weight(4, 3, 7, 7), **attrs))
    s.op("MaxPool", y, kernel_shape=(3, 3), strides=(2, 2), pads=(1,) * 4)
    return s.body()


@body
def max_pool_ceil() -> Body:
    s = Sketch()
    s.op("MaxPool", s.input(1, 2, 10, 7), kernel_shape=(3, 3), strides=(2, 2), ceil_mode=1)
    return s.body()


@body
def conv_read_outside_and_pooled() -> Body:
    s = Sketch()
    y = s.op("Conv", s.input(1, 3, 8, 9), s.weight(4, 3, 3, 3), pads=(1,) * 4)
    z = s.op("MaxPool", y, kernel_shape=(2, 2), strides=(2, 2))
    return s.body(y, z)


@body
def average_pools() -> Body:
    s = Sketch()
    y = s.op("AveragePool", s.input(1, 4, 9, 9), kernel_shape=(2, 2), strides=(2, 2))
    s.op("AveragePool", y, kernel_shape=(3, 3), pads=(1,) * 4)
    return s.body()


@body
def conv_transpose() -> Body:
    s = Sketch()
    x, w, b = s.input(1, 6, 5, 4), s.weight(6, 4, 2, 2), s.weight(4)
    s.op("Relu", s.op("ConvTranspose", x, w, b, strides=(2, 2)))
    return s.body()


@body
def conv_transpose_that_overlaps() -> Body:
    s = Sketch()
    s.op("ConvTranspose", s.input(1, 3, 5, 4), s.weight(3, 4, 3, 3), strides=(2, 2))
    return s.body()


@body
def reduce_mean() -> Body:
    s = Sketch()
    s.op("Sqrt", s.op("ReduceMean", s.op("Abs", s.input(4, 6, 5)), axes=(1,), keepdims=0))
    return s.body()


@body
def reduce_everything() -> Body:
    s = Sketch()
    s.op("ReduceMax", s.input(4, 6), axes=())
    return s.body()


@body
def softmax() -> Body:
    s = Sketch()
    s.op("Softmax", s.op("Div", s.input(2, 3, 5, 8), s.weight()), axis=-1)
    return s.body()


@body
def softmax_over_the_middle() -> Body:
    s = Sketch()
    s.op("Softmax", s.input(2, 6, 5), axis=1)
    return s.body()


@body
def layer_norm() -> Body:
    s = Sketch()
    s.op("LayerNormalization", s.input(3, 5, 8), s.weight(8), s.weight(8), epsilon=1e-3)
    return s.body()


@body
def layer_norm_spelled_out_with_two_outputs() -> Body:
    s = Sketch()
    x, residual = s.input(2, 6, 16), s.input(2, 6, 16)
    total = s.op("Add", x, residual)
    centred = s.op("Sub", total, s.op("ReduceMean", total, axes=(-1,)))
    variance = s.op("ReduceMean", s.op("Mul", centred, centred), axes=(-1,))
    root = s.op("Sqrt", s.op("Add", variance, s.weight()))
    z = s.op("Add", s.op("Mul", s.op("Div", centred, root), s.weight(16)), s.weight(16))
    return s.body(total, z)


@body
def output_that_does_not_follow_every_loop() -> Body:
    s = Sketch()
    y = s.op("Relu", s.input(8))
    return s.body(y, s.op("Add", s.input(6, 8), y))


@body
def global_average_pool() -> Body:
    s = Sketch()
    s.op("Flatten", s.op("GlobalAveragePool", s.op("Relu", s.input(2, 8, 5, 5))))
    return s.body()


@body
def transpose() -> Body:
    s = Sketch()
    s.op("Transpose", s.input(3, 4, 5, 6), perm=(2, 0, 3, 1))
    return s.body()


@body
def heads_split_after_a_projection() -> Body:
    s = Sketch()
    y = s.op("Add", s.op("MatMul", s.input(2, 6, 10), s.weight(10, 12)), s.weight(12))
    s.op("Transpose", s.op("Reshape", y, shape=(2, 6, 3, 4)), perm=(0, 2, 1, 3))
    return s.body()


@body
def heads_merged_after_attention() -> Body:
    s = Sketch()
    y = s.op("MatMul", s.input(2, 3, 6, 6), s.input(2, 3, 6, 4))
    s.op("Reshape", s.op("Transpose", y, perm=(0, 2, 1, 3)), shape=(2, 6, 12))
    return s.body()


@body
def reshapes_with_ones() -> Body:
    s = Sketch()
    x = s.op("Unsqueeze", s.op("Relu", s.input(6, 4)), axes=(0, 2))
    s.op("Squeeze", s.op("Reshape", x, shape=(1, 2, 3, 4, 1)), axes=(0, 4))
    return s.body()


@body
def reshape_that_mixes_dimensions() -> Body:
    s = Sketch()
    s.op("Reshape", s.input(4, 6, 3), shape=(6, 4, 3))
    return s.body()


@body
def slice_and_pad() -> Body:
    s = Sketch()
    x = s.op("Pad", s.input(5, 6), pads=(3, 0, 4, 2), value=0.5)
    s.op("Slice", x, starts=(1, -1000), ends=(11, 7), axes=(0, -1), steps=(2, 3))
    return s.body()


@body
def slice_of_some_axes() -> Body:
    s = Sketch()
    s.op("Relu", s.op("Slice", s.input(5, 6, 7), starts=(1, -4), ends=(4, 100)))
    return s.body()


@body
def slice_backwards() -> Body:
    s = Sketch()
    s.op("Slice", s.input(5, 6), starts=(4,), ends=(-100,), axes=(0,), steps=(-1,))
    return s.body()


@body
def expand() -> Body:
    s = Sketch()
    s.op("Expand", s.input(4, 1, 3), shape=(2, 4, 5, 3))
    return s.body()


@body
def upsampling() -> Body:
    s = Sketch()
    s.op("Resize", s.input(1, 3, 4, 5), scales=(1.0, 1.0, 2.0, 3.0))
    return s.body()


@body
def bilinear_upsampling() -> Body:
    s = Sketch()
    s.op("Resize", s.input(1, 3, 4, 5), scales=(1.0, 1.0, 2.0, 2.0), mode="linear")
    return s.body()


@body
def two_matmuls() -> Body:
    s = Sketch()
    y = s.op("Gelu", s.op("MatMul", s.input(12, 8), s.weight(8, 16)))
    s.op("MatMul", y, s.weight(16, 6))
    return s.body()


@body
def value_that_is_read_whole_and_cut() -> Body:
    s = Sketch()
    y = s.op("MatMul", s.input(6, 8), s.weight(8, 8))
    s.op("Add", s.op("MatMul", y, s.weight(8, 8)), y)
    return s.body()


@body
def value_times_its_transpose() -> Body:
    s = Sketch()
    x = s.input(6, 8)
    s.op("MatMul", x, s.op("Transpose", x, perm=(1, 0)))
    return s.body()

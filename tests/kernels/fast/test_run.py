"""Every fast implementation agrees with the op table, and touches nothing that is not its own."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest

from emu.ir.body import FrozenAttrs, freeze
from emu.ir.errors import UnsupportedOp
from emu.ir.graph import Attr
from emu.ir.ops import OPS
from emu.ir.types import Array
from emu.kernels.fast import WRITERS, fast_op

Case = tuple[str, FrozenAttrs, tuple[tuple[int, ...], ...]]


def case(op: str, *shapes: tuple[int, ...], **attrs: Attr) -> Case:
    return op, freeze(attrs), shapes


def convs() -> Iterator[Case]:
    """1x1, square and flat kernels; dense, grouped, depthwise, depthwise with two outputs each."""
    channels = [(6, 8, 1), (6, 4, 2), (6, 6, 6), (6, 12, 6)]
    windows = product(
        [(1, 1), (3, 3), (2, 5)],
        [(1, 1), (2, 2), (3, 1)],
        [(0, 0, 0, 0), (1, 2, 0, 1)],
        [(1, 1), (2, 2)],
    )
    for (c, m, group), (kernel, strides, pads, dilations) in product(channels, windows):
        yield case(
            "Conv",
            (2, c, 11, 13),
            (m, c // group, *kernel),
            (m,),
            strides=strides,
            pads=pads,
            dilations=dilations,
            group=group,
        )


def transposed() -> Iterator[Case]:
    options = product([1, 2], [(1, 1), (2, 2), (3, 2)], [(), (1, 0, 1, 2)], [(), (2, 1)])
    for group, strides, pads, dilations in options:
        yield case(
            "ConvTranspose",
            (2, 4, 5, 6),
            (4, 3, 3, 2),
            strides=strides,
            pads=pads,
            dilations=dilations,
            group=group,
        )
    yield case(
        "ConvTranspose", (1, 4, 5, 6), (4, 2, 3, 3), (2,), strides=(2, 2), output_padding=(1, 1)
    )
    yield case("ConvTranspose", (2, 6, 7), (6, 1, 3), (6,), group=6, strides=(2,))
    yield case("ConvTranspose", (1, 2, 3, 4), (2, 3, 1, 2), strides=(3, 1), pads=(0, 1, 0, 1))
    yield case("ConvTranspose", (1, 3, 2, 3, 2), (3, 2, 2, 3, 2), strides=(2, 1, 2))
    sparse = {"strides": (4, 6), "dilations": (2, 4), "pads": (3, 2, 1, 4)}
    yield case("ConvTranspose", (1, 3, 6, 5), (3, 2, 4, 3), (2,), **sparse)


def pools() -> Iterator[Case]:
    options = product([(2, 2), (3, 1)], [(), (2, 2)], [(), (1, 0, 1, 0)], [(), (2, 1)], [0, 1])
    for kernel, strides, pads, dilations, ceil_mode in options:
        slid = {
            "kernel_shape": kernel,
            "strides": strides,
            "pads": pads,
            "dilations": dilations,
            "ceil_mode": ceil_mode,
        }
        yield case("MaxPool", (2, 3, 8, 9), **slid)
        for counted in (0, 1):
            yield case("AveragePool", (2, 3, 8, 9), count_include_pad=counted, **slid)
    yield case("MaxPool", (2, 3, 8), kernel_shape=(3,))
    yield case("AveragePool", (2, 1, 8), kernel_shape=(3,), pads=(1, 1))
    yield case("GlobalAveragePool", (2, 5, 7, 9))
    yield case("GlobalAveragePool", (2, 5, 7))


def products() -> Iterator[Case]:
    yield case("MatMul", (7, 5), (5, 3))
    yield case("MatMul", (2, 3, 7, 5), (5, 4))
    yield case("MatMul", (2, 3, 7, 5), (3, 5, 4))
    yield case("MatMul", (5,), (5, 4))
    yield case("MatMul", (0, 5), (5, 4))
    yield case("Gemm", (7, 5), (5, 3), (3,))
    yield case("Gemm", (5, 7), (3, 5), (7, 3), transA=1, transB=1, alpha=0.5, beta=2.0)
    yield case("Gemm", (7, 5), (5, 3))


def rows() -> Iterator[Case]:
    for axis in (-1, 0, 1):
        yield case("Softmax", (3, 70, 40), axis=axis)
        yield case("LogSoftmax", (3, 70, 40), axis=axis)
        shape = (3, 70, 40)[axis:] if axis >= 0 else (40,)
        yield case("LayerNormalization", (3, 70, 40), shape, shape, axis=axis, epsilon=1e-3)
    for op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"):
        yield case(op, (3, 70, 40), axes=(-1,))
        yield case(op, (3, 70, 40), axes=(1, 2), keepdims=0)
        yield case(op, (3, 7, 40), axes=(0, 1))
        yield case(op, (3, 7, 40), axes=(2, 0), keepdims=0)
        yield case(op, (3, 7, 40), axes=(-2,))
        yield case(op, (3, 70))
    yield case("Softmax", (0, 4))
    yield case("Softmax", (300, 700))
    yield case("LayerNormalization", (300, 700), (700,))
    yield case("BatchNormalization", (2, 3, 4, 5), (3,), (3,), (3,), (3,))


UNITS = ("Elu", "Celu", "Selu", "Softplus", "Mish", "ThresholdedRelu", "Shrink")


def elementwise() -> Iterator[Case]:
    for op in ("Relu", "Erf", "Sigmoid", "Gelu", "LeakyRelu", "Abs", "Exp", "Log", "Neg"):
        yield case(op, (3, 70, 90))
    for op in ("Swish", "HardSigmoid", "HardSwish"):
        yield case(op, (3, 70, 90))
    yield case("Swish", (3, 5), alpha=2)
    for op in ("Reciprocal", "Sqrt", "Tanh", "Softsign", "Floor", "Ceil", "Round", *UNITS):
        yield case(op, (3, 5))
    yield case("PRelu", (3, 4, 5), (4, 1))
    for op in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow"):
        yield case(op, (3, 4, 5), (3, 4, 5))
        yield case(op, (4, 1), (3, 1, 5))
        yield case(op, (2, 1, 3, 1, 2, 1, 3), (1, 2, 1, 3, 1, 2, 3))
    yield case("Gelu", (3, 5), approximate="tanh")
    yield case("Clip", (3, 5), min=0.7, max=0.9)
    yield case("Clip", (3, 5))
    yield case("BiasAdd", (2, 3, 4), (3,))
    yield case("BiasAdd", (2, 3, 4), (4,), axis=-1)


FAMILIES = (convs, transposed, pools, products, rows, elementwise)
CASES = [found for family in FAMILIES for found in family()]


def values(shapes: tuple[tuple[int, ...], ...], least: float = 0.5) -> list[Array]:
    """Positive numbers, so that roots, logarithms and variances exist."""
    rng = np.random.default_rng(7)
    return [rng.uniform(least, 1.5, shape).astype(np.float32) for shape in shapes]


def assert_close(found: Array, wanted: Array) -> None:
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    scale = np.abs(wanted).max(initial=1e-30)
    assert np.abs(found - wanted).max(initial=0) <= 1e-5 * scale


@pytest.mark.parametrize(("op", "attrs", "shapes"), CASES)
def test_a_fast_op_agrees_with_the_op_table_and_leaves_its_inputs_alone(
    op: str, attrs: FrozenAttrs, shapes: tuple[tuple[int, ...], ...]
) -> None:
    ins = values(shapes)
    before = [a.copy() for a in ins]
    (found,) = fast_op(op, attrs, ins)
    assert_close(found, OPS[op].run(*before, **dict(attrs)))
    assert all(np.array_equal(a, b) for a, b in zip(ins, before, strict=True))
    assert not any(np.may_share_memory(found, a) for a in ins)


@pytest.mark.parametrize("op", sorted(WRITERS))
def test_inputs_may_be_strided_views(op: str) -> None:
    _, attrs, shapes = next(c for c in CASES if c[0] == op)
    ins = [a.T.copy().T for a in values(shapes)]
    (found,) = fast_op(op, attrs, ins)
    assert_close(found, OPS[op].run(*(a.copy() for a in ins), **dict(attrs)))


def test_every_fast_op_is_covered_by_a_case() -> None:
    assert {op for op, _, _ in CASES} == {*WRITERS}


ATTRIBUTES: dict[str, dict[str, Attr]] = {
    "Clip": {"min": -3.0, "max": 2.5},
    "Elu": {"alpha": 1.5},
    "Celu": {"alpha": 0.25},
    "Shrink": {"lambd": 1.5, "bias": 0.5},
    "ThresholdedRelu": {"alpha": -2.0},
}


@pytest.mark.parametrize(
    "op", ["Relu", "Erf", "Sigmoid", "Gelu", "LeakyRelu", "Tanh", "Clip", "Swish", *UNITS]
)
def test_activations_agree_on_both_sides_of_zero_and_far_from_it(op: str) -> None:
    x = np.linspace(-120, 120, 40001, dtype=np.float32)
    attrs = freeze(ATTRIBUTES.get(op, {}))
    (found,) = fast_op(op, attrs, [x])
    assert_close(found, OPS[op].run(x, **dict(attrs)))


@pytest.mark.parametrize("op", ["Elu", "Softplus", "Mish", "Log"])
def test_what_nears_zero_keeps_its_digits(op: str) -> None:
    """Differences from 1 would have lost them: exp(x) - 1, log(1 + e)."""
    sizes = np.logspace(-36, 1.2, 3000)
    x = (sizes if op == "Log" else np.concatenate([-sizes, sizes])).astype(np.float32)
    (found,) = fast_op(op, (), [x])
    wanted = OPS[op].run(x.astype(np.float64))
    assert np.all(np.abs(found - wanted) <= 1e-6 * np.abs(wanted))


def test_logarithms_are_defined_from_zero_to_infinity() -> None:
    x = np.array([0.0, -0.0, -1.0, np.inf, -np.inf, np.nan, 1e-42, 1.0, 3e38], np.float32)
    (found,) = fast_op("Log", (), [x])
    assert np.allclose(found, OPS["Log"].run(x), rtol=1e-6, equal_nan=True)


def test_a_slope_is_for_negative_numbers_only() -> None:
    x = np.array([-2.0, 3.0, np.nan, 0.0], np.float32)
    (found,) = fast_op("PRelu", (), [x, np.array([0.5, np.inf, 1.0, np.nan], np.float32)])
    assert np.array_equal(found, np.array([-1.0, 3.0, np.nan, 0.0]), equal_nan=True)


def test_erf_is_within_1e_6_of_the_true_value_everywhere() -> None:
    x = np.concatenate([np.linspace(-6, 6, 20001), np.logspace(-8, 0, 500)]).astype(np.float32)
    (found,) = fast_op("Erf", (), [x])
    wanted = OPS["Erf"].run(x.astype(np.float64))
    assert np.all(np.abs(found - wanted) <= 1e-6 * np.abs(wanted))


def test_infinities_and_nan_are_values_not_warnings() -> None:
    x = np.array([np.inf, -np.inf, np.nan, 1e30], np.float32)
    for op in ("Exp", "Sigmoid", "Softmax", "Erf", "Log", "LogSoftmax", "Softplus", "Mish", "Selu"):
        (found,) = fast_op(op, (), [x])
        assert np.isnan(found[2])


def test_other_element_types_take_the_meaning_of_the_op_table() -> None:
    (found,) = fast_op("Add", (), [np.arange(3), np.arange(3)])
    assert found.dtype == np.int64
    assert found.tolist() == [0, 2, 4]


def test_squares_and_cubes_are_those_of_multiplying() -> None:
    x = values(((100,),))[0]
    for exponent, wanted in ((2, x * x), (3, x * x * x)):
        (found,) = fast_op("Pow", (), [x, np.array(exponent, np.float32)])
        assert np.array_equal(found, wanted)


def test_a_large_image_is_unfolded_in_parts() -> None:
    ins = values(((1, 16, 120, 120), (4, 16, 3, 3)))
    attrs = freeze({"pads": (1, 1, 1, 1)})
    (found,) = fast_op("Conv", attrs, ins)
    assert_close(found, OPS["Conv"].run(*ins, **dict(attrs)))


@pytest.mark.parametrize("space", [(9,), (5, 6, 7)])
def test_windows_slide_over_any_number_of_dimensions(space: tuple[int, ...]) -> None:
    ins = values(((2, 4, *space), (6, 2, *(3 for _ in space))))
    for op, given, attrs in (
        ("Conv", ins, {"group": 2, "strides": tuple(2 for _ in space)}),
        ("MaxPool", ins[:1], {"kernel_shape": tuple(2 for _ in space)}),
    ):
        (found,) = fast_op(op, freeze(attrs), given)
        assert_close(found, OPS[op].run(*given, **attrs))


def test_an_op_without_an_entry_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedOp, match="NoSuchOp"):
        fast_op("NoSuchOp", (), [])


DIGEST = """
import hashlib, numpy as np
from emu.kernels.fast import fast_op
rng = np.random.default_rng(3)
made = lambda *shape: rng.standard_normal(shape, dtype=np.float32)
pads = (("pads", (1, 1, 1, 1)),)
x = made(1, 48, 40, 40)
y = fast_op("Conv", pads, [x, made(48, 48, 3, 3)])[0]
z = fast_op("Conv", (("group", 48), *pads), [y, made(48, 1, 3, 3)])[0]
s = fast_op("Softmax", (), [fast_op("Gelu", (), [z])[0]])[0]
print(hashlib.sha256(s.tobytes()).hexdigest())
"""


def test_bits_are_the_same_from_run_to_run_and_process_to_process() -> None:
    command = [sys.executable, "-c", DIGEST + DIGEST]
    runs = [subprocess.run(command, capture_output=True, check=True) for _ in range(2)]
    digests = b"".join(run.stdout for run in runs).split()
    assert len(digests) == 4
    assert len(set(digests)) == 1

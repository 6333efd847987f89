"""Lanes load as wide as the rows of a product's factors stay aligned."""

import pytest

from emu.ir.body import Body
from emu.kernels.alignment import aligned_width
from emu.kernels.libraries import LIBRARIES
from emu.kernels.tiling import Tiling
from tests.tiles import Sketch


def product(k: int, n: int, dtype: str = "f16") -> Body:
    s = Sketch()
    op = "MatMulInteger" if dtype == "i8" else "MatMul"
    s.op(op, s.input(64, k, dtype=dtype), s.weight(k, n, dtype=dtype))
    return s.body()


@pytest.mark.parametrize(
    ("body", "width"),
    [
        (product(64, 64), 16),
        (product(60, 64), 8),  # rows of 120 bytes
        (product(64, 60), 8),
        (product(64, 62), 4),
        (product(63, 64), 2),
        (product(63, 64, "f32"), 4),
        (product(63, 64, "i8"), 1),
    ],
)
def test_rows_of_both_factors_are_multiples_of_the_width(body: Body, width: int) -> None:
    assert aligned_width(body, 16) == width
    assert aligned_width(body, 2) == min(width, 2)


def test_what_is_computed_inside_or_is_no_factor_does_not_count() -> None:
    s = Sketch()
    inside = s.op("Transpose", s.input(63, 64, dtype="f16"), perm=(1, 0))
    s.op("MatMul", inside, s.weight(63, 64, dtype="f16"))
    assert aligned_width(s.body(), 16) == 16

    odd = Sketch()
    odd.op("Relu", odd.input(7, 63, dtype="f16"))
    assert aligned_width(odd.body(), 16) == 16


def test_programs_of_a_library_load_so() -> None:
    vendor = LIBRARIES["vendor"]
    kernel = next(k for k in vendor.kernels if k.refusal(product(63, 64)) is None)
    for k, width in ((64, 16), (63, 2)):
        program = vendor.program(kernel, product(k, 64), Tiling((32, 32), 16, cores=0))
        assert program is not None
        assert program.load_width_bytes == width

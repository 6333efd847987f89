"""Work that is read off the shapes of operands."""

import pytest

from emu.ir.work import gemm_shape

Shape = tuple[int, ...]


@pytest.mark.parametrize(
    ("left", "right", "out", "product"),
    [
        ((2, 3), (3, 4), (2, 4), (1, 2, 4, 3)),
        ((5, 2, 3), (5, 3, 4), (5, 2, 4), (5, 2, 4, 3)),
        ((3,), (3,), (), (1, 1, 1, 3)),
        ((3,), (3, 4), (4,), (1, 1, 4, 3)),
        ((3,), (5, 3, 4), (5, 4), (5, 1, 4, 3)),
        ((5, 2, 3), (3,), (5, 2), (5, 2, 1, 3)),
    ],
)
def test_a_vector_is_a_matrix_of_one_row_or_column(
    left: Shape, right: Shape, out: Shape, product: Shape
) -> None:
    assert gemm_shape("MatMul", (left, right), out) == product

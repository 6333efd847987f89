"""Matrix products. Products of narrow real numbers are summed in f32, as matrix units do."""

import numpy as np

from emu.ir.errors import ModelError
from emu.ir.graph import Attrs
from emu.ir.ops.attributes import integer, optional, take
from emu.ir.ops.table import Fusion, Types, op
from emu.ir.ops.type_rules import Result, broadcast_shape, into_first, must_be, summed_dtype
from emu.ir.ops.work_rules import gemm as gemm_work
from emu.ir.ops.work_rules import matmul as matmul_work
from emu.ir.types import Array, TensorType


def product(types: Types, attrs: Attrs) -> Result:
    """[..., M, K] @ [..., K, N] is [..., M, N]; the leading dimensions broadcast."""
    a, b = take(types, 2)
    must_be(b, a.dtype)
    if not a.dims or not b.dims or a.dims[-1] != b.dims[-2:][0]:
        raise ModelError(f"{a} and {b} do not multiply")
    lead = broadcast_shape(_lead(a), _lead(b))
    rows = a.dims[-2:-1]
    columns = b.dims[-1:] if len(b.dims) > 1 else ()
    return (TensorType(summed_dtype(a, attrs), (*lead, *rows, *columns)),)


def _lead(x: TensorType) -> TensorType:
    return TensorType(x.dtype, x.dims[:-2])


@op("MatMul", Fusion.ANCHOR, product, matmul_work)
def matmul(a: Array, b: Array) -> Array:
    """a[..., M, K] @ b[..., K, N]."""
    return np.asarray(np.matmul(a, b)).astype(a.dtype, copy=False)


def gemm_type(types: Types, attrs: Attrs) -> Result:
    """[M,K] and [K,N], each transposed if asked, and a bias that broadcasts into [M,N]."""
    a, b = take(types, 2, 3)
    must_be(b, a.dtype)
    if len(a.dims) != 2 or len(b.dims) != 2:
        raise ModelError(f"takes two matrices, not {a} and {b}")
    rows, depth = _turned(a, integer(attrs, "transA", 0))
    depth_b, columns = _turned(b, integer(attrs, "transB", 0))
    if depth != depth_b:
        raise ModelError(f"{a} and {b} do not multiply")
    result = TensorType(summed_dtype(a, attrs), (rows, columns))
    bias = optional(types, 2)
    return (result,) if bias is None else into_first((result, bias), {})


def _turned(x: TensorType, turn: int) -> tuple[int, int]:
    rows, columns = x.dims
    return (columns, rows) if turn else (rows, columns)


@op("Gemm", Fusion.ANCHOR, gemm_type, gemm_work)
def gemm(
    a: Array,
    b: Array,
    c: Array | None = None,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Array:
    """alpha * a[M,K] @ b[K,N] + beta * c, with a and b transposed first if asked."""
    left, right = (a.T if transA else a), (b.T if transB else b)
    result = np.matmul(left, right)
    scaled = result if alpha == 1 else result * result.dtype.type(alpha)
    whole = scaled if c is None else scaled + c * c.dtype.type(beta)
    return whole.astype(a.dtype, copy=False)

"""Products with what follows them, as onnxruntime's optimiser fuses; its ContribOperators.md."""

from collections.abc import Mapping
from types import MappingProxyType

from emu.models.microsoft.activations import activated
from emu.models.microsoft.body import Body, Declaration

CONV = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")


def fused_conv(write: Body) -> str:
    """activation(conv(x, w) + bias + z)."""
    attrs = write.site.attrs
    conv = {name: attrs[name] for name in CONV if name in attrs}
    y = write("Conv", *(write.input(i) for i in range(3)), **conv)
    given = attrs.get("activation_params", ())
    params = tuple(float(v) for v in given) if isinstance(given, tuple) else ()
    return activated(write, write.plus(y, 3), params)


def fused_gemm(write: Body) -> str:
    """activation(alpha A B + beta C), A and B turned if asked."""
    site = write.site
    attrs = {name: site.number(name, 1.0) for name in ("alpha", "beta")}
    turned = {name: site.integer(name, 0) for name in ("transA", "transB")}
    y = write("Gemm", *write.inputs, **attrs, **turned)
    numbers = ("activation_alpha", "activation_beta", "activation_gamma")
    return activated(write, y, tuple(site.number(n, 0.0) for n in numbers if n in site.attrs))


def fused_matmul(write: Body) -> str:
    """alpha A B, their last two dimensions or those of the batch turned if asked."""
    a, b = (_turned(write, i, side) for i, side in enumerate("AB"))
    y, alpha = write("MatMul", a, b), write.site.number("alpha", 1.0)
    return y if alpha == 1.0 else write("Mul", y, write.number(alpha))


def _turned(write: Body, index: int, side: str) -> str:
    """``transBatch`` moves the first dimension behind the others of the batch, before ``trans``."""
    site = write.site
    perm = list(range(len(site.type(index).shape)))
    if site.integer(f"transBatch{side}", 0) and len(perm) > 2:
        perm.insert(len(perm) - 2, perm.pop(0))
    if site.integer(f"trans{side}", 0) and len(perm) > 1:
        perm[-2:] = reversed(perm[-2:])
    same = perm == sorted(perm)
    return write.need(index) if same else write("Transpose", write.need(index), perm=perm)


FUNCTIONS: Mapping[str, Declaration] = MappingProxyType(
    {
        "FusedConv": fused_conv,
        "FusedGemm": fused_gemm,
        "FusedMatMul": fused_matmul,
        "TransposeMatMul": fused_matmul,
    }
)

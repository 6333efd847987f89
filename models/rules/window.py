"""Ops that slide a window, and Gemm: convolutions and pools with explicit pads."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from emu.ir.errors import ModelError
from emu.models.rules.site import Call, Calls, Rule, Site

Ints = tuple[int, ...]


@dataclass(frozen=True)
class Window:
    """The geometry of a window over the spatial dimensions; pads are all begins, then all ends."""

    kernel: Ints
    strides: Ints
    dilations: Ints
    pads: Ints

    @property
    def reach(self) -> Ints:
        """Elements from the first to the last that the dilated kernel touches, per dimension."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))


def _window(site: Site, kernel: Ints) -> Window:
    rank = site.rank - 2
    ones = (1,) * rank
    strides, dilations = site.list("strides", ones), site.list("dilations", ones)
    pads = site.list("pads", (0,) * (2 * rank))
    window = Window(kernel, strides, dilations, pads)
    lengths = (len(kernel), len(strides), len(dilations), len(pads))
    if rank < 1 or lengths != (rank, rank, rank, 2 * rank):
        raise ModelError(f"{site.where}: {window} does not fit {site.type()}")
    if min((*kernel, *strides, *dilations)) < 1 or min(pads) < 0:
        raise ModelError(f"{site.where}: {window} has an impossible number")
    return window


def _halves(totals: Ints, extra_at_end: bool) -> Ints:
    small, large = tuple(t // 2 for t in totals), tuple(t - t // 2 for t in totals)
    return small + large if extra_at_end else large + small


def _auto_pads(site: Site, window: Window) -> Ints:
    """Pads as ``auto_pad`` asks: SAME makes ceil(size / stride) windows."""
    mode = site.text("auto_pad", "NOTSET")
    if mode == "NOTSET":
        return window.pads
    if mode == "VALID":
        return (0,) * len(window.pads)
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise ModelError(f"{site.where}: auto_pad '{mode}' is none of ONNX's")
    triples = zip(site.type().dims[2:], window.strides, window.reach, strict=True)
    totals = tuple(max((-(-size // s) - 1) * s + r - size, 0) for size, s, r in triples)
    return _halves(totals, extra_at_end=mode == "SAME_UPPER")


def conv(site: Site) -> tuple[Call]:
    """x [N,C,...], weight [M,C/group,...], optional bias [M]; the weight has the kernel's shape."""
    window = _window(site, _kernel(site))
    return site.call(
        "Conv",
        strides=window.strides,
        pads=_auto_pads(site, window),
        dilations=window.dilations,
        group=site.integer("group", 1),
    )


def _kernel(site: Site) -> Ints:
    kernel = site.type(1).dims[2:]
    if site.list("kernel_shape", kernel) != kernel:
        raise ModelError(f"{site.where}: kernel_shape is not that of the weight {site.type(1)}")
    return kernel


def conv_transpose(site: Site) -> Calls:
    """x [N,C,...], weight [C,M/group,...], optional bias [M]."""
    window = _window(site, _kernel(site))
    extra = site.list("output_padding", (0,) * len(window.kernel))
    if len(extra) != len(window.kernel):
        raise ModelError(f"{site.where}: output_padding {list(extra)} does not fit {site.type()}")
    pads, more = _transposed_pads(site, window, extra)
    return site.call(
        "ConvTranspose",
        strides=window.strides,
        pads=pads,
        dilations=window.dilations,
        group=site.integer("group", 1),
        output_padding=tuple(e + m for e, m in zip(extra, more, strict=True)),
    )


def _transposed_pads(site: Site, window: Window, extra: Ints) -> tuple[Ints, Ints]:
    """Pads as the wanted output size asks: ``output_shape``, or size * stride for SAME.

    The second list is what is added at the end where the windows alone do not reach that far.
    """
    mode, sizes = site.text("auto_pad", "NOTSET"), site.type().dims[2:]
    same = mode in ("SAME_UPPER", "SAME_LOWER")
    if "output_shape" not in site.attrs and not same:
        return _auto_pads(site, window), (0,) * len(sizes)
    wanted = site.list(
        "output_shape", tuple(n * s for n, s in zip(sizes, window.strides, strict=True))
    )
    parts = zip(sizes, window.strides, window.reach, extra, wanted[-len(sizes) :], strict=True)
    totals = tuple((n - 1) * s + r + e - out for n, s, r, e, out in parts)
    pads = _halves(tuple(max(t, 0) for t in totals), extra_at_end=mode == "SAME_UPPER")
    return pads, tuple(max(-t, 0) for t in totals)


def max_pool(site: Site) -> Calls:
    """The largest element of each window, and where it is if somebody asks."""
    if len(site.outputs) < 2 or site.outputs[1] not in site.used:
        return _pool(site)
    (pool,) = _pool(replace(site, outputs=site.outputs[:1]))
    attrs = {**pool.attrs, "storage_order": site.integer("storage_order", 0)}
    return pool, Call("MaxPoolPlaces", pool.inputs, attrs, site.outputs[1:])


def average_pool(site: Site) -> Calls:
    """The mean of each window; ``count_include_pad`` says whether pads count."""
    return _pool(site, count_include_pad=site.integer("count_include_pad", 0))


def lp_pool(site: Site) -> Calls:
    """The norm of order ``p`` of each window; before opset 2 a real number."""
    order = site.number("p", 2.0)
    if order < 1 or order % 1:
        raise ModelError(f"{site.where}: a norm of order {order:g} is none of 1, 2, ...")
    return _pool(site, p=int(order))


def global_max_pool(site: Site) -> Calls:
    """The largest element of all of space."""
    return site.call("ReduceMax", axes=tuple(range(2, site.rank)), keepdims=1)


def _pool(site: Site, **attrs: int) -> tuple[Call]:
    kernel = site.list("kernel_shape", ())
    window = _window(site, kernel)
    return site.call(
        site.op,
        kernel_shape=kernel,
        strides=window.strides,
        pads=_auto_pads(site, window),
        dilations=window.dilations,
        ceil_mode=site.integer("ceil_mode", 0),
        **attrs,
    )


def gemm(site: Site) -> Calls:
    """alpha * A @ B + beta * C with optional transposes; C is optional from opset 11 on."""
    if site.opset < 7 and not site.integer("broadcast", 0):
        rows, columns = (site.type(i).dims for i in range(2))
        wanted = rows[site.integer("transA", 0)], columns[1 - site.integer("transB", 0)]
        if site.type(2).dims != wanted:
            raise ModelError(f"{site.where}: {site.type(2)} is repeated without 'broadcast'")
    return site.call(
        "Gemm",
        alpha=site.number("alpha", 1.0),
        beta=site.number("beta", 1.0),
        transA=site.integer("transA", 0),
        transB=site.integer("transB", 0),
    )


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "Conv": conv,
        "ConvTranspose": conv_transpose,
        "MaxPool": max_pool,
        "AveragePool": average_pool,
        "LpPool": lp_pool,
        "GlobalMaxPool": global_max_pool,
        "Gemm": gemm,
    }
)

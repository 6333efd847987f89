"""Resize and its ancestor Upsample, with a constant factor for every dimension."""

from collections.abc import Mapping
from math import floor, inf, nextafter
from types import MappingProxyType

from emu.ir.errors import ModelError
from emu.models.rules.site import Calls, Rule, Site

KNOWN = {
    "mode": ("nearest", "linear"),
    "coordinate_transformation_mode": (
        *("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"),
    ),
    "nearest_mode": ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"),
}
DEFAULTS = {
    "mode": "nearest",
    "coordinate_transformation_mode": "half_pixel",
    "nearest_mode": "round_prefer_floor",
}


def upsample(site: Site) -> Calls:
    """Scales are attributes before opset 9; the grids share their first corner."""
    return _from_corner(site, _attribute_scales(site) if site.opset < 9 else _scales(site, 1))


def resize(site: Site) -> Calls:
    """Opset 10 is Upsample's form; since 11 the input may give sizes instead of scales."""
    if site.opset < 11:
        return _from_corner(site, _scales(site, 1))
    if (
        site.integer("antialias", 0)
        or site.text("keep_aspect_ratio_policy", "stretch") != "stretch"
    ):
        raise site.refuse("antialias and keep_aspect_ratio_policy are not supported")
    scales = _scales(site, 2) if _given(site, 2) else _scales_to_sizes(site)
    return _call(site, scales, {name: site.text(name, DEFAULTS[name]) for name in KNOWN})


def _from_corner(site: Site, scales: tuple[float, ...]) -> Calls:
    if min(scales, default=1.0) < 1:
        raise site.refuse("making a tensor smaller is supported from opset 11 on")
    modes = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return _call(site, scales, {"mode": site.text("mode", "nearest"), **modes})


def _call(site: Site, scales: tuple[float, ...], modes: Mapping[str, str]) -> Calls:
    for name, value in modes.items():
        if value not in KNOWN[name]:
            raise site.refuse(f"{name} '{value}' is not supported")
    if len(scales) != site.rank or min(scales) <= 0:
        raise ModelError(f"{site.where}: scales {list(scales)} do not fit {site.type()}")
    return site.call("Resize", site.inputs[:1], scales=scales, **modes)


def _given(site: Site, index: int) -> bool:
    # An empty tensor stands for an absent input in files of opset 11 and 12.
    return site.has(index) and site.type(index).elements > 0


def _axes(site: Site) -> tuple[int, ...]:
    return site.axes(site.list("axes", tuple(range(site.rank))))


def _spread(site: Site, values: tuple[float, ...]) -> tuple[float, ...]:
    axes = _axes(site)
    if len(values) != len(axes):
        raise ModelError(f"{site.where}: {len(values)} factors do not fit {len(axes)} dimensions")
    by_axis = dict(zip(axes, values, strict=True))
    return tuple(by_axis.get(i, 1.0) for i in range(site.rank))


def _scales(site: Site, index: int) -> tuple[float, ...]:
    array = site.array(index, "the scales")
    return _spread(site, tuple(float(v) for v in array.reshape(-1)))


def _attribute_scales(site: Site) -> tuple[float, ...]:
    if site.opset < 7:
        height, width = site.number("height_scale", 1.0), site.number("width_scale", 1.0)
        return (*(1.0,) * (site.rank - 2), height, width)
    value = site.attrs.get("scales", ())
    if not isinstance(value, tuple):
        raise ModelError(f"{site.where}: attribute 'scales' is not a list")
    return _spread(site, tuple(float(v) for v in value))


def _scales_to_sizes(site: Site) -> tuple[float, ...]:
    sizes, dims = site.ints(3, "the sizes"), site.type().dims
    wanted = [dims[a] for a in _axes(site)]
    if len(sizes) != len(wanted) or min((*sizes, *wanted)) < 1:
        raise ModelError(f"{site.where}: sizes {list(sizes)} do not fit {site.type()}")
    return _spread(site, tuple(_factor(d, s) for d, s in zip(wanted, sizes, strict=True)))


def _factor(dim: int, size: int) -> float:
    """The factor that takes ``dim`` to exactly ``size`` when the product is rounded down."""
    factor = size / dim
    return factor if floor(dim * factor) == size else nextafter(factor, inf)


RULES: Mapping[str, Rule] = MappingProxyType({"Resize": resize, "Upsample": upsample})

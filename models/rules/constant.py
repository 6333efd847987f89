"""ONNX nodes whose result is known as soon as shapes are: they become constants."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from emu.ir.errors import ModelError
from emu.ir.graph import Constant
from emu.ir.types import NUMPY, Array, TensorType
from emu.models.rules.site import OnnxAttr, Rule, Site
from emu.models.tensors import array_of, filled, inline, is_structural

# A constant node may hold its contents as one number or as a list, by these attribute names.
PLAIN = {"value_float": "f32", "value_floats": "f32", "value_int": "i64", "value_ints": "i64"}


def constant(site: Site) -> Constant:
    """The contents stand in the node."""
    for name, dtype in PLAIN.items():
        if name in site.attrs:
            return inline(np.array(_plain(site, site.attrs[name]), NUMPY[dtype]))
    array = _tensor(site)
    if array is None:
        raise site.refuse("only tensors and numbers are supported as its value")
    # Some exporters keep weights in such nodes; these stay out of the model text.
    made = inline(array)
    return made if is_structural(made.type) else replace(made, inline=None)


def _plain(site: Site, value: OnnxAttr) -> int | float | tuple[int, ...] | tuple[float, ...]:
    if isinstance(value, int | float):
        return value
    if isinstance(value, tuple):
        return tuple(v for v in value if not isinstance(v, str))
    raise ModelError(f"{site.where}: the value is not a number")


def _tensor(site: Site) -> Array | None:
    value = site.attrs.get("value")
    if value is None or isinstance(value, int | float | str | tuple):
        return None
    return array_of(value, site.where)


def shape(site: Site) -> Constant:
    """The shape of the input, or its part from ``start`` to ``end``."""
    start, end = site.integer("start", 0), site.integer("end", site.rank)
    return inline(np.array(site.type().dims[start:end], np.int64))


def constant_of_shape(site: Site) -> Constant:
    """One value, repeated to the asked shape; a large one is made only when it is loaded."""
    value = _tensor(site)
    if value is None:
        value = np.zeros(1, np.float32)
    dims = site.ints(0, "the shape")
    if value.size != 1 or any(d < 0 for d in dims):
        raise ModelError(f"{site.where}: cannot fill the shape {list(dims)} with {value.size}")
    return filled(TensorType(inline(value).type.dtype, dims), value.reshape(()))


def size(site: Site) -> Constant:
    """The number of elements of the input."""
    return inline(np.array(site.type().elements, np.int64))


RULES: Mapping[str, Rule] = MappingProxyType(
    {"Constant": constant, "Shape": shape, "Size": size, "ConstantOfShape": constant_of_shape}
)

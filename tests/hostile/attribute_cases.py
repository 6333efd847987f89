"""Nodes with attributes and structural inputs that no shape or number can satisfy."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tests.hostile.cases import Case, fixed, one

MIN, MAX = -(1 << 63), (1 << 63) - 1
IMAGE = ([1, 4, 8, 8],)
KERNEL = np.ones((4, 4, 3, 3), np.float32)
NUMBERS = (0, -1, MIN, MAX, 1 << 31)

# One list of every element, for attributes that are lists of two or four.
LISTS: Mapping[str, tuple[str, int]] = {
    "kernel_shape": ("MaxPool", 2),
    "strides": ("Conv", 2),
    "dilations": ("Conv", 2),
    "pads": ("Conv", 4),
    "output_shape": ("ConvTranspose", 2),
    "output_padding": ("ConvTranspose", 2),
}
INTEGERS: Mapping[str, tuple[str, ...]] = {
    "axis": ("Softmax", "LogSoftmax", "Concat", "Flatten", "Gather", "LayerNormalization", "Split"),
    "group": ("Conv", "ConvTranspose"),
    "to": ("Cast",),
    "num_outputs": ("Split",),
    "ceil_mode": ("AveragePool",),
    "start": ("Shape",),
    "stash_type": ("LayerNormalization",),
    "size": ("LRN",),
    "blocksize": ("DepthToSpace", "SpaceToDepth"),
}
SECOND: Mapping[str, Any] = {
    "Gather": np.array([0, 1], np.int64),
    "Concat": np.ones((4, 4), np.float32),
    "Conv": KERNEL,
    "ConvTranspose": KERNEL,
    "LayerNormalization": np.ones(4, np.float32),
}
SHAPES: Mapping[str, tuple[int, ...]] = {
    "minus-two": (-2, 8),
    "twice-minus-one": (-1, -1),
    "overflow": (1 << 62, 1 << 62),
    "int-min": (MIN, 1),
    "int-max": (MAX, MAX),
    "rank-100": (1,) * 100,
    "rank-70000": (1,) * 70_000,
    "huge": (1 << 31, 1 << 4),
    "empty": (0, 1 << 62),
    "none": (),
}
TAKE_SHAPE = ("Reshape", "Expand", "Tile", "Unsqueeze", "Squeeze", "Pad", "Split", "ReduceSum")


def cases() -> Iterator[Case]:
    yield from lists()
    yield from integers()
    yield from shape_inputs()
    yield from odd_kinds()
    yield from slices()
    yield from resizes()
    yield from indices()
    yield from arithmetic()
    yield from counts()


def lists() -> Iterator[Case]:
    for name, (op, length) in LISTS.items():
        weights = () if op == "MaxPool" else (KERNEL,)
        for number in NUMBERS:
            given: dict[str, Any] = {"kernel_shape": [3, 3], name: [number] * length}
            yield fixed("list", f"{op}-{name}-{number}", one(op, IMAGE, weights, **given))
        for count in (1, 7, 5000):
            given = {"kernel_shape": [3, 3], name: [1] * count}
            yield fixed("list", f"{op}-{name}-of-{count}", one(op, IMAGE, weights, **given))


def integers() -> Iterator[Case]:
    for name, ops in INTEGERS.items():
        for op in ops:
            constants = (SECOND[op],) if op in SECOND else ()
            shapes = IMAGE if "Conv" in op else ([4, 4],)
            for number in (*NUMBERS, 7):
                given: dict[str, Any] = {name: number}
                made = one(op, shapes, constants, **given)
                yield fixed("integer", f"{op}-{name}-{number}", made)


def shape_inputs() -> Iterator[Case]:
    for op in TAKE_SHAPE:
        for name, shape in SHAPES.items():
            made = one(op, ([4, 4],), (np.array(shape, np.int64),))
            yield fixed("shape-input", f"{op}-{name}", made)
        for dtype in (np.float32, np.int32, np.bool_):
            made = one(op, ([4, 4],), (np.ones(2, dtype),))
            yield fixed("shape-input", f"{op}-of-{np.dtype(dtype)}", made)
    for name, shape in SHAPES.items():
        made = one("ConstantOfShape", (), (np.array(shape, np.int64),))
        yield fixed("shape-input", f"ConstantOfShape-{name}", made)


def odd_kinds() -> Iterator[Case]:
    """Attributes that are of another kind than the op reads."""
    wrong: Mapping[str, Any] = {
        "int": 1,
        "float": 1.5,
        "string": "1",
        "ints": [1, 1],
        "floats": [1.5],
    }
    for op, name in (
        ("Conv", "strides"),
        ("Conv", "group"),
        ("Conv", "auto_pad"),
        ("Transpose", "perm"),
        ("Softmax", "axis"),
        ("LeakyRelu", "alpha"),
        ("Cast", "to"),
        ("Gemm", "transA"),
        ("Constant", "value"),
        ("Constant", "value_floats"),
    ):
        weights = (KERNEL,) if op == "Conv" else (SECOND["Concat"],) if op == "Gemm" else ()
        shapes = {"Conv": IMAGE, "Constant": ()}.get(op, ([4, 4],))
        for kind, content in wrong.items():
            made = one(op, shapes, weights, **{name: content})
            yield fixed("kind", f"{op}-{name}-is-{kind}", made)
    for perm in ([0, 0], [0], [0, 2], [-1, 0], [MIN, MAX], list(range(5000))):
        yield fixed("kind", f"Transpose-perm-{str(perm)[:30]}", one("Transpose", perm=perm))


def slices() -> Iterator[Case]:
    for start, end, axis, step in (
        (0, 4, 0, 0),
        (MIN, MAX, 0, 1),
        (MAX, MIN, 0, -1),
        (0, 4, 9, 1),
        (0, 4, MIN, 1),
        (0, MAX, 1, MIN),
        (MIN, MIN, 1, MAX),
        (4, 0, 0, 1),
    ):
        parts = [np.array([n], np.int64) for n in (start, end, axis, step)]
        yield fixed("slice", f"{start}:{end}:{step}-at-{axis}", one("Slice", ([4, 4],), parts))
    many = [np.zeros(5000, np.int64)] * 3
    yield fixed("slice", "5000-axes", one("Slice", ([4, 4],), many))


def resizes() -> Iterator[Case]:
    none = np.array([], np.float32)
    for name, scales in {
        "zero": (1, 1, 0, 0),
        "negative": (1, 1, -1, -1),
        "nan": (1, 1, np.nan, np.nan),
        "infinite": (1, 1, np.inf, np.inf),
        "huge": (1, 1, 1e30, 1e30),
        "large": (1, 1, 1e5, 1e5),
        "tiny": (1, 1, 1e-30, 1e-30),
        "too-few": (1, 1),
        "none": (),
    }.items():
        made = one("Resize", IMAGE, (none, np.array(scales, np.float32)))
        yield fixed("resize", f"scales-{name}", made)
    for name, sizes in {"zero": 0, "negative": -1, "huge": MAX, "large": 1 << 20}.items():
        parts = (none, none, np.array([1, 4, sizes, sizes], np.int64))
        yield fixed("resize", f"sizes-{name}", one("Resize", IMAGE, parts))


def indices() -> Iterator[Case]:
    for name, at in {"far": 99, "min": MIN, "max": MAX, "before": -5}.items():
        for op in ("Gather", "GatherElements", "GatherND", "ScatterElements"):
            made = one(op, ([4, 4],), (np.array([[at]], np.int64),))
            yield fixed("index", f"{op}-{name}", made)


def arithmetic() -> Iterator[Case]:
    for dtype in (np.int64, np.int32, np.int8):
        low = np.full((4, 4), np.iinfo(dtype).min, dtype)
        minus, zero = np.full((4, 4), -1, dtype), np.zeros((4, 4), dtype)
        for op, second in (("Div", minus), ("Div", zero), ("Mod", minus), ("Mod", zero)):
            made = one(op, (), (low, second))
            yield fixed("arithmetic", f"{op}-{np.dtype(dtype)}-by-{second[0, 0]}", made)
        for op in ("Abs", "Neg", "Sign"):
            yield fixed("arithmetic", f"{op}-{np.dtype(dtype)}", one(op, (), (low,)))
        for op, second in (("Pow", minus), ("BitShift", minus), ("Mul", low)):
            made = one(op, (), (low, second))
            yield fixed("arithmetic", f"{op}-{np.dtype(dtype)}", made)
    for number in (np.nan, np.inf, -np.inf, 1e38):
        for kind in (2, 3, 6, 7, 9, 10, 17):
            made = one("Cast", (), (np.full((4, 4), number, np.float32),), to=kind)
            yield fixed("arithmetic", f"Cast-{number}-to-{kind}", made)


def counts() -> Iterator[Case]:
    for name, (start, limit, delta) in {
        "no-step": (0, 1, 0),
        "endless": (0, MAX, 1),
        "backwards": (MAX, MIN, -1),
        "large": (0, 1 << 32, 1),
    }.items():
        parts = [np.array(n, np.int64) for n in (start, limit, delta)]
        yield fixed("range", name, one("Range", (), parts, "i64"))
    for depth in (-1, 0, 1 << 40):
        parts = [np.zeros(4, np.int64), np.array(depth, np.int64), np.ones(2, np.float32)]
        yield fixed("one-hot", str(depth), one("OneHot", (), parts))
    for count in (-1, 0, 5, MAX):
        made = one("TopK", ([4, 4],), (np.array([count], np.int64),), outputs=2)
        yield fixed("top-k", str(count), made)

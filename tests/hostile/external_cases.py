"""Weights that lie elsewhere, or claim to."""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import onnx
from onnx import helper

from tests.hostile.cases import Case, one, tensor
from tests.models.small_models import node, proto, unshaped, value

Prepare = Callable[[Path], object]


def _nothing(_folder: Path) -> None:
    """The folder stays empty."""


def _link(to: str) -> Prepare:
    return lambda folder: os.symlink(to, folder / "weights.bin")


def _data(size: int) -> Prepare:
    return lambda folder: (folder / "weights.bin").write_bytes(bytes(size))


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "weights.bin")


def _folder(folder: Path) -> None:
    (folder / "weights.bin").mkdir()


def _sparse(folder: Path) -> None:
    with (folder / "weights.bin").open("wb") as file:
        file.truncate(1 << 40)


def _parent(folder: Path) -> None:
    (folder.parent / "weights.bin").write_bytes(bytes(64))


def _link_to_parent(folder: Path) -> None:
    _parent(folder)
    os.symlink(folder.parent, folder / "up")


ENTRIES: Mapping[str, tuple[Prepare, Mapping[str, str]]] = {
    "missing": (_nothing, {}),
    "no-location": (_nothing, {"location": ""}),
    "absolute": (_nothing, {"location": "/etc/passwd"}),
    "parent": (_parent, {"location": "../weights.bin"}),
    "parent-and-back": (_parent, {"location": "a/../../weights.bin"}),
    "through-a-linked-folder": (_link_to_parent, {"location": "up/weights.bin"}),
    "link-to-passwd": (_link("/etc/passwd"), {}),
    "link-to-zero": (_link("/dev/zero"), {}),
    "link-to-memory": (_link("/proc/self/mem"), {}),
    "link-to-itself": (_link("weights.bin"), {}),
    "pipe": (_pipe, {}),
    "folder": (_folder, {}),
    "the-folder-itself": (_nothing, {"location": "."}),
    "url": (_nothing, {"location": "https://127.0.0.1/weights.bin"}),
    "file-url": (_nothing, {"location": "file:///etc/passwd"}),
    "nul": (_data(64), {"location": "weights.bin\0.txt"}),
    "home": (_nothing, {"location": "~/.bashrc"}),
    "long": (_nothing, {"location": "w" * 5000}),
    "many-folders": (_nothing, {"location": "a/" * 3000 + "w"}),
    "backslashes": (_nothing, {"location": "..\\weights.bin"}),
    "too-short": (_data(63), {}),
    "empty": (_data(0), {}),
    "offset-past-the-end": (_data(64), {"offset": "1"}),
    "offset-negative": (_data(64), {"offset": "-1"}),
    "offset-huge": (_data(64), {"offset": "9" * 18}),
    "offset-of-5000-digits": (_data(64), {"offset": "9" * 5000}),
    "offset-hex": (_data(64), {"offset": "0x0"}),
    "offset-other-digits": (_data(64), {"offset": "\u0660"}),
    "length-short": (_data(64), {"length": "60"}),
    "length-long": (_data(128), {"length": "128"}),
    "length-negative": (_data(64), {"length": "-64"}),
    "length-of-2-to-the-64": (_data(64), {"length": str(1 << 64)}),
    "length-empty": (_data(64), {"length": ""}),
    "sum-overflows": (_data(64), {"offset": str((1 << 63) - 1), "length": "64"}),
}


def _external(entries: Mapping[str, str], dims: tuple[int, ...] = (4, 4)) -> onnx.TensorProto:
    made = tensor("w", dims, data_location=onnx.TensorProto.EXTERNAL)
    for key, content in {"location": "weights.bin", **entries}.items():
        made.external_data.add(key=key, value=content)
    return made


def _initializer(held: onnx.TensorProto) -> onnx.ModelProto:
    made = one("Add", ([4, 4], [4, 4]))
    made.graph.input[1].name = made.graph.node[0].input[1] = "w"
    made.graph.initializer.append(held)
    return made


def _constant(held: onnx.TensorProto) -> onnx.ModelProto:
    constant = node("Constant", [], "c")
    constant.attribute.append(helper.make_attribute("value", held))
    nodes = [constant, node("Add", ["x", "c"], "y")]
    return proto(nodes, [value("x", [4, 4])], [unshaped("y")])


def _subgraph(held: onnx.TensorProto) -> onnx.ModelProto:
    branch = helper.make_graph([node("Identity", ["w"], "b")], "b", [], [unshaped("b")], [held])
    made = one("If", ([],), dtype="i1", then_branch=branch, else_branch=branch)
    made.graph.output[0].type.tensor_type.elem_type = 1
    return made


PLACES: Mapping[str, Callable[[onnx.TensorProto], onnx.ModelProto]] = {
    "initializer": _initializer,
    "constant": _constant,
    "subgraph": _subgraph,
}


def cases() -> Iterator[Case]:
    for place, holder in PLACES.items():
        for name, (prepare, entries) in ENTRIES.items():
            build = partial(_build, prepare, holder, entries, (4, 4))
            yield Case(f"external-{place}", name, build)
        large = partial(_build, _sparse, holder, {"length": str(1 << 36)}, (1 << 17, 1 << 17))
        yield Case(f"external-{place}", "of-64-GiB", large)
    yield Case("external-many", "of-8-GiB-from-one-hole", _many)


def _build(
    prepare: Prepare,
    holder: Callable[[onnx.TensorProto], onnx.ModelProto],
    entries: Mapping[str, str],
    dims: tuple[int, ...],
    folder: Path,
) -> bytes:
    prepare(folder)
    return holder(_external(entries, dims)).SerializeToString()


def _many(folder: Path) -> bytes:
    """A thousand lists of indices, each the same MB of one file that takes no room on the disk."""
    _sparse(folder)
    made = one("Relu")
    for i in range(1000):
        held = _external({"length": str(1 << 20)}, (1 << 17,))
        held.name, held.data_type = f"w{i}", 7
        made.graph.initializer.append(held)
    return made.SerializeToString()

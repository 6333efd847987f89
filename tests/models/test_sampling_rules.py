"""Images read at the places of a grid, beside onnxruntime; what does not fit is refused."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emu.executing.reference import onnxruntime_outputs
from emu.ir.errors import ModelError
from emu.ir.interpret import interpret
from emu.ir.ops.onnx_node import ONNX_NODE, onnx_node
from emu.ir.types import Array
from emu.models.reader import to_graph
from tests.models.small_models import ints, one_node, opened, real

OLDER = {"linear": "bilinear", "cubic": "bicubic", "nearest": "nearest"}
SHAPES = {
    "image": ((2, 3, 5, 4), (2, 6, 7, 2)),
    "one-row": ((1, 1, 1, 3), (1, 4, 2, 2)),
    "volume": ((2, 1, 3, 4, 5), (2, 2, 3, 2, 3)),
}
PADDINGS = ("zeros", "border", "reflection")


def agrees(
    folder: Path, op: str, inputs: list[Array], opset: int, *tail: Array, **attrs: Any
) -> None:
    model, fed = one_node(op, inputs, opset, tail, **attrs)
    read = opened(folder, model)
    graph = to_graph(read, {})
    assert ONNX_NODE not in {n.op for n in graph.nodes}
    (expected,) = onnxruntime_outputs(read, fed).values()
    np.testing.assert_allclose(interpret(graph, fed)[graph.outputs[0]], expected, atol=1e-5)


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("mode", OLDER)
def test_a_sampler_reads_what_onnxruntime_reads(tmp_path: Path, mode: str, shapes: str) -> None:
    if (mode, shapes) == ("cubic", "volume"):
        pytest.skip("onnxruntime reads no volumes so")
    image, places = SHAPES[shapes]
    x, grid = real(*image), real(*places, seed=1) * np.float32(1.5)
    for padding, aligned in product(PADDINGS, (0, 1)):
        attrs = {"padding_mode": padding, "align_corners": aligned}
        agrees(tmp_path, "GridSample", [x, grid], 20, mode=mode, **attrs)
        if shapes != "volume":
            agrees(tmp_path, "GridSample", [x, grid], 16, mode=OLDER[mode], **attrs)


@pytest.mark.parametrize("aligned", [0, 1])
@pytest.mark.parametrize("size", [(1, 1, 3, 4), (3, 2, 2, 5), (1, 1, 2, 3, 4), (2, 1, 3, 3, 2)])
def test_a_grid_is_moved_as_by_onnxruntime(
    tmp_path: Path, size: tuple[int, ...], aligned: int
) -> None:
    space = len(size) - 2
    theta = real(size[0], space, space + 1)
    agrees(tmp_path, "AffineGrid", [theta], 20, ints(*size), align_corners=aligned)


def test_a_sampler_of_two_types_goes_to_the_host_under_its_newest_names(tmp_path: Path) -> None:
    x, grid = real(1, 1, 2, 3), np.zeros((1, 2, 2, 2), np.float64)
    model, _ = one_node("GridSample", [x, grid], 16, mode="bilinear", align_corners=1)
    (made,) = to_graph(opened(tmp_path, model), {}).nodes
    assert made.op == ONNX_NODE
    (found,) = onnx_node(x, grid, **made.attrs)
    np.testing.assert_allclose(found, np.full((1, 1, 2, 2), x[0, 0, :, 1].mean()), rtol=1e-6)


IMAGE, PLACES, THETA = real(1, 1, 2, 3), real(1, 2, 2, 2), real(1, 2, 3)
WRONG: list[tuple[str, list[Array], list[Array], dict[str, Any], str]] = [
    ("GridSample", [IMAGE, PLACES], [], {"mode": "quintic"}, "mode 'quintic'"),
    ("GridSample", [IMAGE, PLACES], [], {"padding_mode": "wrap"}, "padding 'wrap'"),
    ("GridSample", [IMAGE, real(1, 2, 2, 3)], [], {}, "has no places in"),
    ("AffineGrid", [THETA], [ints(1, 1, 4)], {}, "a size is N,C,H,W or N,C,D,H,W"),
    ("AffineGrid", [THETA], [ints(1, 1, 4, 1 << 40)], {}, "a size is N,C,H,W or N,C,D,H,W"),
    ("AffineGrid", [THETA], [ints(2, 1, 4, 4)], {}, "does not move a grid of [2, 1, 4, 4]"),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda w: f"{w[0]}: {w[4]}")
def test_what_does_not_fit_together_is_an_error_with_the_node(tmp_path: Path, wrong: Any) -> None:
    op, inputs, tail, attrs, why = wrong
    model, _ = one_node(op, inputs, 20, tail, **attrs)
    with pytest.raises(ModelError) as caught:
        to_graph(opened(tmp_path, model), {})
    assert "node 'the_node'" in str(caught.value)
    assert why in str(caught.value)

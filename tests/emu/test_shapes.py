"""A model with open dimensions says which, and is compiled once for each shape."""

import numpy as np
import pytest

from emu.ir.errors import BadValues, UnboundDimension
from emu.pipeline import compile
from emu.shapes import Shapes
from tests.corpus.cases import FILES

VGG, BERT = FILES / "vgg.onnx", FILES / "bert.onnx"


def images(count: int) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    return {"image": np.ones((count, 3, 16, 16), np.float32)}


def test_all_open_dimensions_are_asked_for_at_once() -> None:
    with pytest.raises(UnboundDimension, match=r"'ids' \[batch, seq\].*--dim batch=N seq=N"):
        compile(BERT)


def test_a_shape_is_compiled_once() -> None:
    shapes = Shapes(VGG)
    first, again = shapes.executable({"batch": 2}), shapes.executable({"batch": 2})
    assert first is again
    assert shapes.executable({"batch": 3}) is not first


def test_inputs_choose_the_shape() -> None:
    shapes = Shapes(VGG)
    for count in (1, 2, 1):
        outputs = shapes.run(images(count)).outputs
        assert outputs is not None
        assert next(iter(outputs.values())).shape == (count, 10)
    assert len(shapes.compiled) == 2


def test_inputs_that_contradict_each_other_are_refused() -> None:
    ids = np.ones((2, 4), np.int64)
    inputs = {"ids": ids, "mask": ids, "kinds": np.ones((2, 5), np.int64)}
    with pytest.raises(BadValues, match="'seq' is 4 and 5"):
        Shapes(BERT).run(inputs)


def test_a_missing_input_and_a_wrong_rank_are_refused() -> None:
    with pytest.raises(BadValues, match=r"'image' must have the shape \[batch, 3, 16, 16\], not n"):
        Shapes(VGG).run({})
    with pytest.raises(BadValues, match=r"not the shape \(3,\)"):
        Shapes(VGG).run({"image": np.ones(3, np.float32)})

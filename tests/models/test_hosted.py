"""What emu has no rule for goes to the host, node by node, and is priced there."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from PIL import Image

import emu
from emu import backend
from emu.ir.errors import (
    BadValues,
    DataDependent,
    MissingExtra,
    ModelError,
    OtherTypes,
    Unsupported,
    WrongElement,
)
from emu.ir.graph import Graph
from emu.ir.held import canonical, value_type
from emu.ir.ops import OPS
from emu.ir.ops.image import must_be_image
from emu.ir.ops.onnx_node import ONNX_NODE, types_as_text, types_of_text
from emu.ir.program import Copy, HostCall
from emu.ir.types import TensorType
from emu.models.reader import to_graph
from tests.models.small_models import node, opened, proto, real, saved, unshaped, value

X = real(2, 3)
TEXT = np.array(["a", "für"], object)


def reader(tmp_path: Path, op: str, samples: dict[str, Any] | None = None, **attrs: Any) -> Graph:
    """Relu, then ``op``, as a graph."""
    nodes = [node("Relu", ["x"], "r"), node(op, ["r"], "y", **attrs)]
    model = proto(nodes, [value("x", [2, 2])], [unshaped("y")], opset=21)
    return to_graph(opened(tmp_path, model), {}, samples)


def test_a_node_without_a_rule_is_one_for_the_host_with_types_by_onnx(tmp_path: Path) -> None:
    graph = reader(tmp_path, "Det")
    assert [n.op for n in graph.nodes] == ["Relu", ONNX_NODE]
    assert graph.types["y"] == TensorType("f32", ())


def test_the_host_call_pays_for_the_link_both_ways(tmp_path: Path) -> None:
    nodes = [
        node("Relu", ["x"], "r"),
        node("Det", ["r"], "m"),
        node("Relu", ["m"], "y"),
    ]
    model = proto(nodes, [value("x", [2, 2])], [unshaped("y")], opset=21)
    compiled = emu.compile(saved(tmp_path / "m.onnx", model), fusion="none").compiled
    commands = compiled.program.commands
    copies = [(c.value, c.to, c.size) for c in commands if isinstance(c, Copy)]
    assert copies == [("r", "host", 16), ("m", "device", 4)]
    assert sum(isinstance(c, HostCall) for c in commands) == 1
    assert compiled.trace.ledger["host"] > 0
    assert compiled.trace.ledger["link"] > 0


def test_shapes_that_only_values_say_are_those_that_occur(tmp_path: Path) -> None:
    with pytest.raises(DataDependent, match=r"'NonZero_1'.*only values say"):
        reader(tmp_path, "NonZero")
    graph = reader(tmp_path, "NonZero", {"x": X[:, :2]})
    assert graph.types["y"] == TensorType("i64", (2, int((X[:, :2] > 0).sum())))


def test_values_that_lead_to_other_shapes_need_a_program_of_their_own(tmp_path: Path) -> None:
    model = proto([node("NonZero", ["x"], "y")], [value("x", [2, 3])], [unshaped("y")])
    executable = emu.compile(saved(tmp_path / "m.onnx", model), samples={"x": X})
    with pytest.raises(OtherTypes, match="where the program has"):
        executable.run({"x": np.zeros_like(X)}, check=False)
    prepared = backend.prepare(model)
    for given in (np.zeros_like(X), X, np.zeros_like(X)):
        np.testing.assert_array_equal(prepared.run([given])[0], np.array(np.nonzero(given)))


def test_values_that_the_reference_does_not_take_are_named_with_the_node(tmp_path: Path) -> None:
    model = proto(
        [node("SequenceAt", ["s", "i"], "y")],
        [
            helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, [2]),
            value("i", [], "i64"),
        ],
        [unshaped("y")],
    )
    samples = {"s": [X[0]], "i": np.array(5)}
    with pytest.raises(BadValues, match=r"'SequenceAt_0'.*onnx\.reference"):
        to_graph(opened(tmp_path, model), {}, samples)


def test_a_size_that_onnx_works_out_to_be_negative_is_refused(tmp_path: Path) -> None:
    constants = {"no_step": np.array(0), "frame": np.array(2)}
    stft = node("STFT", ["x", "no_step", "", "frame"], "y")
    model = proto([stft], [value("x", [1, 8, 1])], [unshaped("y")], constants)
    with pytest.raises(ModelError, match=r"'STFT_0'.*makes tensor<1x-"):
        to_graph(opened(tmp_path, model), {})


def test_reals_that_the_reference_widens_have_the_width_of_onnxs_rules() -> None:
    attrs: dict[str, Any] = {"alpha": 0.9, "beta": 0.8, "epsilon": 1e-2}
    names = ["r", "t", "x", "g", "v", "h"]
    adam = helper.make_node("Adam", names, ["y"], domain="ai.onnx.preview.training", **attrs)
    given = [np.float32(0.1), np.array(3), X, X, X, np.abs(X)]
    (y,) = backend.run_node(adam, given, opset_version=1)[:1]
    rate = 0.1 * np.sqrt(1 - 0.8**3) / (1 - 0.9**3)
    mean, square = 0.9 * X + 0.1 * X, 0.8 * np.abs(X) + 0.2 * X * X
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, X - rate * mean / (np.sqrt(square) + 1e-2), rtol=1e-5)


def test_an_attribute_that_no_rule_reads_is_left_to_the_host(tmp_path: Path) -> None:
    nodes = [node("Cast", ["x"], "y", to=TensorProto.FLOAT, round_mode="nearest")]
    model = proto(nodes, [value("x", [2, 3])], [unshaped("y")], opset=25)
    assert [n.op for n in to_graph(opened(tmp_path, model), {}).nodes] in (["Cast"], [ONNX_NODE])


def test_an_element_type_that_neither_emu_nor_onnx_takes_is_refused(tmp_path: Path) -> None:
    model = proto([node("Sqrt", ["x"], "y")], [value("x", [2], "i64")], [unshaped("y")])
    with pytest.raises(WrongElement, match=r"takes f64 or .*, not tensor<2xi64>"):
        to_graph(opened(tmp_path, model), {})


def test_a_narrower_dtype_does_not_reach_into_the_host(tmp_path: Path) -> None:
    nodes = [node("Det", ["x"], "y")]
    model = proto(nodes, [value("x", [2, 2])], [unshaped("y")], opset=21)
    with pytest.raises(Unsupported, match="the host computes it in the model's own"):
        emu.compile(saved(tmp_path / "m.onnx", model), dtype="bf16")


def test_text_and_sequences_count_their_contents_and_an_offset_each() -> None:
    assert value_type(TEXT).bytes == 2 * 8 + 1 + 4
    assert value_type(canonical([X, X])).bytes == 2 * 8 + 2 * X.nbytes
    assert value_type(canonical({1: 2.0})).bytes == 8 + 16
    assert value_type(None).bytes == 8


def test_types_are_read_back_from_their_text() -> None:
    types = (TensorType("f32", (2, 3)), TensorType("string", (), payload_bytes=7))
    assert types_of_text(types_as_text(types)) == types


def test_text_runs_through_the_host() -> None:
    made = helper.make_node("StringConcat", ["a", "b"], ["y"])
    infos = [helper.make_tensor_value_info(n, TensorProto.STRING, [2]) for n in "ab"]
    result = helper.make_tensor_value_info("y", TensorProto.STRING, [2])
    model = helper.make_model(
        helper.make_graph([made], "text", infos, [result]),
        opset_imports=[helper.make_opsetid("", 20)],
    )
    (y,) = backend.run_model(model, [TEXT, TEXT])
    assert y.tolist() == ["aa", "fürfür"]
    assert OPS[ONNX_NODE].work([], [], {}).flops == 0


def test_what_only_a_shape_is_read_of_still_runs_and_is_checked() -> None:
    nodes = [node("NonZero", ["x"], "n"), node("Shape", ["n"], "y")]
    model = proto(nodes, [value("x", [2, 3])], [value("y", [2], "i64")])
    prepared = backend.prepare(model)
    for given in (X, np.zeros_like(X)):
        assert prepared.run([given])[0].tolist() == [2, np.count_nonzero(given)]


def test_an_empty_optional_reads_as_absent() -> None:
    of_reals = helper.make_tensor_type_proto(TensorProto.FLOAT, [2, 3])
    info = helper.make_value_info("x", helper.make_optional_type_proto(of_reals))
    model = proto([node("OptionalHasElement", ["x"], "y")], [info], [unshaped("y")], opset=18)
    prepared = backend.prepare(model)
    assert [bool(prepared.run([given])[0]) for given in (None, X, None)] == [False, True, False]


@pytest.mark.parametrize("executor", ["fast", "tiles"])
def test_a_sequence_keeps_its_tensors_when_the_program_runs_again(
    tmp_path: Path, executor: str
) -> None:
    nodes = [node("Relu", ["x"], "r"), node("SequenceConstruct", ["r", "x"], "y")]
    model = proto(nodes, [value("x", [2, 3])], [unshaped("y")], opset=18)
    executable = emu.compile(saved(tmp_path / "m.onnx", model), samples={"x": X})
    made = [executable.run({"x": x}, check=False, executor=executor).outputs for x in (X, -X)]
    for outputs, x in zip(made, (X, -X), strict=True):
        assert outputs is not None
        np.testing.assert_array_equal(outputs["y"][0], np.maximum(x, 0))
        np.testing.assert_array_equal(outputs["y"][1], x)


def image_decoder(encoded: bytes) -> tuple[Any, Any]:
    """A model that decodes images, and one as its input."""
    given = np.frombuffer(encoded, np.uint8)
    model = proto(
        [node("ImageDecoder", ["x"], "y", name="picture")],
        [value("x", [len(given)], "ui8")],
        [unshaped("y", "ui8")],
        opset=20,
    )
    return model, given


def encoded(format: str, shape: tuple[int, int] = (5, 7)) -> bytes:
    file = BytesIO()
    Image.new("RGB", shape, (10, 20, 30)).save(file, format)
    return file.getvalue()


@pytest.mark.parametrize("format", ["PNG", "BMP", "PPM"])
def test_images_are_decoded_by_the_host(format: str) -> None:
    model, given = image_decoder(encoded(format))
    (y,) = backend.prepare(model).run([given])
    assert y.shape == (7, 5, 3)
    assert y[0, 0].tolist() == [10, 20, 30]


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n%!PS\nshowpage\n"


@pytest.mark.parametrize(
    ("held", "why"),
    [
        (POSTSCRIPT, "ImageDecoder: takes no EPS; formats: BMP, JPEG"),
        (encoded("GIF"), "ImageDecoder: takes no GIF"),
        (b"no image at all", "ImageDecoder: UnidentifiedImageError"),
    ],
)
def test_formats_that_onnx_does_not_name_are_refused_before_they_are_decoded(
    held: bytes, why: str
) -> None:
    model, given = image_decoder(held)
    with pytest.raises(BadValues, match=why):
        must_be_image(given)
    with pytest.raises(backend.NotSupported, match=rf"node 'picture'.*{why}"):
        backend.prepare(model).run([given])


def test_without_pillow_the_extra_that_has_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: str) -> None:
        return None

    monkeypatch.setattr("emu.ir.ops.image.find_spec", missing)
    model, given = image_decoder(encoded("PNG"))
    with pytest.raises(MissingExtra, match=r"node 'picture'.*pip install 'emu\[image\]'"):
        to_graph(opened(tmp_path, model), {}, {"x": given})


def test_an_optional_is_the_value_that_it_holds_or_none() -> None:
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, [2, 3])
    nodes = [
        node("Optional", ["x"], "full"),
        node("Optional", [], "empty", type=tensor),
        node("OptionalHasElement", ["full"], "yes"),
        node("OptionalHasElement", ["empty"], "no"),
        node("OptionalGetElement", ["full"], "y"),
    ]
    results = [unshaped(name) for name in ("yes", "no", "y")]
    yes, no, y = backend.prepare(proto(nodes, [value("x", [2, 3])], results, opset=18)).run([X])
    assert (bool(yes), bool(no)) == (True, False)
    np.testing.assert_array_equal(y, X)

"""What each pass does, and what it leaves alone."""

from dataclasses import replace

import numpy as np
import pytest

from emu.ir.errors import ModelError, UnboundDimension, UnknownName, UnsupportedOp, VerifyError
from emu.ir.graph import Constant, Graph, Node
from emu.ir.passes import DEFAULT_PASSES, PASSES, find_pass, run_passes
from emu.ir.passes.canonicalise import canonicalise
from emu.ir.passes.fold_batch_norm import fold_batch_norm
from emu.ir.passes.fold_constants import fold_constants
from emu.ir.passes.infer_types import infer_types
from emu.ir.passes.merge_equal import merge_common
from emu.ir.passes.remove_dead import remove_dead
from emu.ir.types import Array, TensorType
from tests.ir.passes.planting import Sketch, assert_same, ops

TWO: Array = np.full((), 2, np.float32)


def unloadable() -> Array:
    raise AssertionError("a weight was loaded")


def sketch_of_norm() -> tuple[Sketch, str, str]:
    sketch = Sketch()
    conv = sketch.add("Conv", sketch.input("x"), sketch.weight(6, 4, 3, 3))
    vectors = [sketch.weight(6), sketch.weight(6), sketch.weight(6)]
    norm = sketch.add("BatchNormalization", conv, *vectors, sketch.weight(6, positive=True))
    return sketch, conv, norm


def without_contents(graph: Graph) -> Graph:
    constants = {k: replace(c, load=unloadable) for k, c in graph.constants.items()}
    return replace(graph, constants=constants)


def test_a_batch_norm_becomes_part_of_its_conv() -> None:
    sketch, _, norm = sketch_of_norm()
    before = sketch.graph(norm)
    after = fold_batch_norm(before)
    assert ops(after) == ["Conv"]
    assert after.nodes[0].source == ("n0", "n1")
    assert sorted(c.type.dims for c in after.constants.values()) == [(6,), (6, 4, 3, 3)]
    assert_same(before, after)


@pytest.mark.parametrize(
    ("group", "shape"), [(1, (4, 6, 3, 2)), (2, (4, 3, 3, 2)), (4, (4, 1, 1, 1))]
)
@pytest.mark.parametrize("biased", [False, True])
def test_a_batch_norm_becomes_part_of_its_transposed_conv(
    group: int, shape: tuple[int, ...], biased: bool
) -> None:
    sketch, channels = Sketch(), group * shape[1]
    ins = [sketch.weight(*shape), *([sketch.weight(channels)] if biased else [])]
    conv = sketch.add("ConvTranspose", sketch.input("x"), *ins, group=group, strides=(2, 1))
    numbers = [sketch.weight(channels) for _ in range(3)]
    norm = sketch.add("BatchNormalization", conv, *numbers, sketch.weight(channels, positive=True))
    before = sketch.graph(norm)
    after = fold_batch_norm(before)
    assert ops(after) == ["ConvTranspose"]
    assert_same(before, after)


def test_a_conv_that_somebody_else_reads_keeps_its_batch_norm() -> None:
    sketch, conv, norm = sketch_of_norm()
    relu = sketch.add("Relu", conv)
    assert ops(fold_batch_norm(sketch.graph(norm, relu))) == ["Conv", "BatchNormalization", "Relu"]
    assert ops(fold_batch_norm(sketch.graph(norm, conv)))[:2] == ["Conv", "BatchNormalization"]


def test_a_batch_norm_with_computed_numbers_stays() -> None:
    sketch = Sketch()
    conv = sketch.add("Conv", sketch.input("x"), sketch.weight(6, 4, 1, 1))
    scale = sketch.input("scale", (6,))
    norm = sketch.add("BatchNormalization", conv, scale, *[sketch.weight(6)] * 3)
    assert ops(fold_batch_norm(sketch.graph(norm))) == ["Conv", "BatchNormalization"]


def test_folding_loads_no_weight_and_gives_equal_keys_for_equal_graphs() -> None:
    def folded() -> Graph:
        sketch, _, norm = sketch_of_norm()
        value = sketch.add("Add", norm, sketch.add("Exp", sketch.weight(6, 1, 1)))
        return run_passes(without_contents(sketch.graph(value)), DEFAULT_PASSES)

    assert ops(folded()) == ["Conv", "Add"]
    assert [c.key for c in folded().constants.values()] == [
        c.key for c in folded().constants.values()
    ]
    assert len({c.key for c in folded().constants.values()}) == 3


def test_what_two_paths_read_is_folded_once() -> None:
    """By paths, the contents of the last would be computed from a quintillion sums."""
    sketch = Sketch()
    value = sketch.weight(50)
    for _ in range(60):
        value = sketch.add("Mul", sketch.add("Add", value, value), sketch.weight(50))
    after = fold_constants(sketch.graph(sketch.add("Add", sketch.input("x", (50,)), value)))
    assert ops(after) == ["Add"]
    folded = after.constants[value]
    assert folded.inline is None
    assert folded.load().shape == (50,)


def test_a_small_result_of_inline_constants_is_inline() -> None:
    sketch = Sketch()
    four = sketch.add("Mul", *[sketch.constant(TWO, inline=True)] * 2)
    after = fold_constants(sketch.graph(sketch.add("Add", sketch.input("x"), four)))
    assert ops(after) == ["Add"]
    assert after.folded == ("n0",)
    assert after.constants[four].scalar == 4


def test_a_result_of_a_weight_is_not_inline() -> None:
    sketch = Sketch()
    known = sketch.add("Exp", sketch.weight(4, 5, 5))
    after = fold_constants(sketch.graph(sketch.add("Add", sketch.input("x"), known)))
    assert after.constants[known].inline is None
    assert float(after.constants[known].load().min()) > 0


def test_all_parts_of_a_constant_split_are_constants() -> None:
    sketch = Sketch()
    parts = sketch.add_many("Split", [sketch.weight(2, 25)], 2, axis=0, sizes=(1, 1))
    x = sketch.input("x", (1, 25))
    before = sketch.graph(sketch.add("Sub", sketch.add("Add", x, parts[0]), parts[1]))
    after = fold_constants(before)
    assert ops(after) == ["Add", "Sub"]
    assert after.constants[parts[0]].key != after.constants[parts[1]].key
    assert_same(before, after)


def test_a_large_expand_stays_since_reading_it_would_cost_more() -> None:
    sketch = Sketch()
    large = sketch.add("Expand", sketch.constant(TWO, inline=True), shape=(200, 200))
    after = fold_constants(sketch.graph(sketch.add("Add", sketch.input("x", (200, 200)), large)))
    assert ops(after) == ["Expand", "Add"]


def test_a_constant_output_of_the_graph_stays_computed() -> None:
    sketch = Sketch()
    assert ops(fold_constants(sketch.graph(sketch.add("Exp", sketch.weight(3))))) == ["Exp"]


def test_what_no_output_reads_goes_and_stays_known() -> None:
    sketch = Sketch()
    x = sketch.input("x")
    sketch.add("Add", sketch.add("Exp", x), sketch.weight(4, 5, 5))
    after = remove_dead(sketch.graph(sketch.add("Relu", x)))
    assert ops(after) == ["Relu"]
    assert (after.folded, dict(after.constants)) == (("n0", "n1"), {})
    assert set(after.types) == {"x", "v2"}


def test_equal_nodes_become_one_that_stands_for_both() -> None:
    sketch = Sketch()
    x = sketch.input("x")
    twins = [sketch.add("LeakyRelu", x, alpha=a) for a in (0.1, 0.1, 0.2)]
    chosen = sketch.add("Where", sketch.input("c", dtype="i1"), *twins[:2])
    after = merge_common(sketch.graph(sketch.add("Add", chosen, twins[2])))
    assert ops(after) == ["LeakyRelu", "LeakyRelu", "Where", "Add"]
    assert after.nodes[0].source == ("n0", "n1")
    assert after.nodes[2].inputs == ("c", "v0", "v0")


def test_a_second_output_of_the_graph_keeps_its_own_node() -> None:
    sketch = Sketch()
    x = sketch.input("x")
    before = sketch.graph(sketch.add("Relu", x), sketch.add("Relu", x))
    assert merge_common(before).nodes == before.nodes


def test_movement_that_undoes_itself_goes() -> None:
    sketch = Sketch()
    turned = sketch.add("Transpose", sketch.add("Relu", sketch.input("x")), perm=(0, 2, 3, 1))
    back = sketch.add("Transpose", turned, perm=(0, 3, 1, 2))
    after = canonicalise(sketch.graph(sketch.add("Tanh", back)))
    assert ops(after) == ["Relu", "Tanh"]
    assert after.nodes[0].source == ("n0", "n1", "n2")


def test_a_transpose_with_a_second_reader_stays_beside_the_joined_one() -> None:
    sketch = Sketch()
    turned = sketch.add("Transpose", sketch.input("x"), perm=(0, 2, 3, 1))
    twice = sketch.add("Transpose", turned, perm=(0, 2, 3, 1))
    before = sketch.graph(sketch.add("Relu", turned), sketch.add("Relu", twice))
    after = canonicalise(before)
    assert [n.inputs for n in after.nodes if n.op == "Transpose"] == [("x",), ("x",)]
    assert [n.source for n in after.nodes if n.op == "Transpose"] == [("n0",), ("n1",)]
    assert_same(before, after)


def test_flatten_stays_what_it_is() -> None:
    sketch = Sketch()
    pooled = sketch.add("GlobalAveragePool", sketch.input("x"))
    graph = sketch.graph(sketch.add("MatMul", sketch.add("Flatten", pooled), sketch.weight(4, 2)))
    assert canonicalise(graph).nodes == graph.nodes


def test_a_constant_moves_to_the_right_only_where_operands_commute() -> None:
    sketch = Sketch()
    x, two = sketch.input("x"), sketch.constant(TWO, inline=True)
    graph = canonicalise(sketch.graph(*(sketch.add(op, two, x) for op in ("Add", "Mul", "Sub"))))
    assert [n.inputs for n in graph.nodes] == [("x", two), ("x", two), (two, "x")]


def test_inferred_types_replace_what_a_file_claims() -> None:
    sketch = Sketch()
    graph = sketch.graph(sketch.add("GlobalAveragePool", sketch.input("x")))
    stale = replace(graph, types={**graph.types, "v0": TensorType("f32", (7,))})
    assert infer_types(stale).types == graph.types


def test_a_type_error_quotes_the_node() -> None:
    wrong = Node("n0", "Add", ("x", "y"), ("z",), source=("n0",))
    types = {"x": TensorType("f32", (3,)), "y": TensorType("f32", (4,))}
    graph = Graph("g", ("x", "y"), ("z",), (wrong,), types, {})
    with pytest.raises(ModelError, match=r"node 'n0' \(%z = Add\(%x, %y\)\): .* do not broadcast"):
        infer_types(graph)


def test_a_node_with_more_outputs_than_its_op_is_refused() -> None:
    wrong = Node("n0", "MaxPool", ("x",), ("y", "indices"), {"kernel_shape": (1,)}, ("n0",))
    graph = Graph("g", ("x",), ("y",), (wrong,), {"x": TensorType("f32", (1, 1, 3))}, {})
    with pytest.raises(ModelError, match="MaxPool has 1 outputs, not 2"):
        infer_types(graph)


def test_an_unknown_op_is_refused_with_its_node() -> None:
    wrong = Node("n0", "Loop", ("x",), ("y",), source=("n0",))
    graph = Graph("g", ("x",), ("y",), (wrong,), {"x": TensorType("f32", (3,))}, {})
    with pytest.raises(UnsupportedOp, match="node 'n0': op 'Loop'"):
        infer_types(graph)


def test_a_symbolic_dimension_needs_a_number() -> None:
    graph = Graph("g", ("x",), ("x",), (), {"x": TensorType("f32", ("batch", 3))}, {})
    with pytest.raises(UnboundDimension, match="dimension 'batch' of input 'x' has no number"):
        infer_types(graph)


def test_an_unknown_pass_is_refused_before_anything_runs() -> None:
    with pytest.raises(UnknownName, match="did you mean 'fold-batch-norm'"):
        find_pass("fold-batchnorm")
    sketch = Sketch()
    heard: list[str] = []
    graph = sketch.graph(sketch.add("Relu", sketch.input("x")))

    def watch(name: str, after: Graph, seconds: float) -> None:
        heard.append(name)

    with pytest.raises(UnknownName):
        run_passes(graph, ("remove-dead", "nonsense"), watch)
    assert heard == []


def test_the_watcher_hears_of_every_pass_in_order() -> None:
    sketch = Sketch()
    graph = sketch.graph(sketch.add("Relu", sketch.input("x")))
    heard: list[tuple[str, int]] = []

    def watch(name: str, after: Graph, seconds: float) -> None:
        assert seconds >= 0
        heard.append((name, len(after.nodes)))

    run_passes(graph, DEFAULT_PASSES, watch)
    assert heard == [(name, 1) for name in DEFAULT_PASSES]


def test_a_pass_that_breaks_the_graph_is_named() -> None:
    def forgetful(graph: Graph) -> Graph:
        return replace(graph, nodes=tuple(replace(node, source=()) for node in graph.nodes))

    sketch = Sketch()
    graph = sketch.graph(sketch.add("Relu", sketch.input("x")))
    with pytest.raises(VerifyError, match=r"pass 'forgetful': .*has lost its source"):
        run_passes(graph, ["forgetful"], passes={**PASSES, "forgetful": forgetful})


def test_equal_constants_are_kept_once() -> None:
    sketch = Sketch()
    ones = np.ones((4, 1, 1), np.float32)
    names = [sketch.constant(ones, key=key) for key in ("a", "a", "b")]
    value = sketch.input("x")
    for name in names:
        value = sketch.add("Add", value, name)
    after = merge_common(sketch.graph(value))
    kept: dict[str, Constant] = dict(after.constants)
    assert list(kept) == [names[0], names[2]]

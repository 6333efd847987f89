"""Files that read well and ask for much when they run: on the host, in text, trees and images."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import helper

from emu.ir.types import Array
from tests.hostile.cases import Case, fixed, one
from tests.models.small_models import ints, node, proto, unshaped, value

SIDE = 1 << 40
TEXT = np.array(["a" * 30], object)


def cases() -> Iterator[Case]:
    """Those that are refused, or priced, before anything runs."""
    yield from texts()
    yield from trees()
    yield from scans()
    yield from names()


def running() -> Iterator[Case]:
    """Those that only the guard of a command can end."""
    yield from sizes()
    yield from backtracking()
    yield from sequences()


def known(
    op: str,
    constants: dict[str, Array],
    dtype: str = "f32",
    opset: int = 20,
    domain: str = "",
    outputs: int = 1,
    **attrs: Any,
) -> onnx.ModelProto:
    """One node of constants only, and beside it one that reads an input."""
    ys = [f"y{i}" for i in range(outputs)]
    made = node(op, [*constants], *ys, name="hostile", **attrs)
    made.domain = domain
    other = node("Relu", ["x"], "z")
    outs = [*(unshaped(y, dtype) for y in ys), unshaped("z")]
    model = proto([made, other], [value("x", [4])], outs, constants, opset)
    if domain:
        model.opset_import.append(helper.make_opsetid(domain, 3))
    return model


def computed(op: str, size: int, *others: str, first: str = "x", **attrs: Any) -> onnx.ModelProto:
    """A size that is computed: what ``op`` makes is known only when values are."""
    constants = {"big": np.array([size], np.int64), "one": ints(1), "zero": np.array(0, np.int64)}
    nodes = [
        node("NonZero", ["x"], "places"),
        node("ReduceMax", ["places"], "most", keepdims=0),
        node("Max", ["most", "big"], "size"),
        node("Squeeze", ["size"], "scalar"),
        node(op, [first, *others] if first else [*others], "y", name="hostile", **attrs),
    ]
    return proto(nodes, [value("x", [4])], [unshaped("y")], constants, 17)


def sizes() -> Iterator[Case]:
    """What the host makes, as large as a value says."""
    yield fixed("run", "ConstantOfShape", computed("ConstantOfShape", SIDE, first="size"))
    yield fixed("run", "Expand", computed("Expand", -(1 << 63), "size"))
    yield fixed("run", "Tile", computed("Tile", 1 << 62, "size"))
    many = computed("Range", SIDE, "scalar", "step", first="zero")
    many.graph.initializer.append(onnx.numpy_helper.from_array(np.array(1), "step"))
    yield fixed("run", "Range", many)
    pair = computed("Concat", SIDE, "size", first="size", axis=0)
    pair.graph.node[-1].output[0] = "pads"
    pair.graph.node.append(node("Pad", ["x", "pads"], "y", name="hostile"))
    yield fixed("run", "Pad", pair)
    hot = computed("OneHot", SIDE, "scalar", "offs", first="places")
    hot.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(2, np.float32), "offs"))
    yield fixed("run", "OneHot", hot)
    yield fixed("run", "NonZero", one("NonZero", ([30_000, 30_000],)))
    boxes = {"boxes": np.zeros((1, 30_000, 4), np.float32), "of": np.zeros((1, 1, 30_000), "f4")}
    boxes["many"] = ints(1 << 62)
    yield fixed("run", "NonMaxSuppression", known("NonMaxSuppression", boxes, "i64"))


def texts() -> Iterator[Case]:
    """Patterns that are none, and text that is much or odd."""
    for name, pattern in (
        ("deep", "(" * 5000 + "a" + ")" * 5000),
        ("broken", "(?P<a"),
        ("nul", "\0[\0"),
    ):
        made = known("RegexFullMatch", {"t": TEXT}, "i1", pattern=pattern)
        yield fixed("text-RegexFullMatch", name, made)
    much = {"t": np.array(["ab" * 10_000], object)}
    split = known("StringSplit", much, "string", outputs=2, delimiter="", maxsplit=-(1 << 63))
    yield fixed("text-StringSplit", "without-delimiter", split)
    locale = known(
        "StringNormalizer", {"t": TEXT}, "string", locale="../../x", case_change_action="UPPER"
    )
    yield fixed("text-StringNormalizer", "a-path-as-locale", locale)
    grams: dict[str, Any] = {
        "mode": "TF",
        "min_gram_length": 1,
        "max_gram_length": 1 << 40,
        "max_skip_count": 1 << 40,
        "ngram_counts": [0, -1],
        "ngram_indexes": [1 << 50],
        "pool_int64s": [1],
    }
    yield fixed(
        "text-TfIdfVectorizer",
        "of-2-to-the-50",
        known("TfIdfVectorizer", {"t": ints(1, 2)}, **grams),
    )


def backtracking() -> Iterator[Case]:
    """Work on text that does not end, and parts of texts that are padded to the longest."""
    pattern = known("RegexFullMatch", {"t": TEXT}, "i1", pattern=r"(a+)+\1$b")
    yield fixed("run", "RegexFullMatch", pattern)
    many = {"t": np.array(["a " * 20_000] + ["b"] * 2000, object)}
    yield fixed("run", "StringSplit", known("StringSplit", many, "string", outputs=2))


def trees() -> Iterator[Case]:
    """Ensembles whose nodes are each other's children, or nobody's."""
    for name, true, false in (
        ("a-cycle", [1, 0], [1, 0]),
        ("far-children", [1 << 40, 1], [-1, 1]),
    ):
        attrs: dict[str, Any] = {
            "nodes_treeids": [0, 0],
            "nodes_nodeids": [0, 1],
            "nodes_featureids": [0, 1 << 40],
            "nodes_modes": ["BRANCH_LEQ", "BRANCH_LEQ"],
            "nodes_values": [1e30, float("nan")],
            "nodes_truenodeids": true,
            "nodes_falsenodeids": false,
            "target_treeids": [0],
            "target_nodeids": [1],
            "target_ids": [0],
            "target_weights": [1.0],
            "n_targets": 1,
        }
        made = known(
            "TreeEnsembleRegressor",
            {"t": np.ones((1, 2), np.float32)},
            domain="ai.onnx.ml",
            **attrs,
        )
        yield fixed("tree", name, made)


def sequences() -> Iterator[Case]:
    """A loop that puts the list of before into a list, twice as long each time."""
    empty = node("SequenceEmpty", [], "none")
    body = helper.make_graph(
        [
            node("Identity", ["c"], "k"),
            node("SequenceInsert", ["s", "x"], "one"),
            node("ConcatFromSequence", ["one"], "row", axis=0),
            node("SequenceInsert", ["one", "row"], "t"),
        ],
        "body",
        [value("i", [], "i64"), value("c", [], "i1"), _listed("s")],
        [value("k", [], "i1"), _listed("t")],
    )
    nodes = [
        empty,
        node("Loop", ["m", "go", "none"], "list", body=body, name="the_loop"),
        node("ConcatFromSequence", ["list"], "y", axis=0),
    ]
    constants: dict[str, Array] = {"m": np.array(1000, np.int64), "go": np.array(True)}
    made = proto(nodes, [value("x", [1000])], [unshaped("y")], constants)
    yield fixed("run", "SequenceInsert", made)
    split = {"t": np.zeros(100_000, np.float32), "n": np.array(1, np.int64)}
    parts = known("SplitToSequence", split)
    parts.graph.node.append(node("ConcatFromSequence", ["y0"], "w", axis=0))
    parts.graph.output[0].name = "w"
    yield fixed("run", "SplitToSequence", parts)


def _listed(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_sequence_value_info(name, onnx.TensorProto.FLOAT, None)


def scans() -> Iterator[Case]:
    """Graphs that are repeated, inside each other, or enlarged."""
    add = [node("Add", ["s", "e"], "t"), node("Identity", ["t"], "o")]
    body = helper.make_graph(
        add, "body", [value("s", [1]), value("e", [1])], [value("t", [1]), value("o", [1])]
    )
    scales = {"roi": np.zeros(0, np.float32), "scales": np.array([1, 1, 1e9, 1e9], np.float32)}
    big = proto(
        [node("Resize", ["x", *scales], "y", mode="cubic", antialias=1, name="hostile")],
        *([value("x", [1, 1, 4, 4])], [unshaped("y")], scales, 18),
    )
    yield fixed("resize", "a-billion-times", big)
    for length in (100_000, SIDE):
        pair = [value("x", [1]), value("xs", [length, 1])]
        scan = node("Scan", ["x", "xs"], "y", "z", body=body, num_scan_inputs=1, name="hostile")
        made = proto([scan], pair, [unshaped("y"), unshaped("z")])
        yield fixed("scan", f"of-{length}", made)
    graph = helper.make_graph([node("Relu", ["x"], "r0")], "b", [], [unshaped("r0")])
    for depth in range(1, 30):
        both = node("If", ["go"], f"r{depth}", then_branch=graph, else_branch=graph)
        graph = helper.make_graph([both], "b", [], [unshaped(f"r{depth}")])
        if len(graph.SerializeToString()) > 1 << 20:
            break
    made = one("If", ([],), dtype="i1", then_branch=graph, else_branch=graph)
    made.graph.input[0].name = made.graph.node[0].input[0] = "go"
    yield fixed("if", "doubled-branches", made)


def names() -> Iterator[Case]:
    """Names that would break a line, a terminal or a listing."""
    for name, text in (
        ("escape", "\x1b]0;owned\x07\x1b[2J"),
        ("newlines", "a\r\nemu: all is well\n"),
        ("right-to-left", "\u202egnp.exe\u2066"),
        ("surrogates-and-more", "\ufffe\U0010ffff" * 50),
        ("path", "../../../../etc/passwd"),
        ("format", "%s%n{0.__class__}{x!r}"),
    ):
        made = one("Exec", ([4],))
        made.graph.name = made.graph.node[0].name = made.graph.node[0].op_type = text
        made.graph.input[0].name = made.graph.node[0].input[0] = text
        yield fixed("name", name, made)
        right = one("Relu", ([4],))
        right.graph.name = right.graph.node[0].name = text
        right.graph.input[0].name = right.graph.node[0].input[0] = text
        yield fixed("name-that-runs", name, right)

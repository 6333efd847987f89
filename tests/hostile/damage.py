"""Valid models that many rules read, and damage to them: by field of protobuf, and by byte."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from random import Random
from typing import Any

import numpy as np
from onnx import ModelProto, helper

from emu.ir.types import Array
from tests.hostile.cases import valid
from tests.models.small_models import floats, ints, node, proto, real, unshaped, value

NUMBERS = (0, 1, -1, 2, 3, 7, 17, 33, 255, 65_536, 1 << 31, -(1 << 31), 1 << 62, (1 << 63) - 1)
FLOATS = (0.0, -1.0, 1e-30, 1e38, float("inf"), float("nan"))
TEXTS = ("", "x", "y", "a", "w", "Conv", "Reshape", "Loop", "\0", "ä" * 300, "../x", "SAME_UPPER")
BLOBS = (b"", b"\0", b"\xff" * 8, b"SAME_LOWER", bytes(4096))
REPEATS = (2, 3, 40, 2000)

Message = Any  # protobuf makes its classes as it runs
Change = Callable[[Message, Any, Random], object]


def images() -> ModelProto:
    """Convolutions, pools, normalisation, resizing, padding and joining of an image."""
    nodes = [
        node("Conv", ["x", "w"], "a", pads=[1, 1, 1, 1], strides=[1, 1], group=1),
        node("BatchNormalization", ["a", "one", "zero", "zero", "one"], "b", epsilon=1e-5),
        node("Clip", ["b", "low", "high"], "c"),
        node("MaxPool", ["c"], "d", kernel_shape=[2, 2], strides=[2, 2]),
        node("Resize", ["d", "", "scales"], "e", mode="nearest"),
        node("Concat", ["c", "e"], "f", axis=1),
        node("Pad", ["f", "pads"], "g", mode="constant"),
        node("AveragePool", ["g"], "h", kernel_shape=[2, 2], count_include_pad=1),
        node("ConvTranspose", ["h", "u"], "i", strides=[2, 2]),
        node("GlobalAveragePool", ["i"], "j"),
        node("Flatten", ["j"], "y", axis=1),
    ]
    constants: dict[str, Array] = {
        "w": real(4, 3, 3, 3),
        "u": real(8, 2, 2, 2),
        "one": floats(1, 1, 1, 1),
        "zero": floats(0, 0, 0, 0),
        "low": np.array(0, np.float32),
        "high": np.array(6, np.float32),
        "scales": floats(1, 1, 2, 2),
        "pads": ints(0, 0, 1, 1, 0, 0, 1, 1),
    }
    return proto(nodes, [value("x", [1, 3, 8, 8])], [unshaped("y")], constants)


def texts() -> ModelProto:
    """What an encoder has: embedding, shape arithmetic, attention, normalisation."""
    nodes = [
        node("Gather", ["table", "x"], "a", axis=0),
        node("Shape", ["a"], "s"),
        node("Slice", ["s", "start", "end", "start"], "t"),
        node("Concat", ["t", "four"], "r", axis=0),
        node("Reshape", ["a", "r"], "b"),
        node("Transpose", ["b"], "c", perm=[0, 2, 1]),
        node("MatMul", ["b", "c"], "d"),
        node("Softmax", ["d"], "e", axis=-1),
        node("MatMul", ["e", "b"], "f"),
        node("LayerNormalization", ["f", "scale", "scale"], "g", axis=-1, epsilon=1e-5),
        node("Split", ["g", "halves"], "h", "i", axis=2),
        node("Mul", ["h", "i"], "j"),
        node("ReduceMean", ["j"], "k", axes=[1], keepdims=0),
        node("Unsqueeze", ["k", "start"], "l"),
        node("Expand", ["l", "grown"], "m"),
        node("Cast", ["m"], "y", to=1),
    ]
    constants: dict[str, Array] = {
        "table": real(10, 16),
        "start": ints(0),
        "end": ints(2),
        "four": ints(16),
        "scale": np.ones(16, np.float32),
        "halves": ints(8, 8),
        "grown": ints(3, 2, 8),
    }
    return proto(nodes, [value("x", [2, 4], "i64")], [unshaped("y")], constants)


def numbers() -> ModelProto:
    """Quantised numbers, integers and truths."""
    nodes = [
        node("QuantizeLinear", ["x", "scale", "point"], "a"),
        node("DequantizeLinear", ["a", "scale", "point"], "b"),
        node("Gemm", ["b", "m", "n"], "c", alpha=0.5, transB=1),
        node("Greater", ["c", "n"], "d"),
        node("Where", ["d", "c", "n"], "e"),
        node("Pow", ["e", "two"], "f"),
        node("ReduceSum", ["f", "axes"], "g", keepdims=1),
        node("Tanh", ["g"], "y"),
    ]
    constants: dict[str, Array] = {
        "scale": np.array(0.1, np.float32),
        "point": np.array(3, np.uint8),
        "m": real(6, 8),
        "n": floats(1, 2, 3, 4, 5, 6),
        "two": np.array(2, np.float32),
        "axes": ints(1),
    }
    return proto(nodes, [value("x", [4, 8])], [unshaped("y")], constants)


def control() -> ModelProto:
    """A loop, a condition and a function of the model's own."""
    inputs = [value("i", [], "i64"), value("c", [], "i1"), value("s", [4])]
    steps = [node("Identity", ["c"], "k"), node("Add", ["s", "s"], "t")]
    body = helper.make_graph(steps, "body", inputs, [value("k", [], "i1"), value("t", [4])])
    then = helper.make_graph([node("Relu", ["a"], "p")], "then", [], [value("p", [4])])
    other = helper.make_graph([node("Neg", ["a"], "q")], "else", [], [value("q", [4])])
    nodes = [
        node("Loop", ["m", "go", "x"], "a", body=body),
        node("If", ["go"], "b", then_branch=then, else_branch=other),
        helper.make_node("twice", ["b"], ["y"], domain="mine"),
    ]
    constants: dict[str, Array] = {"m": np.array(3, np.int64), "go": np.array(True)}
    model = proto(nodes, [value("x", [4])], [unshaped("y")], constants)
    called = [helper.make_node("Add", ["u", "u"], ["v"])]
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("mine", "twice", ["u"], ["v"], called, opsets))
    model.opset_import.append(helper.make_opsetid("mine", 1))
    return model


@lru_cache(maxsize=1)
def seeds() -> tuple[bytes, ...]:
    """The valid models as files."""
    made = (valid(), images(), texts(), numbers(), control())
    return tuple(model.SerializeToString() for model in made)


def damaged(random: Random) -> bytes:
    """A valid model after some changes, each of a field that chance chooses."""
    text = random.choice(seeds())
    if random.random() < 0.2:
        return _bytewise(text, random)
    model = ModelProto.FromString(text)
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        _change(model, random)
    made = model.SerializeToString()
    return _bytewise(made, random) if made and random.random() < 0.05 else made


def _bytewise(text: bytes, random: Random) -> bytes:
    damaged = bytearray(text)
    for _ in range(random.choice((1, 2, 8))):
        at = random.randrange(len(damaged))
        damaged[at] = random.choice((0, 1, 127, 128, 255, damaged[at] ^ 1 << random.randrange(8)))
    cut = random.random() < 0.2
    return bytes(damaged[: random.randrange(len(damaged))] if cut else damaged)


def _change(model: ModelProto, random: Random) -> None:
    messages = _messages(model)
    message = random.choice(messages)
    entry = random.choice(message.DESCRIPTOR.fields)
    present: list[Any] = [found for found, _ in message.ListFields()]
    if present and random.random() < 0.8:
        entry = random.choice(present)
    repeated = hasattr(getattr(message, entry.name), "append")
    try:
        (_change_list if repeated else _change_one)(message, entry, random)
    except (ValueError, TypeError, OverflowError):
        return  # protobuf itself does not take this number; the next change may be taken


def _messages(root: Message) -> list[Message]:
    """All messages of a model, itself first."""
    found = [root]
    for message in found:
        for entry, content in message.ListFields():
            if entry.message_type is not None:
                found.extend(content if hasattr(content, "append") else [content])
    return found


def _change_one(message: Message, entry: Any, random: Random) -> None:
    if entry.message_type is not None or random.random() < 0.15:
        message.ClearField(entry.name)
        if random.random() < 0.5 and entry.message_type is not None:
            getattr(message, entry.name).SetInParent()
        return
    setattr(message, entry.name, _content(entry, random))


def _change_list(message: Message, entry: Any, random: Random) -> None:
    items = getattr(message, entry.name)
    action = random.choice(("drop", "double", "swap", "set", "add", "fill"))
    if action == "drop" and len(items):
        del items[random.randrange(len(items))]
    elif action == "swap" and len(items) > 1:
        _swap(items, random)
    elif action == "double" and len(items):
        items.extend([random.choice(list(items))])
    elif entry.message_type is not None:
        items.add()
    elif action == "set" and len(items):
        items[random.randrange(len(items))] = _content(entry, random)
    else:
        count = random.choice(REPEATS) if action == "fill" else 1
        items.extend([_content(entry, random)] * count)


def _swap(items: Any, random: Random) -> None:
    contents = list(items)
    random.shuffle(contents)
    copies = [_copied(content) for content in contents]
    del items[:]
    items.extend(copies)


def _copied(content: Any) -> Any:
    if not hasattr(content, "CopyFrom"):
        return content
    made = type(content)()
    made.CopyFrom(content)
    return made


def _content(entry: Any, random: Random) -> Any:
    """A value for a field that is no message, of its kind."""
    kinds: Mapping[Any, Sequence[Any]] = {
        entry.CPPTYPE_STRING: BLOBS if entry.type == entry.TYPE_BYTES else TEXTS,
        entry.CPPTYPE_FLOAT: FLOATS,
        entry.CPPTYPE_DOUBLE: FLOATS,
        entry.CPPTYPE_ENUM: range(24),
    }
    return random.choice(kinds.get(entry.cpp_type, NUMBERS))

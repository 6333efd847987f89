"""A walk over the protobuf text of a model before protobuf parses it.

protobuf makes an object of about 150 bytes for every message, also for one that takes two bytes of
the file: 10 MB of empty nodes cost 772 MB. The walk makes none; it counts, and refuses.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from operator import sub
from typing import Any, NamedTuple

from emu.ir.errors import ModelError
from emu.models.limits import Limits
from emu.models.wire import BYTES, FIXED32, FIXED64, VARINT, WireError, fields, read_varint

GRAPH, NODE, TENSOR = "onnx.GraphProto", "onnx.NodeProto", "onnx.TensorProto"
SPARSE = "onnx.SparseTensorProto"
STRING = 9  # FieldDescriptor.TYPE_STRING
TEXTS = ("doc_string", "value")  # for people, and as long as they like: no name of anything

NODE_NAME, NODE_OP = 3, 4
SMALL, MANY = 32, 10_000  # bytes of a message that is remembered; messages that are
FEW = 100  # fields of a node to look through for its name
TENSOR_LOCATION = 14 << 3 | VARINT


@dataclass(eq=False, slots=True)
class Shape:
    """What a message may hold: messages and texts, by the tag that stands before each."""

    name: str
    below: dict[int, "Shape"] = field(default_factory=dict[int, "Shape"])
    texts: dict[int, str] = field(default_factory=dict[int, str])


class Sums(NamedTuple):
    """Fields, messages and nodes that were counted up to some place, or in some part."""

    fields: int
    messages: int
    nodes: int


class Frame(NamedTuple):
    """A message that is being walked over: bytes [start, stop), and what was counted before it."""

    shape: Shape
    start: int
    stop: int
    before: Sums


class Census(NamedTuple):
    """How many fields, messages and nodes there are, and what kinds of tensors.

    ``has_external`` says that some have their data elsewhere, ``has_sparse`` that some are sparse.
    """

    fields: int
    messages: int
    nodes: int
    has_external: bool
    has_sparse: bool


NOTHING = Census(0, 0, 0, has_external=False, has_sparse=False)


@lru_cache(maxsize=1)
def model_shape() -> Shape:
    """Return the shape of a ModelProto, as the installed onnx declares it."""
    from onnx import ModelProto

    return _shape(ModelProto.DESCRIPTOR, {})


def _shape(kind: Any, known: dict[str, Shape]) -> Shape:  # a descriptor, of one of two kinds
    if kind.full_name in known:
        return known[kind.full_name]
    known[kind.full_name] = made = Shape(kind.full_name)
    for entry in kind.fields:
        tag = entry.number << 3 | BYTES
        if entry.message_type is not None:
            made.below[tag] = _shape(entry.message_type, known)
        elif entry.type == STRING:
            made.texts[tag] = entry.name
    return made


def census(data: memoryview, limits: Limits, where: str) -> Census:
    """Walk over a model; raise OverLimit, ModelError or WireError, with the node it is in."""
    try:
        return _Walk(data, limits, where).over(model_shape())
    except IndexError as error:
        raise WireError("a field is longer than its message") from error


class _Walk:
    """One walk over a file, and what was counted so far."""

    def __init__(self, data: memoryview, limits: Limits, where: str) -> None:
        self.data, self.limits, self.where = data, limits, where
        self.open: list[Frame] = []
        # Types and attributes are the same again and again; an equal text has equal sums.
        self.known: dict[tuple[Shape, bytes], Sums] = {}
        self.messages = self.nodes = 0
        self.has_external = self.has_sparse = False

    def over(self, shape: Shape) -> Census:
        """Walk over a message and all below it: one loop, since 100,000 nodes are 3,000,000 fields.

        ``open`` holds the message that ``at`` is in, and those around it.
        """
        data, at, stop, count = self.data, 0, len(self.data), 0
        self.open.append(Frame(shape, at, stop, Sums(0, 0, 0)))
        while self.open:
            if at >= stop:
                shape, stop = self._leave(at, count)
                continue
            count += 1
            tag = data[at]
            at += 1
            if tag > 127 or not count & 0xFFFF:
                self._check_fields(count)
                tag, at = read_varint(data, at - 1, stop)
            if tag & 7 != BYTES:
                at = self._plain(shape, tag, at)
                continue
            length = data[at]
            at += 1
            if length > 127:
                length, at = read_varint(data, at - 1, stop)
            if length > stop - at:
                raise WireError("a field is longer than its message")
            if tag in shape.below:
                below = shape.below[tag]
                more = self._again(below, at, length) if length <= SMALL else None
                if more is None:
                    shape, stop = self._enter(below, at, at + length, count)
                    continue
                count += more
            elif tag in shape.texts:
                self._check_text(shape.texts[tag], at, length)
            at += length
        self._check_fields(count)
        sums = count, self.messages, self.nodes
        return Census(*sums, has_external=self.has_external, has_sparse=self.has_sparse)

    def _again(self, shape: Shape, at: int, length: int) -> int | None:
        """Count a small message whose text was met before, and return its fields, else None."""
        sums = self.known.get((shape, bytes(self.data[at : at + length])))
        # In a message of N bytes, N / 2 others at most are inside each other.
        if sums is None or len(self.open) + length // 2 >= self.limits.nesting:
            return None
        self._add(sums.messages, sums.nodes)
        return sums.fields

    def _leave(self, at: int, count: int) -> tuple[Shape, int]:
        """The message around the one that ends here; at the very end, the one that ends."""
        ended = self.open.pop()
        if at > ended.stop:
            raise WireError("a field is longer than its message")
        if ended.stop - ended.start <= SMALL and len(self.known) < MANY:
            text, before = bytes(self.data[ended.start : ended.stop]), ended.before
            now = Sums(count, self.messages, self.nodes)
            self.known[ended.shape, text] = Sums(*map(sub, now, before))
        outer = self.open[-1] if self.open else ended
        return outer.shape, outer.stop

    def _enter(self, shape: Shape, start: int, stop: int, count: int) -> tuple[Shape, int]:
        self.open.append(Frame(shape, start, stop, Sums(count, self.messages, self.nodes)))
        if len(self.open) > self.limits.nesting:
            depth = len(self.open)
            self.limits.check("nesting", depth, self._place(), "messages inside each other")
        self.has_sparse |= shape.name == SPARSE
        self._add(1, shape.name == NODE)
        return shape, stop

    def _add(self, messages: int, nodes: int) -> None:
        self.messages += messages
        self.nodes += nodes
        if self.nodes > self.limits.nodes:
            self.limits.check("nodes", self.nodes, self.where, "nodes or more")
        if self.messages > self.limits.messages:
            what = "protobuf messages or more"
            self.limits.check("messages", self.messages, self._place(), what)

    def _plain(self, shape: Shape, tag: int, at: int) -> int:
        """The position after a number; those of tensors may say that data lies elsewhere."""
        kind = tag & 7
        if tag == TENSOR_LOCATION and shape.name == TENSOR:
            self.has_external |= self.data[at] != 0
        if kind == VARINT:
            return at + 1 if self.data[at] < 128 else read_varint(self.data, at, len(self.data))[1]
        if kind not in (FIXED64, FIXED32):
            raise WireError(f"wire type {kind} is not known")
        return at + (8 if kind == FIXED64 else 4)

    def _check_fields(self, count: int) -> None:
        self.limits.check("fields", count, self.where, "protobuf fields or more")

    def _check_text(self, name: str, at: int, length: int) -> None:
        if length > self.limits.string_bytes and name not in TEXTS:
            self.limits.check("string_bytes", length, self._place(), f"bytes in '{name}'")
        try:
            str(self.data[at : at + length], "utf-8")
        except UnicodeDecodeError as error:
            raise ModelError(f"{self._place()}: its field '{name}' is not UTF-8") from error

    def _place(self) -> str:
        """The file, and the node that is being walked over if there is one."""
        node = next((f for f in reversed(self.open) if f.shape.name == NODE), None)
        return self.where if node is None else f"{self.where}: {self._title(node)}"

    def _title(self, node: Frame) -> str:
        """What the node calls itself, as far as its text can be read."""
        found: dict[int, str] = {}
        try:
            for part in islice(fields(self.data, node.start, node.stop), FEW):
                if part.number in (NODE_NAME, NODE_OP) and part.wire_type == BYTES:
                    text = bytes(self.data[part.payload : min(part.stop, part.payload + 80)])
                    found[part.number] = text.decode("utf-8", "replace")
        except WireError:
            return "a damaged node"
        return f"node '{found.get(NODE_NAME, '')}' ({found.get(NODE_OP, 'no op')})"
